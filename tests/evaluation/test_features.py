import pytest
import torch

from jepakit.evaluation.features import Scaler, extract, pixels
from jepakit.random import Stream
from jepakit.types import UserError


def to_float(images: torch.Tensor) -> torch.Tensor:
    return images.float() / 255.0


def test_extract_keeps_order_whatever_the_batch_size():
    images = torch.arange(7 * 12, dtype=torch.uint8).view(7, 3, 2, 2)
    expected = to_float(images).flatten(1)
    for batch_size in (1, 3, 100):
        z = extract(lambda x: x.flatten(1), images, to_float, batch_size)
        torch.testing.assert_close(z, expected)
        assert not z.requires_grad


def test_extract_refuses_an_empty_set_and_non_finite_features():
    with pytest.raises(UserError, match="no samples"):
        extract(lambda x: x.flatten(1), torch.zeros(0, 1, 2, 2, dtype=torch.uint8), to_float)
    with pytest.raises(UserError, match="5 of 5 feature rows"):
        extract(lambda x: x.flatten(1) / 0.0, torch.ones(5, 1, 2, 2, dtype=torch.uint8), to_float)


def test_pixels_lie_between_zero_and_one():
    images = torch.tensor([0, 255, 51, 102], dtype=torch.uint8).view(1, 1, 2, 2)
    torch.testing.assert_close(pixels(images), torch.tensor([[0.0, 1.0, 0.2, 0.4]]))


def test_standardising_matches_scikit_learn_and_knows_the_train_set_alone():
    from sklearn.preprocessing import StandardScaler

    x = Stream(0, "test").normal(0, torch.arange(60), 5) * torch.tensor([1.0, 10.0, 0.1, 1.0, 0.0]) + 4.0
    train, test = x[:40], x[40:]
    scaler, expected = Scaler.standardising(train), StandardScaler().fit(train.numpy())
    torch.testing.assert_close(scaler(test), torch.from_numpy(expected.transform(test.numpy())), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(scaler(train).std(dim=0, correction=0)[:4], torch.ones(4))
    assert not torch.allclose(scaler(test).mean(dim=0)[:4], torch.zeros(4), atol=1e-3)


def test_centring_keeps_the_geometry():
    x = Stream(1, "test").normal(0, torch.arange(30), 4) * torch.tensor([1.0, 10.0, 0.1, 3.0]) + 4.0
    scaled = Scaler.centring(x)(x)
    assert float(scaled.var(dim=0, correction=0).mean()) == pytest.approx(1.0, rel=1e-4)
    ratio = torch.pdist(scaled) / torch.pdist(x)
    torch.testing.assert_close(ratio, ratio[:1].expand_as(ratio))


@pytest.mark.parametrize("make", [Scaler.standardising, Scaler.centring])
def test_constant_features_stay_finite(make):
    scaled = make(torch.full((5, 3), 2.0))(torch.full((2, 3), 2.0))
    torch.testing.assert_close(scaled, torch.zeros(2, 3))
