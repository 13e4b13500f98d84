"""The verdict follows its thresholds, names its numbers, and claims nothing where intervals overlap."""

import pytest
import torch

from jepakit.evaluation.verdict import ARMS, judge
from jepakit.types import UserError


def arms(*reached: int, n: int = 50) -> dict[str, torch.Tensor]:
    """Give each arm so many successes, those of a smaller number among those of a larger."""
    return {arm: torch.arange(n) < num for arm, num in zip(ARMS, reached, strict=True)}


@pytest.mark.parametrize(
    ("reached", "fails"),
    [  # as it is, true world, true cost, both
        ((49, 49, 49, 50), "nothing"),
        ((49, 20, 20, 20), "nothing"),
        ((5, 6, 8, 9), "search"),
        ((30, 10, 10, 30), "search"),
        ((10, 12, 45, 49), "metric"),
        ((10, 20, 45, 49), "metric"),
        ((10, 45, 12, 49), "model"),
        ((10, 45, 20, 49), "model"),
        ((3, 4, 4, 49), "both"),
        ((40, 42, 42, 44), "unclear"),  # neither good enough nor told apart from the truth
        ((10, 35, 36, 49), "unclear"),  # both help, as much as each other
        ((10, 10, 40, 45), "metric"),
    ],
)
def test_what_fails(reached: tuple[int, ...], fails: str) -> None:
    assert judge(arms(*reached), readable=1.0).fails == fails


def test_nothing_is_claimed_of_few_episodes() -> None:
    assert judge(arms(2, 2, 4, 4, n=4), 1.0).fails == "unclear"
    assert judge(arms(4, 4, 4, 4, n=4), 1.0).fails == "unclear"
    assert "cannot be told apart with 4 episodes" in judge(arms(2, 2, 4, 4, n=4), 1.0).sentence


def test_a_probe_that_cannot_read_does_not_blame_the_model() -> None:
    verdict = judge(arms(3, 4, 4, 49), readable=0.4)
    assert verdict.fails == "unclear"
    assert "explains 0.40 of the variance" in verdict.sentence


def test_the_sentence_holds_the_numbers() -> None:
    assert judge(arms(10, 12, 25, 26), 1.0).sentence == (
        "The metric fails: swapping in the true cost helps most; of 50 episodes, 20% (11 to 33) end at the goal as it "
        "is, 24% (14 to 37) with the true world, 50% (37 to 63) with the true cost, 52% (39 to 65) with both; with 52% "
        "(39 to 65) even with both true, under 80%, the search loses episodes too."
    )
    assert judge(arms(49, 49, 49, 50), 1.0).sentence == (
        "Nothing fails: 98% (90 to 100) of 50 episodes end at the goal as it is, at least 80%."
    )
    for reached in ((5, 6, 8, 9), (10, 45, 12, 49), (3, 4, 4, 49)):
        sentence = judge(arms(*reached), 1.0).sentence
        assert sentence.count(".") == 1 and sentence.endswith(".")


def test_arms_and_thresholds_must_make_sense() -> None:
    with pytest.raises(UserError, match="over the arms"):
        judge({"learned model, latent cost": torch.ones(3, dtype=torch.bool)}, 1.0)
    with pytest.raises(UserError, match="share of episodes"):
        judge(arms(1, 1, 1, 1), 1.0, enough=90.0)
