import pytest
import torch
from losses_by_hand import BATCH, STEP, assert_trains_on, build, predict_places, take
from torch import Tensor
from torch.nn.functional import unfold

from jepakit.methods.pixels import PatchTarget


def patches(x: Tensor, size: tuple[int, int]) -> Tensor:
    return unfold(x, size, stride=size).transpose(1, 2)


def standardised(y: Tensor) -> Tensor:
    centred = y - y.mean(dim=-1, keepdim=True)
    return centred / torch.sqrt(centred.square().mean(dim=-1, keepdim=True) + 1e-6)


@pytest.mark.parametrize("standardise", [True, False])
def test_loss_is_the_papers(standardise: bool) -> None:
    method = build("pixels", standardise=standardise)
    x, places = method.prepare(BATCH, STEP), method.hide(BATCH.id, STEP)
    targets = standardised(patches(x, (4, 4))) if standardise else patches(x, (4, 4))
    assert_trains_on(method, (predict_places(method, x, places) - take(targets, places)).square().mean())


def test_targets_are_patches_in_reading_order_each_with_its_pixels_in_reading_order() -> None:
    x = torch.randn(2, 3, 6, 12)
    torch.testing.assert_close(PatchTarget((2, 3), standardise=False)(x), patches(x, (2, 3)), rtol=0, atol=0)
    torch.testing.assert_close(PatchTarget((2, 3), standardise=True)(x), standardised(patches(x, (2, 3))))


def test_a_patch_is_standardised_by_its_own_pixels_and_a_flat_one_is_zero() -> None:
    x = torch.tensor([[5.0, 9.0, 3.0, 3.0], [5.0, 9.0, 3.0, 3.0]]).view(1, 1, 2, 4)
    targets = PatchTarget((2, 2), standardise=True)(x)
    torch.testing.assert_close(targets, torch.tensor([[[-1.0, 1.0, -1.0, 1.0], [0.0, 0.0, 0.0, 0.0]]]))
