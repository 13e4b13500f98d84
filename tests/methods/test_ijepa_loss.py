import torch
from losses_by_hand import BATCH, STEP, assert_trains_on, build, predict_places, shake, take


def test_loss_is_the_papers_on_targets_of_the_moving_average() -> None:
    method = build("ijepa")
    shake(method.encoder)
    x, places = method.prepare(BATCH, STEP), method.hide(BATCH.id, STEP)
    with torch.no_grad():
        tokens = method.target.encoder(x)
    centred = tokens - tokens.mean(dim=-1, keepdim=True)
    targets = centred / torch.sqrt(centred.square().mean(dim=-1, keepdim=True) + 1e-5)
    error = (predict_places(method, x, places) - take(targets, places)).abs()
    assert_trains_on(method, torch.where(error < 1, error.square() / 2, error - 0.5).mean())


def test_momentum_rises_in_a_line_from_its_first_value_to_its_last() -> None:
    momentum = build("ijepa", momentum=0.5, final_momentum=1.0).target.schedule
    assert [momentum(step) for step in (0, 10, 20)] == [0.5, 0.75, 1.0]
