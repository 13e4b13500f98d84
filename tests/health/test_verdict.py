from dataclasses import replace

import pytest
import torch
from small_methods import build

from jepakit.health import Thresholds, diagnose, measure
from jepakit.health.verdict import COLLAPSES
from jepakit.random import Stream
from jepakit.types import UserError


def normal(seed: int, b: int, g: int, d: int) -> torch.Tensor:
    return Stream(seed, "test").normal(0, torch.arange(b), g * d).view(b, g, d)


NOISE = normal(0, 256, 9, 32)
POSITION, SAMPLE = normal(1, 1, 9, 32), normal(2, 256, 1, 32)
HEALTHY = NOISE + POSITION + SAMPLE
MADE = {
    "healthy": HEALTHY,
    "total": 5.0 + 0.01 * HEALTHY,
    "positional": POSITION + 0.03 * NOISE + 0.03 * SAMPLE,
    "per_sample_constant": SAMPLE + 0.05 * NOISE,
    "dimensional": (HEALTHY * torch.tensor([1.0] + [0.05] * 31)),
}


@pytest.mark.parametrize("kind", MADE)
@pytest.mark.parametrize("with_reference", [True, False])
def test_made_collapses_are_named(kind, with_reference):
    reference = measure({"encoder": HEALTHY}) if with_reference else None
    verdict = diagnose(measure({"encoder": MADE[kind]}), reference)
    assert verdict.kind == kind
    assert verdict.healthy == (kind == "healthy")
    assert verdict.sentence.endswith(".")
    assert "encoder" in verdict.sentence
    assert any(character.isdigit() for character in verdict.evidence[0])
    assert bool(verdict.advice) == (kind != "healthy")


def test_shrinking_to_zero_shows_against_the_random_start_alone():
    shrunk = measure({"encoder": 1e-3 * HEALTHY})
    assert diagnose(shrunk).kind == "healthy"
    verdict = diagnose(shrunk, measure({"encoder": HEALTHY}))
    assert verdict.kind == "total"
    assert "0.1% of its random start" in verdict.evidence[0]


def test_a_projector_is_held_to_standard_deviation_one():
    spaces = {"encoder": HEALTHY, "projector": SAMPLE}
    assert diagnose(measure(spaces)).kind == "healthy"
    verdict = diagnose(measure(spaces | {"projector": 0.02 * SAMPLE}))
    assert verdict.kind == "total"
    assert "projector" in verdict.sentence


def test_ranks_that_fall_far_below_the_random_start_are_dimensional():
    few = HEALTHY * torch.tensor([1.0] * 4 + [0.0] * 28)
    assert diagnose(measure({"encoder": few})).kind == "healthy"
    verdict = diagnose(measure({"encoder": few}), measure({"encoder": HEALTHY}))
    assert verdict.kind == "dimensional"
    assert "RankMe" in verdict.evidence[0]


def test_the_coarsest_collapse_is_named_and_all_evidence_kept():
    spaces = {"encoder": MADE["dimensional"], "target": MADE["positional"]}
    verdict = diagnose(measure(spaces))
    assert verdict.kind == "positional"
    assert "target" in verdict.sentence
    assert len(verdict.evidence) == 2
    assert "encoder" in verdict.evidence[1]


def test_near_a_threshold_one_is_told_to_watch():
    near = POSITION + 0.11 * NOISE
    assert 0.01 < measure({"encoder": near})["encoder"]["across_share"] < 0.015
    verdict = diagnose(measure({"encoder": near}))
    assert (verdict.kind, verdict.healthy) == ("watch", True)
    assert "positional" in verdict.sentence
    assert verdict.advice


def test_a_random_start_is_not_worse_than_itself():
    reference = measure({"encoder": HEALTHY, "projector": SAMPLE})
    assert diagnose(reference, reference).healthy


@pytest.mark.parametrize("name", ["ijepa", "ijepa_sigreg", "lejepa", "transform_jepa", "vicreg"])
def test_a_fresh_method_is_not_collapsed_while_it_settles(name):
    method = build(name).eval()
    with torch.no_grad():
        reference = measure(method.spaces(torch.rand(64, 3, 16, 16)))
    assert diagnose(reference, reference, is_settling=True).healthy
    if "projector" in reference:
        assert diagnose(reference, reference).kind == "total"


def test_a_projector_that_closes_is_a_collapse_even_while_training_settles():
    reference = measure({"encoder": HEALTHY, "projector": 0.01 * SAMPLE})
    assert diagnose(measure({"encoder": HEALTHY, "projector": 0.003 * SAMPLE}), reference, is_settling=True).healthy
    closed = measure({"encoder": HEALTHY, "projector": 0.001 * SAMPLE})
    assert diagnose(closed, reference, is_settling=True).kind == "total"


def test_a_projector_of_tokens_is_judged_by_its_positions():
    tokens = torch.randn(200, 16, 8, generator=torch.Generator().manual_seed(0))
    assert measure({"projector": 0.5 * tokens})["projector"]["feature_std"] < 0.2
    assert diagnose(measure({"projector": 0.5 * tokens})).healthy


def test_thresholds_are_what_decides():
    measured = measure({"encoder": HEALTHY})
    strict = replace(Thresholds(), across_share=0.999)
    assert diagnose(measured).kind == "healthy"
    assert diagnose(measured, thresholds=strict).kind == "positional"


def test_every_collapse_has_words_without_gaps():
    for kind in COLLAPSES:
        verdict = diagnose(measure({"my space": MADE[kind]}))
        for text in (verdict.sentence, *verdict.evidence, *verdict.advice):
            assert "{" not in text
            assert text.endswith(".")


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(UserError, match="no space"):
        diagnose({})
    with pytest.raises(UserError, match="measured on 256, its reference on 100"):
        diagnose(measure({"encoder": HEALTHY}), measure({"encoder": HEALTHY[:100]}))
    with pytest.raises(UserError, match="across_share"):
        Thresholds(across_share=0.0)
