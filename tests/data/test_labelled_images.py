"""Labelled sets for probes: labels follow their images, also past broken files and other numberings."""

from pathlib import Path

import pytest
import torch

from jepakit.data import Digits, Folder, ImageDecoder, Labelled, Subset, read_labelled
from jepakit.types import UserError


def test_labels_follow_their_images_past_broken_files(mixed_folder: Path) -> None:
    folder = Folder(mixed_folder, labels="folder")
    labelled, skipped = read_labelled(ImageDecoder(folder, 3, 8), num_workers=0)
    assert len(labelled) == 30
    assert len(skipped) == 6
    assert torch.bincount(labelled.labels).tolist() == [10, 10, 10]


def test_a_source_without_labels_is_refused(mixed_folder: Path) -> None:
    with pytest.raises(UserError, match="labels=True"):
        read_labelled(ImageDecoder(Folder(mixed_folder), 3, 8), num_workers=0)


def test_selected_samples_keep_their_labels() -> None:
    labelled, _ = read_labelled(ImageDecoder(Subset(Digits(), range(20)), 1, 8), num_workers=0)
    part = labelled.select(torch.tensor([3, 1]))
    assert part.labels.tolist() == labelled.labels[[3, 1]].tolist()
    assert torch.equal(part.content[0], labelled.content[3])


def test_classes_are_renumbered_as_in_another_set() -> None:
    images = torch.zeros(3, 1, 2, 2, dtype=torch.uint8)
    test = Labelled(images, torch.tensor([0, 1, 0]), ("dog", "frog"))
    renumbered = test.with_classes(("cat", "dog", "frog"))
    assert renumbered.labels.tolist() == [1, 2, 1]
    assert renumbered.class_names == ("cat", "dog", "frog")
    with pytest.raises(UserError, match="Class 'frog' is not among the classes 'cat', 'dog'"):
        test.with_classes(("cat", "dog"))


def test_labels_that_do_not_fit_are_refused() -> None:
    images = torch.zeros(2, 1, 2, 2, dtype=torch.uint8)
    with pytest.raises(UserError, match="as many labels"):
        Labelled(images, torch.tensor([0]), ("a",))
    with pytest.raises(UserError, match=r"Labels must lie in \[0, 1\)"):
        Labelled(images, torch.tensor([0, 1]), ("a",))
