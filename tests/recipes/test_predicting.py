"""Five ways to learn an encoder: what each is asked, where gradient flows, and that none collapses on an easy problem."""

from functools import lru_cache

import pytest
import torch
from torch import Tensor, nn

from jepakit.nn.stacked import StackedMLP
from jepakit.recipes.predicting import ARMS, MASKED, Learner, Lessons, learn

SEEDS = (3, 4)


def learner(arm: str, num_seen: int = 1, seeds: tuple[int, ...] = SEEDS) -> Learner:
    out = 3 if ARMS[arm].is_jepa else 6
    encoder = StackedMLP(seeds, "encoder", (6, 16, 3))
    predictor = StackedMLP(seeds, "predictor", (3 * num_seen, 16, out))
    return Learner(arm, ARMS[arm].tried[0].knob, encoder, predictor, (len(seeds), 3))


@lru_cache(maxsize=1)
def frames() -> Tensor:
    """Two slowly turning numbers, seen in six channels, by two networks: (s, b, t, k)."""
    angle = torch.arange(256) * 0.37
    turns = torch.stack([torch.stack((torch.cos(angle + 0.3 * t), torch.sin(angle + 0.3 * t)), dim=-1) for t in (0, 1)])
    spread = torch.randn(2, 6, generator=torch.Generator().manual_seed(1))
    return (turns @ spread).permute(1, 0, 2)[None].repeat(2, 1, 1, 1)


def hidden() -> Tensor:
    return torch.rand(2, 256, 6, generator=torch.Generator().manual_seed(2)) < 0.5


def test_every_arm_tries_as_many_settings() -> None:
    assert {len(set(arm.tried)) for arm in ARMS.values()} == {4}
    assert {setting.learning_rate for arm in ARMS.values() for setting in arm.tried} == {4e-3, 1e-2}


@pytest.mark.parametrize("arm", list(ARMS))
def test_the_loss_of_a_stack_is_the_sum_of_the_losses_of_each(arm: str) -> None:
    together = learner(arm)(frames(), 0, hidden()[:1].expand(2, -1, -1))
    each = [learner(arm, seeds=(seed,))(frames()[:1], 0, hidden()[:1]) for seed in SEEDS]
    torch.testing.assert_close(together, torch.stack(each).sum(), rtol=1e-5, atol=1e-6)


def test_the_next_observation_is_what_is_asked() -> None:
    one = learner("next-input")
    expected = 2 * (one.predictor(one.encoder(frames()[:, :, 0])) - frames()[:, :, 1]).square().mean()
    torch.testing.assert_close(one(frames(), 0), expected)


def test_masked_reconstruction_sees_nothing_of_what_it_is_asked() -> None:
    one, asked = learner(MASKED), frames().clone().requires_grad_()
    drawn: list[Tensor] = []
    one.encoder.register_forward_pre_hook(lambda _, given: drawn.append(given[0]))
    one(asked, 0, hidden()).backward()
    assert bool((drawn[0][hidden()] == 0).all())
    torch.testing.assert_close(drawn[0][~hidden()], frames()[:, :, 0][~hidden()])
    assert asked.grad is not None
    assert float(asked.grad[:, :, 1].abs().max()) == 0.0  # the frame that follows plays no part
    with torch.no_grad():  # what is seen need not be redrawn
        changed = one.predictor.biases[-1].detach().clone()
        before = one(frames(), 0, torch.zeros_like(hidden()).index_fill(2, torch.tensor([0]), True))
        one.predictor.biases[-1].copy_(changed + torch.tensor([0.0, 9.0, 9.0, 9.0, 9.0, 9.0]))
        after = one(frames(), 0, torch.zeros_like(hidden()).index_fill(2, torch.tensor([0]), True))
    torch.testing.assert_close(before, after)


def test_gradient_reaches_the_target_of_a_regularized_arm_and_no_other() -> None:
    for arm, flows in (("ema", False), ("sigreg", True), ("vicreg", True)):
        one, asked = learner(arm), frames().clone().requires_grad_()
        one.knob = 0.0  # the regularizer has a gradient of its own, everywhere
        one(asked, 0).backward()
        assert asked.grad is not None
        assert bool(asked.grad[:, :, 1].abs().max() > 0) is flows, arm


def test_two_frames_may_be_seen() -> None:
    three = torch.cat((frames(), frames()[:, :, :1]), dim=2)
    for arm in ("ema", "sigreg", "next-input"):
        assert torch.isfinite(learner(arm, num_seen=2)(three, 0))


@pytest.mark.parametrize("arm", list(ARMS))
def test_an_easy_problem_is_learned_without_collapse(arm: str) -> None:
    one, seen = learner(arm), []
    lessons = Lessons(60, lambda step: frames(), lambda step: hidden())
    before = [parameter.clone() for parameter in one.encoder.parameters()]
    with torch.no_grad():
        first = float(one(frames(), 0, hidden()))
    learn(one, 1e-2, lessons, seen.append)
    assert seen == list(range(1, 61))
    with torch.no_grad():
        assert float(one(frames(), 0, hidden())) < 0.7 * first
        z = one.encoder(frames()[:, :, 0])
    assert any(not torch.equal(a, b) for a, b in zip(before, one.encoder.parameters(), strict=True))
    assert float(torch.linalg.svdvals(z - z.mean(dim=1, keepdim=True))[:, 1].min()) > 1.0  # two directions at least
    if one.target is not None:
        moved = zip(before, one.target.parameters(), strict=True)
        assert any(not torch.equal(a, b) for a, b in moved)


def test_weight_decay_is_the_next_observations_knob_alone() -> None:
    rates: dict[str, float] = {}

    class Seen(torch.optim.AdamW):
        def __init__(self, parameters: list[nn.Parameter], lr: float, weight_decay: float, fused: bool):
            super().__init__(parameters, lr=lr, weight_decay=weight_decay, fused=fused)
            rates[str(len(rates))] = weight_decay

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.optim, "AdamW", Seen)
        for arm in ("next-input", "sigreg"):
            learn(learner(arm), 1e-3, Lessons(1, lambda step: frames()))
    assert list(rates.values()) == [ARMS["next-input"].tried[0].knob, 0.0]
