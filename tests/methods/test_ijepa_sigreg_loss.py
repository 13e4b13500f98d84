import pytest
import torch
from losses_by_hand import BATCH, STEP, assert_trains_on, build, predict_places, sigreg, take


@pytest.mark.parametrize("projector_dims", [(16, 8), ()], ids=["projector", "no projector"])
def test_loss_is_a_prediction_in_the_live_space_and_sigreg_of_each_position(projector_dims: tuple[int, ...]) -> None:
    method = build("ijepa_sigreg", sigreg_weight=2.0, num_positions=3, projector_dims=projector_dims)
    x, places = method.prepare(BATCH, STEP), method.hide(BATCH.id, STEP)
    tokens = method.encoder(x)
    tokens = method.target.head(tokens) if projector_dims else tokens
    prediction = (predict_places(method, x, places) - take(tokens, places)).square().mean()
    positions = method.positions.permutation(STEP, 16)[:3].tolist()
    assert_trains_on(method, prediction + 2.0 * sum(sigreg(tokens[:, n], num_slices=16) for n in positions) / 3)


def test_every_position_is_regularized_in_turn() -> None:
    method = build("ijepa_sigreg", num_positions=4)
    numbered = torch.arange(16.0).view(1, 16, 1)
    drawn = [method.regularized(numbered, step)["target"][0, :, 0].tolist() for step in range(40)]
    assert all(len(set(positions)) == 4 for positions in drawn)
    assert set().union(*drawn) == set(range(16))
