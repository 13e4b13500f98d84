"""The study of channels that do not matter: the process is what it says, and what is read is right in closed form."""

import pytest
import torch

from jepakit.recipes import nuisance
from jepakit.recipes.nuisance import (
    NUM_SEEN,
    STATE_DIM,
    Case,
    Material,
    arm_cell,
    autoregressive,
    floor_cell,
    held,
    read,
)
from jepakit.recipes.predicting import ARMS, Setting
from jepakit.types import UserError

IDS = torch.arange(3000)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Study less."""
    for name, value in (("_SEQUENCES", 64), ("_READ", 512), ("_BATCH", 32), ("_HIDDEN_DIM", 16), ("_MASKS", 32)):
        monkeypatch.setattr(nuisance, name, value)
    nuisance.material.cache_clear()


def test_states_turn_and_keep_their_variance() -> None:
    seen, state = Case("iid", 0).sequences(0, IDS, 4)
    assert seen.shape == (3000, 4, NUM_SEEN)
    torch.testing.assert_close(torch.cov(state[:, 3].T), torch.eye(STATE_DIM), atol=0.1, rtol=0)
    across = state[:, 2].T @ state[:, 3] / len(IDS)
    for i in range(0, STATE_DIM, 2):  # each oscillator turns by an angle of its own, and loses a twentieth
        block = across[i : i + 2, i : i + 2]
        assert float(torch.linalg.det(block).sqrt()) == pytest.approx(0.95, abs=0.04)
        assert float(block[0, 0]) == pytest.approx(float(block[1, 1]), abs=0.12)
        assert float(block[0, 1]) == pytest.approx(-float(block[1, 0]), abs=0.12)
        assert abs(float(block[0, 1])) > 0.1
    off = across - torch.block_diag(*(across[i : i + 2, i : i + 2] for i in range(0, STATE_DIM, 2)))
    assert float(off.abs().max()) < 0.08


def test_the_state_is_spread_without_becoming_louder() -> None:
    seen, state = Case("iid", 0).sequences(5, IDS[:50], 2)
    torch.testing.assert_close(seen.square().sum(dim=-1), state.square().sum(dim=-1), rtol=1e-4, atol=1e-4)


def test_nuisance_is_as_loud_as_a_direction_of_the_state_and_kept_as_its_kind_says() -> None:
    for kind, kept in (("iid", 0.0), ("slow", 0.99)):
        seen, _ = Case(kind, 3).sequences(0, IDS, 3)
        noise = seen[..., NUM_SEEN:]
        torch.testing.assert_close(noise.std(dim=0), torch.ones(3, 3), atol=0.05, rtol=0)
        torch.testing.assert_close((noise[:, 1] * noise[:, 2]).mean(dim=0), torch.full((3,), kept), atol=0.08, rtol=0)


def test_sequences_are_functions_of_seed_and_id_alone() -> None:
    case = Case("slow", 4)
    together, alone = case.sequences(1, IDS[:6], 3)[0], case.sequences(1, IDS[4:5], 3)[0]
    torch.testing.assert_close(together[4:5], alone)
    assert not torch.equal(case.sequences(2, IDS[:6], 3)[0], together)


def test_an_ar1_has_unit_variance_from_the_start() -> None:
    values = autoregressive(torch.randn(4000, 6, 2), 0.9)
    torch.testing.assert_close(values.std(dim=0), torch.ones(6, 2), atol=0.06, rtol=0)


def test_there_is_no_other_kind() -> None:
    with pytest.raises(UserError, match="iid or slow, not 'pink'"):
        Case("pink", 8)


def test_what_an_embedding_holds_is_counted_in_numbers() -> None:
    n = torch.randn(4096, 40)
    whole = n[:, :STATE_DIM] @ torch.randn(STATE_DIM, STATE_DIM)
    assert held(whole, n) == pytest.approx(STATE_DIM, abs=0.3)
    assert held(torch.cat((n[:, :2], torch.randn(4096, 6)), dim=1), n) == pytest.approx(2.0, abs=0.3)
    chance = [held(torch.randn(512, STATE_DIM), torch.randn(512, 256)) for _ in range(8)]
    assert abs(sum(chance) / 8) < 0.5  # the square of one half would count about 4


def test_a_reading_is_one_for_the_state_and_none_for_something_else() -> None:
    state = torch.randn(1, 1024, STATE_DIM)
    seen = torch.cat((torch.zeros(1, 1024, NUM_SEEN), torch.randn(1, 1024, 4)), dim=-1)
    data = Material(torch.zeros(1, 1, 1, NUM_SEEN + 4), seen, state)
    assert read(state @ torch.randn(STATE_DIM, STATE_DIM), data)["state"][0] == pytest.approx(1.0, abs=1e-4)
    assert abs(read(torch.randn(1, 1024, STATE_DIM), data)["state"][0]) < 0.1


def test_what_is_read_was_not_fitted() -> None:
    """An embedding that tells the state of one half alone tells nothing where it counts."""
    state, data_of = torch.randn(1, 1024, STATE_DIM), torch.zeros(1, 1024, NUM_SEEN)
    z = torch.cat((state[:, :512], torch.randn(1, 512, STATE_DIM)), dim=1)
    assert read(z, Material(torch.zeros(1, 1, 1, NUM_SEEN), data_of, state))["state"][0] < -0.5


def test_pca_keeps_the_state_where_there_is_nothing_else_and_loses_it_beside_noise() -> None:
    clean, noisy = (floor_cell(Case("iid", num), "pca", [0])["state"][0] for num in (0, 64))
    assert clean == pytest.approx(1.0, abs=1e-3)
    assert noisy < 0.6
    assert floor_cell(Case("iid", 64), "raw", [0])["state"][0] > 0.99


def test_a_cell_tells_of_every_seed_and_is_the_same_again() -> None:
    setting, case = Setting(4e-3, 0.5), Case("iid", 4)
    for arm in ARMS:
        told = arm_cell(case, arm, setting, [0, 1], 8)
        assert [len(told[name]) for name in ("state", "nuisance_held", "seeds")] == [2, 2, 2]
        assert [step["step"] for step in told["path"]] == [2, 4, 6, 8]
        assert told["path"][-1]["state"] == told["state"]
        assert told["state"] == arm_cell(case, arm, setting, [0, 1], 8)["state"]
        assert told["state"][0] != told["state"][1]


def test_a_network_learns_nothing_of_the_seeds_beside_it() -> None:
    setting, case = Setting(4e-3, 0.5), Case("iid", 4)
    together, alone = (arm_cell(case, "next-input", setting, seeds, 8)["state"] for seeds in ([0, 1], [1]))
    assert together[1] == pytest.approx(alone[0], abs=1e-3)


def test_the_best_setting_is_chosen_by_the_mean() -> None:
    low, high = Setting(1e-3, 1.0), Setting(1e-2, 1.0)
    assert nuisance.chosen({low: {"state": [0.9, 0.1]}, high: {"state": [0.6, 0.5]}}) == high
