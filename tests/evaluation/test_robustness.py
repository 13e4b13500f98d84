import pytest
import torch

from jepakit.evaluation.robustness import (
    area_under,
    class_separation,
    corrupt_pixels,
    drift,
    relative_robustness,
    robustness_curves,
)
from jepakit.random import Stream
from jepakit.types import UserError

LABELS = torch.arange(40) % 2
CLEAN = torch.where(LABELS[:, None] == 1, 1.0, -1.0) * torch.ones(40, 3)


def fade(kind: str, severity: int) -> torch.Tensor:
    """Flip the sign of a tenth of the items per severity step: accuracy 1 - severity / 10, whatever the kind."""
    flipped = torch.arange(40) < 4 * severity
    return torch.where(flipped[:, None], -CLEAN, CLEAN)


def sign(z: torch.Tensor) -> torch.Tensor:
    return (z[:, 0] > 0).long()


def test_a_known_corruption_gives_a_known_curve():
    (curve,) = robustness_curves("jepa", {"sign": sign}, CLEAN, fade, LABELS, 0.5, ["flip"], (1, 2, 3))
    assert curve.clean.value == 1.0
    assert [a.value for a in curve.accuracy] == pytest.approx([0.9, 0.8, 0.7])
    assert curve.relative == pytest.approx((0.8, 0.6, 0.4))
    assert curve.area == pytest.approx(0.85)
    assert curve.drift == pytest.approx((0.2, 0.4, 0.6))
    assert curve.separation == pytest.approx(2.0)
    assert (curve.arm, curve.probe, curve.kind, curve.severity) == ("jepa", "sign", "flip", (1, 2, 3))
    assert all(a.low < a.value < a.high for a in curve.accuracy)


def test_features_are_computed_once_for_all_probes():
    calls = []

    def corrupted(kind: str, severity: int) -> torch.Tensor:
        calls.append((kind, severity))
        return fade(kind, severity)

    curves = robustness_curves("a", {"p": sign, "q": sign}, CLEAN, corrupted, LABELS, 0.5, ["x", "y"], (1, 2))
    assert [(c.kind, c.probe) for c in curves] == [("x", "p"), ("x", "q"), ("y", "p"), ("y", "q")]
    assert calls == [("x", 1), ("x", 2), ("y", 1), ("y", 2)]


def test_a_model_at_chance_has_no_robustness_to_speak_of():
    assert relative_robustness(0.1, 0.1, 0.1) is None
    assert relative_robustness(0.1, 0.05, 0.1) is None
    assert relative_robustness(0.4, 0.7, 0.1) == pytest.approx(0.5)


def test_area_weighs_the_gaps_between_severities():
    assert area_under([0, 1, 3], [1.0, 0.5, 0.5]) == pytest.approx((0.75 + 1.0) / 3)


def test_drift_of_equal_opposite_and_orthogonal_features():
    z = torch.tensor([[3.0, 0.0], [0.0, 2.0]])
    assert drift(z, 5.0 * z) == pytest.approx(0.0, abs=1e-9)
    assert drift(z, -z) == pytest.approx(2.0)
    assert drift(z, z.flip(1)) == pytest.approx(1.0)


def test_separation_is_the_mean_over_pairs_of_different_classes():
    z, labels = Stream(0, "test").normal(0, torch.arange(25), 4), torch.arange(25) % 3
    cosine = torch.nn.functional.cosine_similarity(z[:, None].double(), z[None].double(), dim=2)
    expected = float((1.0 - cosine)[labels[:, None] != labels[None]].mean())
    assert class_separation(z, labels) == pytest.approx(expected)


def test_a_collapsed_model_has_neither_drift_nor_separation():
    z = torch.ones(10, 3)
    assert drift(z, z) == pytest.approx(0.0, abs=1e-9)
    assert class_separation(z, torch.arange(10) % 2) == pytest.approx(0.0, abs=1e-9)


def test_pixels_are_corrupted_as_floats_and_come_back_as_pixels():
    images, ids = torch.full((2, 1, 2, 2), 100, dtype=torch.uint8), torch.tensor([7, 8])

    def brighten(kind, x, severity, given, seed):
        assert (kind, given.tolist(), seed) == ("light", [7, 8], 3)
        return x + 0.5 * severity

    assert corrupt_pixels(brighten, "light", images, 0, ids, 3).unique().tolist() == [100]
    assert corrupt_pixels(brighten, "light", images, 1, ids, 3).unique().tolist() == [228]
    assert corrupt_pixels(brighten, "light", images, 5, ids, 3).unique().tolist() == [255]


def test_what_makes_no_sense_is_refused():
    with pytest.raises(UserError, match="ascend"):
        robustness_curves("a", {"p": sign}, CLEAN, fade, LABELS, 0.5, ["x"], (2, 1))
    with pytest.raises(UserError, match="one class"):
        class_separation(CLEAN, torch.zeros(40, dtype=torch.long))
