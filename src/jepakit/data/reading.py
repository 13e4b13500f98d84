"""Decode many samples, in worker processes where that pays, and keep count of those that cannot be read."""

import atexit
import inspect
import multiprocessing
import os
import signal
import sys
import time
import traceback
import warnings
import weakref
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from jaxtyping import Bool, Int, Shaped
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from jepakit.data.decoder import Decoded, Decoder
from jepakit.data.source import Skipped
from jepakit.types import UserError

Progress = Callable[[int, int], None]
_CHUNK = 64
_ALONE_S = 0.5  # a set that this process decodes within this time is not worth starting workers for


def default_num_workers() -> int:
    """Return how many worker processes to use where nobody said: one per CPU of this process, at most 8."""
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cpus, 8)


def decode_in_workers(
    decoder: Dataset[Decoded], requests: Iterable[Any], num_workers: int, pin_memory: bool = False
) -> Iterator[Decoded]:
    """Answer requests in order, working ahead in `num_workers` processes, or in this one if 0.

    Args:
        decoder: The source and the form, alone or `AtSteps`.
        requests: What each answer is asked for: ids as integers, which travel to a worker more cheaply than a tensor,
            beside their step for `AtSteps`; may be endless.
        num_workers: Processes.
        pin_memory: Give the samples in page-locked memory, from which a copy to the GPU need not be waited for.

    Raises:
        UserError: A worker process died.
    """
    parent_leaves = multiprocessing.Value("b", 0, lock=False)
    loader = DataLoader(
        decoder,
        batch_size=None,
        sampler=requests,
        num_workers=num_workers,
        collate_fn=_unchanged,
        pin_memory=pin_memory,
        worker_init_fn=partial(_leave_stopping_to_the_parent, parent_leaves),
        generator=torch.Generator(),  # else starting it would draw from, and change, the global generator
    )
    answers = _answers(loader, parent_leaves)
    alive = weakref.ref(answers, lambda _: atexit.unregister(leave))

    def leave() -> None:  # no worker may outlive this process, nor wait for its parent while that waits for it
        parent_leaves.value = 1
        left = alive()
        if left is not None and inspect.getgeneratorstate(left) != inspect.GEN_RUNNING:  # another thread may wait in it
            left.close()

    atexit.register(leave)
    return answers


def _leave_stopping_to_the_parent(parent_leaves: Any, worker: int) -> None:
    """Ignore Ctrl-C and SIGTERM in a worker: they reach the whole group, and the parent still needs it to stop well.

    Once the parent leaves, SIGTERM is its way to end a worker that does not end by itself, and is obeyed.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0) if parent_leaves.value else None)


def _answers(loader: "DataLoader[Decoded]", parent_leaves: Any) -> Generator[Decoded, None, None]:
    with warnings.catch_warnings():
        # Python 3.12 warns of forking beside threads; the children use Pillow and single-threaded torch alone.
        warnings.filterwarnings("ignore", message=".*multi-threaded, use of fork", category=DeprecationWarning)
        answers = iter(loader)
    try:
        yield from answers
    except RuntimeError as error:
        if not str(error).startswith("DataLoader worker"):  # else it is the decoder that raised
            raise
        raise UserError(
            f"A process that decodes samples died ({str(error).splitlines()[0].rstrip('. ')}), most often for lack of "
            "memory or shared memory; use fewer --num-workers, or 0."
        ) from error
    finally:
        parent_leaves.value = 1
        error_now = sys.exception()
        while error_now is not None:  # the frames of an error would keep the workers until it is forgotten
            traceback.clear_frames(error_now.__traceback__)
            error_now = error_now.__cause__
        del answers


def _unchanged(item: Any) -> Any:
    return item


@dataclass(frozen=True)
class DecodedSet:
    """Hold a whole decoded source: row i of `content` is sample i where `readable[i]`, and void elsewhere."""

    content: Shaped[Tensor, "b ..."]
    readable: Bool[Tensor, " b"]
    skipped: list[Skipped]


def decode_all(decoder: Decoder, num_workers: int, progress: Progress | None = None) -> DecodedSet:
    """Decode every sample of a source once.

    Args:
        decoder: The source and the form.
        num_workers: Processes to use once this one has found the set too large to do alone.
        progress: Called with the number done and the total, now and then.

    Raises:
        UserError: Not one sample can be read.
    """
    num = len(decoder.source)
    content = decoder.void(num)
    readable = torch.zeros(num, dtype=torch.bool)
    skipped: list[Skipped] = []
    num_done = 0
    for samples, kept, broken in _in_chunks(decoder, num_workers):
        content[kept] = samples
        readable[kept] = True
        skipped += broken
        num_done += len(kept) + len(broken)
        if progress is not None:
            progress(num_done, num)
    if not bool(readable.any()):
        raise UserError(unreadable_sentence(skipped, "samples of the source"))
    return DecodedSet(content, readable, skipped)


def _in_chunks(decoder: Decoder, num_workers: int) -> Iterator[Decoded]:
    """Decode a source in order: in this process for a moment, and what is then left in workers."""
    num = len(decoder.source)
    chunks = (list(range(start, min(start + _CHUNK, num))) for start in range(0, num, _CHUNK))
    end = time.perf_counter() + _ALONE_S
    for ids in chunks:
        yield decoder[ids]
        if time.perf_counter() > end:
            break
    left = list(chunks)
    if left:
        yield from decode_in_workers(decoder, left, num_workers)


def unreadable_sentence(skipped: list[Skipped], what: str) -> str:
    """Say that nothing could be read, and name the first reason."""
    if not skipped:
        return f"There are no {what}."
    return f"None of the {len(skipped)} {what} can be read; the first, {skipped[0].name!r}: {skipped[0].reason}."


def read_all(
    decoder: Decoder, num_workers: int | None = None, progress: Progress | None = None
) -> tuple[Shaped[Tensor, "b ..."], Int[Tensor, " b"], list[Skipped]]:
    """Decode a whole source, for evaluation and embedding.

    Args:
        decoder: The source and the form.
        num_workers: Worker processes; by default one per CPU, at most 8.
        progress: Called with the number done and the total, now and then.

    Returns:
        The samples that can be read, their ids (ascending), and the others.

    Raises:
        UserError: Not one sample can be read.
    """
    decoded = decode_all(decoder, default_num_workers() if num_workers is None else num_workers, progress)
    ids = torch.nonzero(decoded.readable)[:, 0]
    return (decoded.content[ids] if decoded.skipped else decoded.content), ids, decoded.skipped
