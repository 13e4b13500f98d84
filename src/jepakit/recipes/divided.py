"""Say what samples are divided into: what training sees, what health is measured on, what probes learn from."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from jaxtyping import Int
from torch import Tensor

from jepakit.data import Labelled, NoLabels, Skipped, Source, Subset, split
from jepakit.types import UserError

S = TypeVar("S", bound=Source)


@dataclass(frozen=True)
class Probing:
    """Hold the labelled samples of the probes: a training part and the split on which they are scored."""

    train: Labelled
    test: Labelled
    split: str
    skipped: list[Skipped]


@dataclass(frozen=True)
class Sources:
    """Hold the opened sources, divided.

    Args:
        train: Samples to learn from, without those held out.
        health: Held-out samples without labels.
        probe: Labelled samples from which the probes learn for final scores; None without labels.
        test: The labelled test split; None without labels.
        fitting: The part of `probe` from which they learn while choices are made; None without labels.
        dev: The rest of `probe`, on which choices are made; None without labels.
    """

    train: Subset
    health: Subset
    probe: Source | None = None
    test: Source | None = None
    fitting: Subset | None = None
    dev: Subset | None = None


def cut(source: Source, seed: int, **setting: float) -> tuple[Int[Tensor, " k"], Int[Tensor, " m"]]:
    """Split a labelled source by the one setting that is given.

    Raises:
        UserError: One of the parts would be empty; it names the setting.
    """
    ((name, fraction),) = setting.items()
    assert source.labels is not None
    try:
        return split(source.labels, fraction, seed)
    except UserError as error:
        raise UserError(f"data.{name}: {error}") from error


def divided(
    whole: Source,
    kept: Int[Tensor, " k"],
    probe: Source | None,
    test: Source | None,
    data: Any,
) -> Sources:
    """Hold out the samples of the health measurements, and divide the probe set for choices.

    Args:
        whole: The samples to learn from.
        kept: Those of them that no test split holds.
        probe: Labelled samples apart from the test split, if any.
        test: The test split, if any.
        data: Says how many samples health is measured on (a fifth of `kept` at most), on which share of `probe` choices
            are made, and the seed of the splits.

    Raises:
        UserError: There are too few samples.
    """
    num_health, seed = min(data.num_health, len(kept) // 5), data.split_seed
    if num_health < 2:
        raise UserError(f"{data.train} has {len(kept)} samples to learn from; at least 10 are needed.")
    rest, health = split(len(kept), num_health / len(kept), seed)
    train, watched = Subset(whole, kept[rest]), Subset(whole, kept[health])
    if probe is None:
        return Sources(train, watched)
    fit_idx, dev_idx = cut(probe, seed + 1, dev_fraction=data.dev_fraction)
    fitting, dev = Subset(probe, fit_idx), Subset(probe, dev_idx)
    return Sources(train, watched, probe, test, fitting, dev)


def divided_by_class(whole: Source, data: Any) -> Sources:
    """Divide samples at random, class by class where there are classes.

    Args:
        whole: The samples.
        data: Says by which shares, and from which seed.

    Raises:
        UserError: There are too few samples.
    """
    kept, probe, test = all_of(whole), None, None
    if whole.labels is not None:
        fit_idx, test_idx = cut(whole, data.split_seed, test_fraction=data.test_fraction)
        kept, probe, test = fit_idx, Subset(whole, fit_idx), Subset(whole, test_idx)
    return divided(whole, kept, probe, test, data)


def labelled_if_asked(open_with: Callable[[bool | str], S], labels: str) -> S:
    """Open a source with its labels where these are to be probed by; `auto` takes those there are.

    Labels that are there and wrong are an error even so: without them no test split would be kept from training.

    Args:
        open_with: Opens the source with labels as `open_source` takes them.
        labels: `auto`, `none`, or the name of a column.
    """
    if labels != "auto":
        return open_with(False if labels == "none" else labels)
    try:
        source = open_with(True)
    except NoLabels:
        return open_with(False)
    if source.class_names is not None and len(source.class_names) < 2:  # one folder alone is no class
        return open_with(False)
    return source


def all_of(source: Source) -> Int[Tensor, " k"]:
    """Return the index of every sample."""
    return torch.arange(len(source))
