"""Give learning rate, weight decay or momentum as a pure function of the step: nothing to save, nothing to resume.

Every schedule is a frozen, picklable record that is called with the number of the optimizer step, counted from 0.
Inside it counts `k = step + offset`. The published recipes count learning rates and weight decay from 1 on the first
step (`offset=1`, so that the first step is not taken with the start value) and EMA momentum from 0 (`offset=0`).

    Constant             value
    Linear               start -> end, then stays
    Cosine               start -> end along half a cosine, then stays
    WarmupCosine         linear start -> peak, cosine peak -> end, then stays
    WarmupStableDecay    linear start -> peak, peak, linear peak -> end, then stays

Source: Assran et al. 2023, I-JEPA (arXiv 2301.08243) and its released code; Assran et al. 2025, V-JEPA 2 (arXiv
2506.09985) for warm-up, constant and decay. Deviation: past the last step a cosine stays at its end,
where the published code lets it rise again.
"""

import math
from dataclasses import dataclass

from jepakit.types import UserError


@dataclass(frozen=True, kw_only=True)
class Constant:
    """Give the same value at every step."""

    value: float

    def __call__(self, step: int) -> float:
        """Return the value."""
        return self.value


@dataclass(frozen=True, kw_only=True)
class Linear:
    """Go from `start` at k = 0 to `end` at k = num_steps in a straight line; the default counts from 0, as EMA does."""

    start: float
    end: float
    num_steps: int
    offset: int = 0

    def __post_init__(self) -> None:
        _require_positive("num_steps", self.num_steps)

    def __call__(self, step: int) -> float:
        """Return the value at this step."""
        return _line(self.start, self.end, (step + self.offset) / self.num_steps)


@dataclass(frozen=True, kw_only=True)
class Cosine:
    """Go from `start` at k = 0 to `end` at k = num_steps along half a cosine, up or down (I-JEPA's weight decay)."""

    start: float
    end: float
    num_steps: int
    offset: int = 1

    def __post_init__(self) -> None:
        _require_positive("num_steps", self.num_steps)

    def __call__(self, step: int) -> float:
        """Return the value at this step."""
        return _half_cosine(self.start, self.end, (step + self.offset) / self.num_steps)


@dataclass(frozen=True, kw_only=True)
class WarmupCosine:
    """Rise in a line from `start` to `peak` over the warm-up, then fall to `end` along half a cosine.

    Args:
        peak: Value at k = num_warmup_steps.
        num_steps: Steps in all, warm-up included; `end` is reached at k = num_steps.
        num_warmup_steps: Steps of the warm-up; 0 for none.
        start: Value at k = 0.
        end: Last value.
        offset: k at step 0.
    """

    peak: float
    num_steps: int
    num_warmup_steps: int
    start: float = 0.0
    end: float = 0.0
    offset: int = 1

    def __post_init__(self) -> None:
        _require_fit(self.num_steps, self.num_warmup_steps)

    def __call__(self, step: int) -> float:
        """Return the value at this step."""
        k = step + self.offset
        if k < self.num_warmup_steps:
            return _line(self.start, self.peak, k / self.num_warmup_steps)
        return _half_cosine(
            self.peak, self.end, _fraction(k - self.num_warmup_steps, self.num_steps - self.num_warmup_steps)
        )


@dataclass(frozen=True, kw_only=True)
class WarmupStableDecay:
    """Rise in a line to `peak`, stay there, and fall in a line to `end` over the last steps.

    Args:
        peak: Value between warm-up and decay.
        num_steps: Steps in all; `end` is reached at k = num_steps.
        num_warmup_steps: Steps of the warm-up; 0 for none.
        num_decay_steps: Steps of the decay; 0 for none.
        start: Value at k = 0.
        end: Last value.
        offset: k at step 0.
    """

    peak: float
    num_steps: int
    num_warmup_steps: int
    num_decay_steps: int
    start: float = 0.0
    end: float = 0.0
    offset: int = 1

    def __post_init__(self) -> None:
        _require_fit(self.num_steps, self.num_warmup_steps, self.num_decay_steps)

    def __call__(self, step: int) -> float:
        """Return the value at this step."""
        k = step + self.offset
        if k < self.num_warmup_steps:
            return _line(self.start, self.peak, k / self.num_warmup_steps)
        num_stable_end = self.num_steps - self.num_decay_steps
        if k <= num_stable_end:
            return self.peak
        return _line(self.peak, self.end, _fraction(k - num_stable_end, self.num_decay_steps))


def _line(start: float, end: float, fraction: float) -> float:
    return start + (end - start) * min(1.0, fraction)


def _half_cosine(start: float, end: float, fraction: float) -> float:
    return end + (start - end) * 0.5 * (1.0 + math.cos(math.pi * min(1.0, fraction)))


def _fraction(num_done: int, num_steps: int) -> float:
    return (
        num_done / num_steps if num_steps > 0 else 0.0
    )  # a part of no steps never begins: the value stays at its peak


def _require_positive(name: str, value: int) -> None:
    if value < 1:
        raise UserError(f"a schedule needs {name} of at least 1, got {value}; give the number of optimizer steps.")


def _require_fit(num_steps: int, *parts: int) -> None:
    _require_positive("num_steps", num_steps)
    if min(parts) < 0 or sum(parts) > num_steps:
        raise UserError(
            f"warm-up and decay of {' + '.join(map(str, parts))} steps do not fit into num_steps={num_steps}; "
            "shorten them or train for longer."
        )
