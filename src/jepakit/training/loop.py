"""Step a method: data in, loss, gradient, guarded update, after_step; log, look at health and save on the way.

The loop knows a method through the `Method` protocol and nothing else. Within a step nothing waits for the device:
losses stay tensors until a log point.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
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
from jepakit.types import Batch, StepOutput, UserError

Batches = Callable[[int], Iterator[tuple[int, Batch]]]


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


class NonFiniteError(UserError):
    """A loss or gradient that was not finite ended training.

    Args:
        sentence: Which term, at which step, and what to do.
        is_main: Whether this process is the one that writes.
    """

    def __init__(self, sentence: str, is_main: bool):
        super().__init__(sentence)
        self.is_main = is_main


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
        self.health = ""
        self._saved_at = time.perf_counter()

    def fit(self) -> TrainingResult:
        """Train to the configured number of steps, or until a signal; returns where it stands.

        Raises:
            NonFiniteError: A loss or gradient was not finite (which term, at which step).
            UserError: The disk is full, or the checkpoint is of another architecture.
        """
        self._resume()
        interrupt = Interrupt()
        with ExitStack() as stack:
            stack.enter_context(interrupt.watching())
            stack.callback(self.progress.close)
            self._begin()
            wrapped = wrap(self.method)
            self._saved_at = time.perf_counter()
            start, logged_step = time.perf_counter(), self.step
            for step, batch in self._remaining():
                output, norm = self._update(wrapped, batch, step)
                self.step = step + 1
                self.num_images += len(batch)
                if self._is_log_point() or (interrupt and self._stops_alone()):
                    self._refuse_non_finite()
                    interval_s = time.perf_counter() - start
                    self.seconds += interval_s
                    self._log(output, norm, interval_s, self.step - logged_step)
                    stop = any_process(bool(interrupt))
                    self._keep(force=stop)
                    start, logged_step = time.perf_counter(), self.step
                    if stop:
                        break
        return TrainingResult(self.step, self.seconds, interrupt.signal_number)

    def _begin(self) -> None:
        """Measure fresh weights, with which later ones are compared, and say what accumulation does to statistics."""
        if self.step == 0:
            self._measure_health()
        parts = self.config.accumulation
        if rank() == 0 and parts > 1 and self.step < self.config.num_steps:
            self.progress.say(
                f"Batches of {self.config.batch_size} are cut into {parts} parts: statistics over a batch (SIGReg, "
                f"variance, covariance, BatchNorm) are those of a part of {self.config.batch_size // parts}."
            )

    def _is_log_point(self) -> bool:
        """Return whether this step's losses are read, which waits for the device."""
        due = (self.config.log_every, self.config.health_every, self.config.num_steps)
        return any(every and self.step % every == 0 for every in due)

    def _stops_alone(self) -> bool:
        """Return whether this process may leave between log points: alone it may, in a group all leave together."""
        return torch.distributed.is_available() and not torch.distributed.is_initialized()

    def _remaining(self) -> Iterator[tuple[int, Batch]]:
        """Yield every batch that is still to come, on the device."""
        if self.step >= self.config.num_steps:
            return
        for step, batch in self.batches(self.step):
            yield step, batch.to(self.device)
            if step + 1 >= self.config.num_steps:
                return

    def _update(self, wrapped: nn.Module, batch: Batch, step: int) -> tuple[StepOutput, Tensor]:
        """Do one optimizer step over a batch, cut into parts where gradients are accumulated."""
        self.method.train()
        parts, outputs = self.config.accumulation, []
        for part, share in enumerate(batch.parts(parts)):
            sync = nullcontext() if part + 1 == parts or wrapped is self.method else wrapped.no_sync()  # type: ignore[operator]
            with sync:
                with autocast(self.config.precision, self.device):
                    output: StepOutput = wrapped(share, step)
                (output.loss / parts).backward()
            outputs.append(StepOutput(output.loss.detach(), output.terms, output.energy.detach()))
        output = _average(outputs)
        norm = self.optimizer.step(step, output.loss, output.terms)
        self.method.after_step(step)
        return output, norm

    def _refuse_non_finite(self) -> None:
        """Stop if a step since the last log point was not finite, with the last checkpoint's state, if there is one."""
        failure = self.optimizer.failure()
        if failure is None:
            return
        culprits = [n for n, v in failure.items() if not math.isfinite(v)]
        context = {name: value if math.isfinite(value) else str(value) for name, value in failure.items()}
        step = int(failure["step"])
        _, batch = next(iter(self.batches(step)))  # that step's, not those of the one at which this is noticed
        write_json(self.run.file(f"artifacts/non-finite-{rank()}.json"), context | {"ids": batch.id.tolist()})
        # the update changed nothing, but a moving average and running statistics went on
        saved = checkpoint.restore(self.run, self.method, self.optimizer)
        kept = f"the checkpoint of step {saved['step']} is sound" if saved else "no checkpoint was saved before it"
        raise NonFiniteError(
            f"Step {step} was not finite (term {', '.join(culprits) or 'loss'}); {kept}. "
            f"Its terms and ids are in {self.run.file('artifacts')}; try a lower learning rate, clip_norm, or "
            "precision fp32, with a new --out.",
            is_main=rank() == 0,
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
            self.progress.update(row | {"health": self.health}, self.config.num_steps)

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
        reference = before[0]["spaces"] if before and before[0]["step"] == 0 else None
        report = self.monitor.measure(self.method, self.step, reference)
        self.health = report.verdict.kind if self.step > 0 else ""
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
        verdicts = [row["verdict"]["kind"] for row in self.run.metrics("health") if "verdict" in row]
        self.health = verdicts[-1] if verdicts else ""
        self.progress.say(f"Going on from step {self.step} of {self.config.num_steps} ({self.run.path}).")


def _average(parts: Sequence[StepOutput]) -> StepOutput:
    """Return mean loss and mean terms over a step's parts, in which a NaN of any part shows, and all energies."""
    if len(parts) == 1:
        return parts[0]
    terms = {name: torch.stack([part.terms[name] for part in parts]).mean() for name in parts[0].terms}
    loss = torch.stack([part.loss for part in parts]).mean()
    return StepOutput(loss, terms, torch.cat([part.energy for part in parts]))
