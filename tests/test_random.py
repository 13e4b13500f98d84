import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from jepakit.random import Stream, philox, seeded_init

IDS = torch.arange(20_000)


@pytest.mark.parametrize(
    ("counter", "key", "answer"),
    [
        ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ],
)
def test_philox_gives_the_published_known_answers(
    counter: tuple[int, ...], key: tuple[int, int], answer: tuple[int, ...]
) -> None:
    assert tuple(philox(torch.tensor(counter), key).tolist()) == answer


def test_philox_of_many_counters_is_philox_of_each() -> None:
    counters = torch.randint(0, 2**32, (4, 3, 5), generator=torch.Generator().manual_seed(0))
    together = philox(counters, (1, 2))
    alone = torch.stack([philox(counters[:, i, j], (1, 2)) for i in range(3) for j in range(5)], dim=1)
    assert torch.equal(together.flatten(1), alone)


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(-(2**70), 2**70),
    step=st.integers(0, 2**33),
    ids=st.lists(st.integers(0, 2**40), min_size=2, max_size=6, unique=True),
    num=st.integers(1, 9),
)
def test_a_draw_does_not_depend_on_its_batch(seed: int, step: int, ids: list[int], num: int) -> None:
    stream = Stream(seed, "mask")
    batch = torch.tensor(ids)
    for draw in (stream.bits, stream.uniform, stream.normal):
        whole = draw(step, batch, num)
        assert torch.equal(whole.flip(0), draw(step, batch.flip(0), num))
        assert torch.equal(whole[1:2], draw(step, batch[1:2], num))


def test_more_draws_begin_with_the_same_ones() -> None:
    stream = Stream(0, "mask")
    assert torch.equal(stream.bits(1, IDS[:4], 3), stream.bits(1, IDS[:4], 11)[:, :3])


@pytest.mark.parametrize(
    "other",
    [
        Stream(1, "mask").bits(5, IDS, 4),
        Stream(0, "view").bits(5, IDS, 4),
        Stream(0, "mask").bits(6, IDS, 4),
        Stream(0, "mask").bits(5, IDS + 2**32, 4),
    ],
    ids=["seed", "stream", "step", "id beyond 32 bits"],
)
def test_another_key_or_counter_gives_unrelated_draws(other: torch.Tensor) -> None:
    draws = Stream(0, "mask").bits(5, IDS, 4)
    assert (draws == other).sum() <= 2
    pair = torch.stack((draws.flatten(), other.flatten())).double()
    assert torch.corrcoef(pair)[0, 1].abs() < 4 / math.sqrt(draws.numel())


def test_bits_are_32_bit_words_with_every_bit_fair() -> None:
    bits = Stream(0, "bits").bits(0, IDS, 4).flatten()
    assert bits.min() >= 0
    assert bits.max() < 2**32
    share = torch.stack([((bits >> place) & 1).double().mean() for place in range(32)])
    assert (share - 0.5).abs().max() < 4.5 * 0.5 / math.sqrt(bits.numel())


def kolmogorov_smirnov(u: torch.Tensor) -> float:
    u = u.double().flatten().sort().values
    grid = torch.arange(1, len(u) + 1) / len(u)
    return float((u - grid).abs().max() * math.sqrt(len(u)))


def test_uniform_is_uniform_in_the_half_open_interval() -> None:
    u = Stream(0, "uniform").uniform(0, IDS, 5)
    assert u.dtype == torch.float32
    assert u.min() >= 0
    assert u.max() < 1
    assert kolmogorov_smirnov(u) < 1.95  # the 0.1 % point


@pytest.mark.parametrize("num", [1, 5])
def test_normal_is_standard_normal_and_its_columns_are_independent(num: int) -> None:
    x = Stream(0, "normal").normal(0, IDS, num)
    assert x.shape == (len(IDS), num)
    assert torch.isfinite(x).all()
    assert kolmogorov_smirnov(torch.special.ndtr(x.double())) < 1.95
    covariance = (x.double().T @ x.double()) / len(IDS)
    assert (covariance - torch.eye(num)).abs().max() < 5 * math.sqrt(2 / len(IDS))


def test_integers_are_uniform_below_each_bound() -> None:
    high = torch.tensor([1, 2, 7])
    draws = Stream(0, "integers").integers(0, IDS, 3, high)
    assert torch.equal(draws.amax(0), high - 1)
    assert draws.min() == 0
    share = torch.bincount(draws[:, 2]) / len(IDS)
    assert (share - 1 / 7).abs().max() < 4 * math.sqrt(1 / 7 / len(IDS))


def test_permutation_is_one_and_changes_with_the_step() -> None:
    stream = Stream(0, "order")
    first, second = stream.permutation(0, 1000), stream.permutation(1, 1000)
    assert torch.equal(first.sort().values, torch.arange(1000))
    assert torch.equal(first, stream.permutation(0, 1000))
    assert (first == second).sum() < 10
    assert (first == torch.arange(1000)).sum() < 10


def test_seeded_init_repeats_weights_and_leaves_the_global_generator_alone() -> None:
    before = torch.random.get_rng_state()
    weights = []
    for seed, name in ((0, "encoder"), (0, "encoder"), (1, "encoder"), (0, "predictor")):
        with seeded_init(seed, name):
            weights.append(torch.nn.Linear(3, 3).weight)
    assert torch.equal(before, torch.random.get_rng_state())
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    assert not torch.equal(weights[0], weights[3])


def test_each_id_can_have_a_step_of_its_own() -> None:
    stream, ids = Stream(0, "steps"), torch.tensor([4, 4, 9])
    mixed = stream.bits(torch.tensor([2, 2**31, -1]), ids, 5)
    for row, step in enumerate((2, 2**31, -1)):
        assert torch.equal(mixed[row], stream.bits(step, ids[row : row + 1], 5)[0])
