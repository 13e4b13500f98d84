import dataclasses
import json
import math
import pickle
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from jepakit.nn.schedules import Constant, Cosine, Linear, WarmupCosine, WarmupStableDecay
from jepakit.types import UserError

HUGE = WarmupCosine(start=2e-4, peak=1e-3, end=1e-6, num_warmup_steps=25_000, num_steps=187_500)  # I-JEPA ViT-H/14


def published_warmup_cosine(k: int, start: float, ref: float, final: float, w: int, t: int) -> float:
    """The closed form of image-video-jepa.md §7 test 10, with k = 1 on the first step."""
    if k < w:
        return start + k / w * (ref - start)
    return max(final, final + (ref - final) * (1 + math.cos(math.pi * (k - w) / (t - w))) / 2)


@pytest.mark.parametrize("step", [0, 1, 100, 24_998, 24_999, 25_000, 100_000, 187_498, 187_499])
def test_warmup_cosine_equals_the_published_closed_form(step: int) -> None:
    assert HUGE(step) == pytest.approx(published_warmup_cosine(step + 1, 2e-4, 1e-3, 1e-6, 25_000, 187_500), rel=1e-12)


def test_warmup_cosine_at_its_corners() -> None:
    assert HUGE(0) == pytest.approx(2e-4 + 8e-4 / 25_000)
    assert HUGE(24_999) == pytest.approx(1e-3)
    assert HUGE(187_499) == pytest.approx(1e-6)
    assert HUGE(300_000) == 1e-6  # and does not rise again
    assert WarmupCosine(peak=1.0, num_steps=10, num_warmup_steps=0, offset=0)(0) == 1.0
    assert WarmupCosine(peak=1.0, num_steps=10, num_warmup_steps=10)(9) == 1.0  # no cosine


def test_weight_decay_rises_along_a_cosine() -> None:
    decay = Cosine(start=0.04, end=0.4, num_steps=187_500)
    for k in (1, 1000, 93_750, 187_500):
        published = 0.4 + (0.04 - 0.4) * (1 + math.cos(math.pi * k / 187_500)) / 2
        assert decay(k - 1) == pytest.approx(published, rel=1e-12)
    assert decay(400_000) == 0.4


def test_ema_momentum_is_linear_and_counts_from_0() -> None:
    momentum = Linear(start=0.996, end=1.0, num_steps=187_500)
    assert momentum(0) == 0.996
    for i in (1, 12_345, 187_499):
        assert momentum(i) == pytest.approx(0.996 + i * 0.004 / 187_500, rel=1e-12)
    assert momentum(187_500) == 1.0
    assert momentum(500_000) == 1.0


def test_warmup_stable_decay_is_piecewise_linear() -> None:
    schedule = WarmupStableDecay(
        start=75e-6, peak=425e-6, num_steps=94_500, num_warmup_steps=4_500, num_decay_steps=4_500
    )
    assert schedule(0) == pytest.approx(75e-6 + 350e-6 / 4_500)
    assert schedule(4_499) == 425e-6
    assert schedule(50_000) == 425e-6
    assert schedule(89_999) == 425e-6
    assert schedule(92_249) == pytest.approx(212.5e-6)
    assert schedule(94_499) == 0.0
    assert schedule(99_999) == 0.0
    assert WarmupStableDecay(peak=1.0, num_steps=4, num_warmup_steps=2, num_decay_steps=0)(9) == 1.0


def lambda_lr(factor: Callable[[int], float], num_steps: int) -> list[float]:
    parameter = torch.nn.Parameter(torch.zeros(()))
    optimizer = torch.optim.SGD([parameter], lr=1.0)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
    rates = []
    for _ in range(num_steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


def test_schedules_drive_torchs_lambda_lr() -> None:
    schedule = WarmupCosine(peak=1.0, num_steps=20, num_warmup_steps=5)
    rates = lambda_lr(schedule, 20)
    assert rates == [schedule(step) for step in range(20)]


def test_warmup_and_cosine_equal_torchs_own_schedulers() -> None:
    parameter = torch.nn.Parameter(torch.zeros(()))
    optimizer = torch.optim.SGD([parameter], lr=1.0)
    warmup = torch.optim.lr_scheduler.LinearLR(optimizer, start_factor=0.1, end_factor=1.0, total_iters=5)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=15, eta_min=0.01)
    both = torch.optim.lr_scheduler.SequentialLR(optimizer, [warmup, cosine], milestones=[5])
    ours = WarmupCosine(start=0.1, peak=1.0, end=0.01, num_steps=20, num_warmup_steps=5, offset=0)
    for step in range(20):
        assert optimizer.param_groups[0]["lr"] == pytest.approx(ours(step), rel=1e-9)
        optimizer.step()
        both.step()


@given(step=st.integers(0, 10_000), warmup=st.integers(0, 50), decay=st.integers(0, 50), offset=st.integers(0, 1))
def test_values_stay_between_start_peak_and_end(step: int, warmup: int, decay: int, offset: int) -> None:
    for schedule in (
        WarmupCosine(start=0.1, peak=1.0, end=0.2, num_steps=100, num_warmup_steps=warmup, offset=offset),
        WarmupStableDecay(
            start=0.1,
            peak=1.0,
            end=0.2,
            num_steps=100,
            num_warmup_steps=warmup,
            num_decay_steps=decay,
            offset=offset,
        ),
    ):
        assert 0.1 <= schedule(step) <= 1.0
    assert 0.2 <= Cosine(start=0.2, end=0.9, num_steps=100, offset=offset)(step) <= 0.9 + 1e-12


@pytest.mark.parametrize(
    "schedule",
    [
        Constant(value=0.5),
        Linear(start=0.0, end=1.0, num_steps=3),
        Cosine(start=0.0, end=1.0, num_steps=3),
        HUGE,
        WarmupStableDecay(peak=1.0, num_steps=9, num_warmup_steps=3, num_decay_steps=3),
    ],
)
def test_schedules_survive_pickle_and_json(schedule: object) -> None:
    assert pickle.loads(pickle.dumps(schedule)) == schedule
    fields = dataclasses.asdict(schedule)
    assert type(schedule)(**json.loads(json.dumps(fields))) == schedule


def test_impossible_schedules_are_refused() -> None:
    with pytest.raises(UserError, match="num_steps"):
        Linear(start=0.0, end=1.0, num_steps=0)
    with pytest.raises(UserError, match="do not fit"):
        WarmupCosine(peak=1.0, num_steps=10, num_warmup_steps=11)
    with pytest.raises(UserError, match=r"6 \+ 5"):
        WarmupStableDecay(peak=1.0, num_steps=10, num_warmup_steps=6, num_decay_steps=5)
