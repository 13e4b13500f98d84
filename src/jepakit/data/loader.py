"""Give a training run its batches: those of step s are the same whenever, wherever and however they are made.

The ids of a step are a pure function of (seed, step) (`order`), shared among processes as they stand at that moment.
There is no state: a run resumes at any step by starting there. A decoded set that fits the memory budget is decoded
once and then indexed; a larger one is decoded by worker processes as it is needed. Both give equal batches.

One rule for samples that cannot be read, in both: the order counts them, and they are dropped from the batch they fall
into, which is then smaller. So the ids of a batch never depend on which files happen to be broken elsewhere. A process
that can read nothing of its share takes its share of the next step of which it can read something, and comes to that
step again in its turn: it needs no other process for that, so none waits, and a resumed run does the same.
"""

import itertools
from collections.abc import Iterator

import torch
from torch import Tensor

from jepakit.collectives import rank, world_size
from jepakit.data.decoder import AtSteps, Decoded, Decoder
from jepakit.data.order import Order
from jepakit.data.reading import DecodedSet, Progress, decode_all, decode_in_workers, default_num_workers
from jepakit.data.source import Skipped
from jepakit.types import Batch, UserError

MEMORY_BUDGET = 2 * 2**30
_LOOK_AHEAD = 32  # steps in a row of which nothing can be read before that is the fault of more than a few files


class Loader:
    """Iterate over (step, batch) without end, from `start_step` on; each iteration starts anew.

    Args:
        decoder: The source and the form; a sample's id is its index there.
        batch_size: Samples of a step over all processes.
        seed: The run's seed, which decides the order.
        num_workers: Worker processes; by default one per CPU, at most 8.
        start_step: The first step to give.
        memory_budget: Bytes of decoded samples up to which all are kept.
        progress: Called with the number decoded and the total while a set is decoded once.

    Raises:
        UserError: The batch is larger than the source; in an iteration: many steps in a row hold no readable one.
    """

    def __init__(
        self,
        decoder: Decoder,
        batch_size: int,
        seed: int,
        num_workers: int | None = None,
        start_step: int = 0,
        *,
        memory_budget: int = MEMORY_BUDGET,
        progress: Progress | None = None,
    ) -> None:
        self.order = Order(num_samples=len(decoder.source), batch_size=batch_size, seed=seed)
        self.decoder = decoder
        self.num_workers = default_num_workers() if num_workers is None else num_workers
        self.start_step = start_step
        self.in_memory = decoder.fixed and len(decoder.source) * decoder.void(1).nbytes <= memory_budget
        self._pin = torch.cuda.is_available()
        self._progress = progress
        self._decoded: DecodedSet | None = None
        self._skipped: dict[int, Skipped] = {}

    @property
    def skipped(self) -> list[Skipped]:
        """Samples that could not be read, once each, by id: all of them in memory, else those this process has met."""
        return [self._skipped[index] for index in sorted(self._skipped)]

    def from_step(self, step: int) -> Iterator[tuple[int, Batch]]:
        """Return an iterator that begins at another step, as a resumed run asks for it."""
        self.start_step = step
        return iter(self)

    def __iter__(self) -> Iterator[tuple[int, Batch]]:
        place = rank(), world_size()
        requests = ((step, self.order.share(step, *place).tolist()) for step in itertools.count(self.start_step))
        if self.in_memory:
            self._decode_once()
            answers: Iterator[Decoded] = itertools.starmap(self._read, requests)
        else:
            answers = decode_in_workers(AtSteps(self.decoder), requests, self.num_workers, self._pin)
        for step, (content, ids, skipped) in enumerate(answers, start=self.start_step):
            self._note(skipped)
            if not ids:
                content, ids = self._next_readable(step, place)
            yield step, self.decoder.batch(content, torch.tensor(ids, dtype=torch.long, pin_memory=self._pin))

    def _decode_once(self) -> None:
        if self._decoded is None:
            self._decoded = decode_all(self.decoder, self.num_workers, self._progress)
            self._note(self._decoded.skipped)

    def _next_readable(self, step: int, place: tuple[int, int]) -> tuple[Tensor, list[int]]:
        """Return samples and ids of the first step from this one on of which this process can read anything."""
        tried: dict[int, Skipped] = {}
        for later in range(step, step + _LOOK_AHEAD):
            content, ids, skipped = self._read(later, self.order.share(later, *place).tolist())
            self._note(skipped)
            if ids:
                return content, ids
            tried |= {skip.id: skip for skip in skipped}
        first = next(iter(tried.values()))
        raise UserError(
            f"None of the {len(tried)} samples of {_LOOK_AHEAD} steps in a row can be read; the first, {first.name!r}: "
            f"{first.reason}; mend or remove such files, or use a larger batch."
        )

    def _read(self, step: int, wanted: list[int]) -> Decoded:
        """Read samples in this process: from memory where they are there, else from the source."""
        if self._decoded is None:
            content, ids, skipped = self.decoder.at(step, wanted)
        else:
            ids = [index for index in wanted if index not in self._skipped]
            content, skipped = self._decoded.content[ids], [self._skipped[i] for i in wanted if i in self._skipped]
        return content.pin_memory() if self._pin and ids else content, ids, skipped

    def _note(self, skipped: list[Skipped]) -> None:
        self._skipped |= {skip.id: skip for skip in skipped}
