"""Step a method: data in, loss, gradient, guarded update, after_step; log, look at health and save on the way.

The loop knows a method through the `Method` protocol and nothing else. Within a step nothing waits for the device:
losses stay tensors until a log point.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from jepakit.collectives import rank
from jepakit.storage import Run, write_json
from jepakit.training import checkpoint
from jepakit.training.config import TrainingConfig
from jepakit.training.distributed import any_process, wrap
from jepakit.training.interrupt import Interrupt
from jepakit.training.memory import keep_freed_memory
from jepakit.training.monitor import Monitor
from jepakit.training.optimizer import Optimizer
from jepakit.training.precision import autocast
from jepakit.training.progress import Progress, Silent
from jepakit.types import ImageBatch, StepOutput, UserError

Batches = Callable[[int], Iterator[tuple[int, ImageBatch]]]


@dataclass(frozen=True)
class TrainingResult:
    """Say where training stands.

    Args:
        step: Steps done.
        seconds: Seconds spent in steps, over all sessions of the run.
        interrupted_by: The signal that ended it early, or None.
    """

    step: int
    seconds: float
    interrupted_by: int | None

    def require_whole(self) -> None:
        """Raise KeyboardInterrupt where a signal ended training early: half a training is not passed off as one."""
        if self.interrupted_by is not None:
            raise KeyboardInterrupt


class Trainer:
    """Train one method in one run directory, going on exactly where the last checkpoint ended.

    Args:
        method: Any module that follows the `Method` protocol, on the device on which it trains.
        config: How to train.
        run: Where to save and log.
        batches: Gives, from a step on, every (step, batch) that follows; a pure function of the step.
        monitor: Measures health; None measures nothing.
        progress: Where to show what happens.
    """

    def __init__(
        self,
        method: nn.Module,
        config: TrainingConfig,
        run: Run,
        batches: Batches,
        *,
        monitor: Monitor | None = None,
        progress: Progress | None = None,
    ):
        self.method = cast(Any, method)
        self.config = config
        self.run = run
        self.batches = batches
        self.monitor = monitor
        self.progress = progress or Silent()
        self.device = next(method.parameters()).device
        if self.device.type == "cpu":
            keep_freed_memory()
        self.optimizer = Optimizer(self.method.param_groups(), config, self.device)
        self.step = 0
        self.seconds = 0.0
        self.num_images = 0
        self._saved_at = time.perf_counter()

    def fit(self) -> TrainingResult:
        """Train to the configured number of steps, or until a signal; returns where it stands.

        Raises:
            UserError: A loss or gradient was not finite (which term, at which step), or the disk is full.
        """
        self._resume()
        interrupt = Interrupt()
        with ExitStack() as stack:
            stack.enter_context(interrupt.watching())
            stack.callback(self.progress.close)
            self._measure_health()
            wrapped = wrap(self.method)
            self._saved_at = time.perf_counter()
            start, logged_step = time.perf_counter(), self.step
            for step, batch in self._remaining():
                output, norm = self._update(wrapped, batch, step)
                self.step = step + 1
                self.num_images += len(batch)
                if self._is_log_point() or (interrupt and self._stops_alone()):
                    self._refuse_non_finite(batch)
                    interval_s = time.perf_counter() - start
                    self.seconds += interval_s
                    self._log(output, norm, interval_s, self.step - logged_step)
                    stop = any_process(bool(interrupt))
                    self._keep(force=stop)
                    start, logged_step = time.perf_counter(), self.step
                    if stop:
                        break
        return TrainingResult(self.step, self.seconds, interrupt.signal_number)

    def _is_log_point(self) -> bool:
        """Return whether this step's losses are read, which waits for the device."""
        due = (self.config.log_every, self.config.health_every, self.config.num_steps)
        return any(every and self.step % every == 0 for every in due)

    def _stops_alone(self) -> bool:
        """Return whether this process may leave between log points: alone it may, in a group all leave together."""
        return torch.distributed.is_available() and not torch.distributed.is_initialized()

    def _remaining(self) -> Iterator[tuple[int, ImageBatch]]:
        """Yield every batch that is still to come, on the device."""
        if self.step >= self.config.num_steps:
            return
        for step, batch in self.batches(self.step):
            yield step, batch.to(self.device)
            if step + 1 >= self.config.num_steps:
                return

    def _update(self, wrapped: nn.Module, batch: ImageBatch, step: int) -> tuple[StepOutput, Tensor]:
        """Do one optimizer step over a batch, cut into parts where gradients are accumulated."""
        self.method.train()
        parts = self.config.accumulation
        for part in range(parts):
            sync = nullcontext() if part + 1 == parts or wrapped is self.method else wrapped.no_sync()  # type: ignore[operator]
            share = ImageBatch(batch.image.tensor_split(parts)[part], batch.id.tensor_split(parts)[part])
            with sync:
                with autocast(self.config.precision, self.device):
                    output: StepOutput = wrapped(share, step)
                (output.loss / parts).backward()
        norm = self.optimizer.step(step, output.loss, output.terms)
        self.method.after_step(step)
        return output, norm

    def _refuse_non_finite(self, batch: ImageBatch) -> None:
        """Stop if a step since the last log point was not finite; weights and checkpoint are those before it."""
        failure = self.optimizer.failure()
        if failure is None:
            return
        culprits = [n for n, v in failure.items() if not math.isfinite(v)]
        context = {name: value if math.isfinite(value) else str(value) for name, value in failure.items()}
        ids = {"ids_of_the_step_that_noticed": batch.id.tolist()}
        write_json(self.run.file(f"artifacts/non-finite-{rank()}.json"), context | ids)
        raise UserError(
            f"Step {int(failure['step'])} was not finite (term {', '.join(culprits) or 'loss'}); the weights were not "
            f"touched by it and the last checkpoint is sound. Its terms are in {self.run.file('artifacts')}; try a "
            "lower learning rate, clip_norm, or precision fp32."
        )

    def _log(self, output: StepOutput, norm: Tensor, interval_s: float, num_steps: int) -> None:
        """Write one row of metrics and show it."""
        values = {"loss": output.loss.detach(), "gradient_norm": norm, "energy": output.energy.nanmean()}
        values |= {f"term/{name}": value for name, value in output.terms.items()}
        read = torch.stack([v.float() for v in values.values()]).tolist()
        seconds_per_step = interval_s / max(num_steps, 1)
        row: dict[str, float] = {"step": self.step} | dict(zip(values, read, strict=True))
        row |= {
            "learning_rate": self.optimizer.learning_rate(self.step - 1),
            "seconds": self.seconds,
            "seconds_per_step": seconds_per_step,
            "images_per_s": self.config.batch_size / seconds_per_step,
        }
        if rank() == 0:
            finite = {name: value if math.isfinite(value) else None for name, value in row.items()}
            self.run.log({"kind": "train"} | finite)
            self.progress.update(row, self.config.num_steps)

    def _keep(self, force: bool) -> None:
        """Measure health and save when they are due; a health measurement is always followed by a checkpoint."""
        every = self.config.health_every
        is_last = self.step == self.config.num_steps
        is_healthy = self._measure_health() if is_last or (every and self.step % every == 0) else None
        is_due = time.perf_counter() - self._saved_at >= self.config.save_every_s
        if rank() == 0 and (force or is_last or is_healthy is not None or is_due):
            state = {"step": self.step, "seconds": self.seconds, "num_images": self.num_images}
            checkpoint.save(self.run, self.method, self.optimizer, state)
            if is_healthy:
                self.run.mark_healthy()
            self._saved_at = time.perf_counter()

    def _measure_health(self) -> bool | None:
        """Measure health, log it and say the verdict; returns whether it is healthy, or None where none is measured."""
        if self.monitor is None:
            return None
        before = self.run.metrics("health")
        if any(row["step"] == self.step for row in before):
            return None  # a resumed run has this measurement already
        reference = before[0]["spaces"] if before and before[0]["step"] == 0 else None
        report = self.monitor.measure(self.method, self.step, reference)
        if rank() == 0:
            self.run.log(report.row())
            self.progress.say(report.sentence())
        return report.healthy

    def _resume(self) -> None:
        """Take up the last checkpoint, if there is one, and forget what was logged after it."""
        state: Mapping[str, Any] | None = checkpoint.restore(self.run, self.method, self.optimizer)
        if state is None:
            self.run.rewind(-1)
            return
        self.step, self.seconds, self.num_images = state["step"], state["seconds"], state["num_images"]
        self.run.rewind(self.step)
        self.progress.say(f"Going on from step {self.step} of {self.config.num_steps} ({self.run.path}).")
