"""Injected anomalies change one channel, where and as they say, and nothing before the judged window."""

from typing import get_args

import pytest
import torch

from jepakit.evaluation.injected import ANOMALIES, SIZES, Anomaly, inject
from jepakit.types import UserError

NUM, FIRST, LAST = 200, 30, 42
VALUES = torch.randn(NUM, 3, 60, generator=torch.Generator().manual_seed(0))
ELSEWHERE = VALUES.roll(1, 0)
JUDGED = torch.tensor([[FIRST, LAST]]).expand(NUM, 2)
IDS = torch.arange(NUM)


@pytest.mark.parametrize("kind", get_args(Anomaly))
def test_one_channel_changes_from_a_moment_of_the_judged_window_on(kind: Anomaly) -> None:
    found = inject(kind, VALUES, ELSEWHERE, JUDGED, IDS)
    changed = found.values != VALUES
    channel = torch.nn.functional.one_hot(found.channel, 3).bool()
    assert not bool(changed[~channel].any())
    assert set(found.channel.tolist()) == {0, 1, 2}
    assert bool(((found.begin >= FIRST) & (found.begin < LAST)).all())
    assert not bool(changed[..., :FIRST].any())
    assert bool(changed[channel][:, FIRST:].any(dim=1).all())


def test_each_kind_is_what_it_says() -> None:
    at = torch.arange(NUM)
    found = {kind: inject(kind, VALUES, ELSEWHERE, JUDGED, IDS) for kind in ANOMALIES}
    row = {kind: one.values[at, one.channel] for kind, one in found.items()}
    was = {kind: VALUES[at, one.channel] for kind, one in found.items()}
    moved = {kind: (row[kind] - was[kind]) / was[kind].std(dim=1, keepdim=True, correction=0) for kind in ANOMALIES}
    spike, shift = moved["spike"], moved["level shift"]
    assert (spike.abs() > 1e-3).sum(dim=1).tolist() == [1] * NUM
    torch.testing.assert_close(spike.abs().amax(dim=1), torch.full((NUM,), SIZES["spike"]))
    assert {float(sign) for sign in spike.sum(dim=1).sign()} == {-1.0, 1.0}
    begin = found["level shift"].begin
    assert len(begin.unique()) == LAST - FIRST
    is_after = torch.arange(60) >= begin[:, None]
    torch.testing.assert_close(shift.abs(), SIZES["level shift"] * is_after.float(), atol=1e-5, rtol=1e-5)
    frozen = row["frozen"][:, FIRST:LAST]
    assert bool((frozen == was["frozen"][:, FIRST, None]).all())
    assert torch.equal(row["frozen"][:, LAST:], was["frozen"][:, LAST:])
    other = ELSEWHERE[at, found["lost correlation"].channel]
    torch.testing.assert_close(row["lost correlation"][:, FIRST], was["lost correlation"][:, FIRST])  # without a jump
    torch.testing.assert_close(row["lost correlation"][:, FIRST:].diff(), other[:, FIRST:].diff())


def test_an_injection_depends_on_its_id_and_the_seed_alone() -> None:
    whole = inject("spike", VALUES, ELSEWHERE, JUDGED, IDS).values
    part = inject("spike", VALUES[7:9], ELSEWHERE[7:9], JUDGED[7:9], IDS[7:9]).values
    assert torch.equal(part, whole[7:9])
    assert not torch.equal(inject("spike", VALUES, ELSEWHERE, JUDGED, IDS, seed=1).values, whole)


def test_a_window_outside_its_stretch_is_refused() -> None:
    with pytest.raises(UserError, match="at least one of the 60 moments"):
        inject("spike", VALUES, ELSEWHERE, torch.tensor([[50, 61]]).expand(NUM, 2), IDS)
