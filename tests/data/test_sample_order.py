"""The order of samples: every sample once an epoch, any step at once, shares that make up the whole."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from jepakit.data import Digits, Order, split
from jepakit.types import UserError

SIZES = st.integers(1, 40).flatmap(lambda num: st.tuples(st.just(num), st.integers(1, num)))


@settings(max_examples=60, deadline=None)
@given(sizes=SIZES, seed=st.integers(0, 5))
def test_every_epoch_visits_everything_once(sizes: tuple[int, int], seed: int) -> None:
    num, batch_size = sizes
    order = Order(num_samples=num, batch_size=batch_size, seed=seed)
    seen = torch.cat([order.batch(step) for step in range(3 * num // batch_size + 1)])
    for epoch in range(3):
        assert sorted(seen[epoch * num : (epoch + 1) * num].tolist()) == list(range(num))


@settings(max_examples=60, deadline=None)
@given(sizes=SIZES, world=st.integers(1, 7), step=st.integers(0, 10**6))
def test_shares_make_up_the_batch_of_one_process(sizes: tuple[int, int], world: int, step: int) -> None:
    order = Order(num_samples=sizes[0], batch_size=sizes[1], seed=0)
    if world > sizes[1]:
        with pytest.raises(UserError, match=f"shared by {world} processes"):
            order.share(step, 0, world)
        return
    shares = [order.share(step, rank, world) for rank in range(world)]
    assert torch.equal(torch.cat(shares), order.batch(step))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_any_step_can_be_the_first() -> None:
    walked = Order(num_samples=50, batch_size=7, seed=3)
    batches = [walked.batch(step) for step in range(100)]
    for step in (99, 0, 57, 8):
        assert torch.equal(Order(num_samples=50, batch_size=7, seed=3).batch(step), batches[step])


def test_a_batch_belongs_to_its_caller() -> None:
    order = Order(num_samples=20, batch_size=5, seed=0)
    expected = order.batch(0).clone()
    order.batch(0).zero_()
    assert torch.equal(order.batch(0), expected)


def test_epochs_and_seeds_differ() -> None:
    first = [Order(num_samples=100, batch_size=100, seed=seed).batch(step) for seed in (0, 1) for step in (0, 1)]
    assert len({tuple(ids.tolist()) for ids in first}) == 4


def test_a_batch_larger_than_the_set_is_a_users_error() -> None:
    with pytest.raises(UserError, match="use --training.batch-size 10 or less"):
        Order(num_samples=10, batch_size=11, seed=0)
    with pytest.raises(UserError, match="at least 1"):
        Order(num_samples=10, batch_size=0, seed=0)


@settings(max_examples=60, deadline=None)
@given(
    labels=st.lists(st.integers(0, 4), min_size=4, max_size=80), fraction=st.floats(0.2, 0.8), seed=st.integers(0, 9)
)
def test_a_stratified_split_keeps_every_class_share(labels: list[int], fraction: float, seed: int) -> None:
    classes = torch.tensor(labels)
    train, test = split(classes, fraction, seed)
    assert sorted(torch.cat((train, test)).tolist()) == list(range(len(labels)))
    assert len(test) == round(len(labels) * fraction)
    exact = torch.bincount(classes, minlength=5) * (len(test) / len(labels))
    assert ((torch.bincount(classes[test], minlength=5) - exact).abs() < 1).all()


def test_the_split_of_the_digits_is_a_pure_function_of_the_seed() -> None:
    labels = Digits().labels
    train, test = split(labels, 0.3, 0)
    again = split(labels, 0.3, 0)
    assert len(test) == 539
    assert torch.equal(test, again[1])
    assert torch.equal(train, again[0])
    assert not torch.equal(test, split(labels, 0.3, 1)[1])
    assert torch.equal(train, train.sort().values)


def test_a_split_without_classes_takes_the_smallest_draws() -> None:
    labels = torch.tensor([0] * 10 + [1] * 90)
    assert torch.equal(split(100, 0.25, 4)[1], split(labels, 0.25, 4, stratified=False)[1])
    assert len(split(100, 0.25, 4)[1]) == 25
    for fraction in (0.0, 1.0, 0.001):
        with pytest.raises(UserError, match="empty"):
            split(100, fraction, 0)
