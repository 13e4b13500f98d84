import torch
from losses_by_hand import BATCH, STEP, assert_trains_on, build, project, shake, sigreg, spread

from jepakit.views import PARAMS, View, relative


def test_loss_is_the_papers_both_ways() -> None:
    method = build("transform_jepa", sigreg_weight=2.0)
    spread(method)
    shake(method.predictor)
    first, second = method.make_views(BATCH.image, BATCH.id, STEP)
    z_1, z_2 = (project(method, view.image) for view in (first, second))
    there = method.predictor(z_1, relative(first.params, second.params))
    back = method.predictor(z_2, relative(second.params, first.params))
    prediction = ((there - z_2).square().mean() + (back - z_1).square().mean()) / 2
    assert_trains_on(method, prediction + 2.0 * (sigreg(z_1, num_slices=16) + sigreg(z_2, num_slices=16)) / 2)


def test_each_prediction_is_told_the_way_from_what_it_sees_to_what_it_predicts() -> None:
    method = build("transform_jepa")
    calls = []
    method.predictor.register_forward_pre_hook(lambda _, arguments: calls.append(arguments))
    column = PARAMS.index("log_brightness")
    image, params = torch.zeros(1, 3, 16, 16), torch.zeros(2, 1, len(PARAMS))
    params[:, 0, column] = torch.tensor([0.25, 1.0])
    z = torch.tensor([1.0, 4.0], dtype=torch.float64).view(1, 2, 1).expand(1, 2, 8)
    _, z_true = method.relate(z, [View(image, row) for row in params])
    ((seen, told),) = calls
    assert seen[0, :, 0].tolist() == [1, 4]
    assert z_true[0, :, 0].tolist() == [4, 1]
    assert told[0, :, column].tolist() == [0.75, -0.75]
