import importlib
import json

import pytest
import torch

from jepakit.health.measure import measure
from jepakit.random import Stream
from jepakit.types import UserError

measure_module = importlib.import_module("jepakit.health.measure")  # the package's name `measure` is the function


def normal(seed: int, b: int, g: int, d: int) -> torch.Tensor:
    return Stream(seed, "test").normal(0, torch.arange(b), g * d).view(b, g, d)


POSITION, SAMPLE = 3.0 * normal(0, 1, 6, 16), normal(1, 256, 1, 16)


def test_white_tokens_read_as_white_everywhere():
    values = measure({"encoder": normal(2, 2000, 6, 16)})["encoder"]
    assert values["rankme"] == pytest.approx(16.0, rel=0.01)
    assert values["group_rankme"] == pytest.approx(16.0, rel=0.01)
    assert values["group_feature_std"] == pytest.approx(1.0, rel=0.02)
    assert values["feature_std"] == pytest.approx(6**-0.5, rel=0.02)
    assert values["variation"] == pytest.approx(1.0, abs=0.01)
    assert values["interaction_share"] == pytest.approx(5 / 6, rel=0.02)  # the sample means take the other sixth
    assert values["sigreg"] < 2.0 / 2000


def test_a_position_code_passes_every_pooled_test_but_not_the_groups():
    z = (POSITION + 0.01 * normal(3, 256, 6, 16)).detach()
    values = measure({"encoder": z})["encoder"]
    flat = measure({"encoder": z.flatten(0, 1)[:, None]})["encoder"]  # what pooling over positions would see
    assert flat["rankme"] > 4.5  # six positions span five directions
    assert flat["variation"] > 0.8
    assert values["position_share"] > 0.999
    assert values["across_share"] < 1e-3
    assert values["group_feature_std"] == pytest.approx(0.01, rel=0.05)


def test_a_repeated_sample_code_has_no_variance_within_samples():
    values = measure({"encoder": SAMPLE.expand(-1, 6, -1)})["encoder"]
    assert values["within_share"] == pytest.approx(0.0, abs=1e-9)
    assert values["sample_share"] == pytest.approx(1.0)
    assert values["across_share_min"] == pytest.approx(1.0)
    assert values["group_rankme"] == pytest.approx(values["rankme"])


def test_shares_add_up_and_one_group_has_no_group_entries():
    tokens = measure({"encoder": POSITION + SAMPLE})["encoder"]
    assert tokens["position_share"] + tokens["sample_share"] + tokens["interaction_share"] == pytest.approx(1.0)
    assert {"group_rankme", "group_alpha_req", "group_nesum", "group_participation_ratio"} <= set(tokens)
    pooled = measure({"projector": SAMPLE})["projector"]
    assert not any(key.startswith("group_") for key in pooled)
    assert (pooled["dim"], pooled["num_samples"], pooled["num_groups"]) == (16, 256, 1)


def test_sigreg_is_split_into_what_shifting_and_scaling_would_mend():
    white = normal(4, 1024, 1, 8)
    for z, part in ((white + 2.0, "sigreg_location"), (10.0 * white, "sigreg_scale"), (white.sign(), None)):
        values = measure({"z": z})["z"]
        parts = {key: values[key] for key in ("sigreg_location", "sigreg_scale", "sigreg_shape")}
        assert sum(parts.values()) == pytest.approx(values["sigreg"], abs=1e-5)
        if part is not None:
            assert parts[part] > 0.5 * values["sigreg"]


def test_views_give_alignment_and_a_scale_free_lidar():
    objects, noise = normal(5, 300, 1, 8), normal(6, 300, 4, 8)
    near = measure({"encoder": objects}, {"encoder": objects + 0.1 * noise})["encoder"]
    far = measure({"encoder": objects}, {"encoder": objects + 2.0 * noise})["encoder"]
    assert near["alignment"] < 0.1 < far["alignment"]
    assert near["lidar"] == pytest.approx(8.0, rel=0.05)
    scaled = measure({"encoder": objects}, {"encoder": 1e-3 * (objects + 0.1 * noise)})["encoder"]
    assert scaled["lidar"] == pytest.approx(near["lidar"], rel=1e-5)
    assert "lidar" not in measure({"encoder": objects})["encoder"]


def test_only_a_fixed_subset_of_many_groups_is_decomposed(monkeypatch):
    seen = []
    spectrum = measure_module._spectrum
    monkeypatch.setattr(measure_module, "_spectrum", lambda z: seen.append(z.shape[0]) or spectrum(z))
    measure({"encoder": normal(7, 20, 50, 4)})
    assert seen == [1, 8]
    assert measure_module._spread_over(50) == [0, 7, 14, 21, 28, 35, 42, 49]
    assert measure_module._spread_over(3) == [0, 1, 2]


def test_two_measurements_are_equal_and_json():
    spaces = {"encoder": normal(8, 64, 5, 12), "target": torch.full((64, 5, 12), 1.1)}
    first = measure(spaces, {"encoder": normal(9, 64, 3, 12)})
    assert first == measure(spaces, {"encoder": normal(9, 64, 3, 12)})
    assert json.loads(json.dumps(first, allow_nan=False)) == first
    assert first["target"]["variation"] == first["target"]["rankme"] == 0.0


def test_gradient_and_precision_of_the_input_do_not_matter():
    z = normal(10, 64, 5, 12).requires_grad_(True)
    values = measure({"encoder": z})["encoder"]
    assert measure({"encoder": z.detach().double()})["encoder"]["rankme"] == pytest.approx(values["rankme"], rel=1e-6)


def test_what_cannot_be_measured_is_refused():
    with pytest.raises(UserError, match="holds 1"):
        measure({"encoder": torch.ones(1, 4, 3)})
    with pytest.raises(UserError, match="NaN"):
        measure({"encoder": torch.full((4, 2, 3), float("nan"))})
