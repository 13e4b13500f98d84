"""Batches move and are cut as one: every tensor, in order, and what is absent stays absent."""

from typing import Any

import pytest
import torch

from jepakit.types import ClipBatch, ImageBatch, SignalBatch, VideoBatch

IDS = torch.arange(5)
FRAMES = torch.randint(0, 256, (5, 3, 1, 4, 4), dtype=torch.uint8)
BATCHES: dict[str, Any] = {
    "images": ImageBatch(FRAMES[:, 0], IDS),
    "signals": SignalBatch(torch.randn(5, 2, 7), IDS),
    "video": VideoBatch(FRAMES, IDS),
    "clips": ClipBatch(FRAMES, torch.randn(5, 2, 3), IDS),
    "clips that feel": ClipBatch(FRAMES, torch.randn(5, 2, 3), IDS, torch.randn(5, 3, 2)),
}


def tensors(batch: Any) -> list[torch.Tensor | None]:
    return list(vars(batch).values())


@pytest.mark.parametrize("name", list(BATCHES))
def test_parts_put_together_are_the_batch(name: str) -> None:
    batch = BATCHES[name]
    parts = batch.parts(2)
    assert [len(part) for part in parts] == [3, 2] and all(type(part) is type(batch) for part in parts)
    for whole, *cut in zip(tensors(batch), *map(tensors, parts), strict=True):
        assert cut == [None, None] if whole is None else torch.equal(torch.cat(cut), whole)


@pytest.mark.parametrize("name", list(BATCHES))
def test_all_tensors_move(name: str) -> None:
    moved = BATCHES[name].to("meta")
    assert type(moved) is type(BATCHES[name])
    for part, before in zip(tensors(moved), tensors(BATCHES[name]), strict=True):
        assert (part is None) == (before is None) and (part is None or part.is_meta)


def test_views_are_made_of_the_content() -> None:
    assert all(torch.equal(BATCHES[name].content, tensors(BATCHES[name])[0]) for name in ("images", "signals", "video"))
