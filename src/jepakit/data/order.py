"""Put samples in order: which ids make up the batch of a step, and which samples are held out.

Both are pure functions of the seed, through `jepakit.random`: nothing is saved, so any step can be the first.
"""

from dataclasses import dataclass
from functools import lru_cache

import torch
from jaxtyping import Int
from torch import Tensor

from jepakit.random import Stream
from jepakit.types import UserError


@lru_cache(maxsize=4)
def _epoch(seed: int, epoch: int, num: int) -> Int[Tensor, " num"]:
    return Stream(seed, "order").permutation(epoch, num)


@dataclass(frozen=True, kw_only=True)
class Order:
    """Order samples as an endless row of epochs, each a permutation of its own, cut into batches of equal size.

    A batch may hold the end of one epoch and the beginning of the next, so no sample is left out and none is seen
    twice in an epoch.

    Args:
        num_samples: Size of the set.
        batch_size: Samples of a step over all processes.
        seed: The run's seed.

    Raises:
        UserError: The set is empty or smaller than a batch.
    """

    num_samples: int
    batch_size: int
    seed: int

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise UserError(f"The batch size must be at least 1, not {self.batch_size}.")
        if self.batch_size > self.num_samples:
            raise UserError(
                f"A batch of {self.batch_size} is more than the {self.num_samples} samples there are; "
                f"use --training.batch-size {self.num_samples} or less."
            )

    def batch(self, step: int) -> Int[Tensor, " b"]:
        """Return the ids of the whole batch of a step."""
        start = step * self.batch_size
        epoch, offset = divmod(start, self.num_samples)
        ids = _epoch(self.seed, epoch, self.num_samples)[offset : offset + self.batch_size]
        lacking = self.batch_size - len(ids)
        return torch.cat((ids, _epoch(self.seed, epoch + 1, self.num_samples)[:lacking])) if lacking else ids.clone()

    def share(self, step: int, rank: int, world: int) -> Int[Tensor, " b"]:
        """Return the ids that one of `world` processes takes: a run of the batch, at most one longer than another's.

        Raises:
            UserError: There are more processes than samples in a batch.
        """
        if world > self.batch_size:
            raise UserError(f"A batch of {self.batch_size} cannot be shared by {world} processes; use a larger one.")
        return self.batch(step).tensor_split(world)[rank]


def split(
    samples: int | Int[Tensor, " b"], test_fraction: float, seed: int, stratified: bool = True
) -> tuple[Int[Tensor, " k"], Int[Tensor, " m"]]:
    """Split samples into train and test: ascending indices, a pure function of the seed and the samples' ids.

    Each sample draws one number; the smallest of each class go to the test part. The classes' counts are their exact
    shares rounded down, and what is then missing goes to those cut most (largest remainder, lower class first).

    Args:
        samples: How many there are, or the class of each.
        test_fraction: Share of the test part, in (0, 1).
        seed: The seed of the split.
        stratified: Keep the classes' shares, where classes are given.

    Raises:
        UserError: One of the parts would be empty.
    """
    num = samples if isinstance(samples, int) else len(samples)
    num_test = round(num * test_fraction)
    if not 0 < num_test < num:
        raise UserError(f"A share of {test_fraction} leaves one of two parts of {num} samples empty; choose another.")
    classes = torch.zeros(num, dtype=torch.long) if isinstance(samples, int) or not stratified else samples.long().cpu()
    draws = Stream(seed, "split").bits(0, torch.arange(num), 1)[:, 0]
    counts = torch.bincount(classes)
    exact = counts.double() * (num_test / num)
    quota = exact.floor().long()
    most_cut = torch.argsort(exact - quota, descending=True, stable=True)
    quota[most_cut[: num_test - int(quota.sum())]] += 1
    is_test = torch.zeros(num, dtype=torch.bool)
    for label, take in enumerate(quota.tolist()):
        members = torch.nonzero(classes == label)[:, 0]
        is_test[members[torch.argsort(draws[members], stable=True)[:take]]] = True
    return torch.nonzero(~is_test)[:, 0], torch.nonzero(is_test)[:, 0]
