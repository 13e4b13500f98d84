"""Say how to train: how long, how fast, in what precision, and when to save and look."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from jepakit.nn.schedules import Constant, Cosine, WarmupCosine, WarmupStableDecay
from jepakit.types import UserError

Schedule = Callable[[int], float]

_RULES: tuple[tuple[tuple[str, ...], Callable[[Any], bool], str], ...] = (
    (("num_steps", "batch_size", "accumulation", "log_every"), lambda n: n >= 1, "at least 1"),
    (("warmup_steps", "decay_steps", "health_every", "save_every_s", "num_workers"), lambda n: n >= 0, "at least 0"),
    (("learning_rate", "muon_ratio"), lambda x: 0 < x < math.inf, "above 0 and finite"),
    (("initial_learning_rate", "final_learning_rate"), lambda x: 0 <= x < math.inf, "at least 0 and finite"),
    (("weight_decay",), lambda x: 0 <= x < math.inf, "at least 0 and finite"),
    (("final_weight_decay",), lambda x: x is None or 0 <= x < math.inf, "at least 0 and finite, or None"),
    (("betas",), lambda pair: len(pair) == 2 and all(0 <= x < 1 for x in pair), "two numbers from 0 to below 1"),
    (("clip_norm",), lambda x: x is None or x > 0, "above 0, or None, which clips nothing"),
)
"""What each number must be: the settings, the rule, and the rule in words."""


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """Set the optimizer, the schedules, the precision and the rhythm of logging, health and checkpoints.

    Args:
        num_steps: Optimizer steps in all.
        batch_size: Images a step, over all processes and accumulated parts.
        accumulation: Parts into which a step's batch is cut; statistics over a batch are then those of a part.
        optimizer: `adamw`, or `muon` for the encoder's matrices and convolutions beside AdamW for the rest: a step
            costs more and learns more, which pays where a forward pass is dear (docs/training.md).
        muon_ratio: Muon's learning rate over AdamW's, which is `learning_rate`.
        learning_rate: Peak learning rate.
        initial_learning_rate: Learning rate of the first step of the warm-up.
        final_learning_rate: Learning rate at the end.
        warmup_steps: Steps of linear warm-up.
        schedule: `cosine`, or `wsd`: warm-up, constant, then linear decay over the last `decay_steps`.
        decay_steps: Length of the decay of `wsd`.
        weight_decay: Weight decay of matrices at the start; biases, norms and tokens have none.
        final_weight_decay: Weight decay at the end (cosine in between); None keeps it constant.
        clip_norm: Largest gradient norm; None clips nothing.
        precision: `bf16` autocast, `fp32`, or `auto`: bf16 where the machine computes in it.
        compile: Whether to compile the encoder and the predictor with torch.compile.
        log_every: Steps between two log lines.
        health_every: Steps between two health measurements; 0 measures at the end only.
        save_every_s: Seconds between two checkpoints.
        num_workers: Processes that decode images.
        device: `auto` takes a GPU where there is one.
    """

    num_steps: int
    batch_size: int = 256
    accumulation: int = 1
    optimizer: Literal["adamw", "muon"] = "adamw"
    muon_ratio: float = 1.0
    learning_rate: float = 1e-3
    initial_learning_rate: float = 0.0
    final_learning_rate: float = 0.0
    warmup_steps: int = 0
    schedule: Literal["cosine", "wsd"] = "cosine"
    decay_steps: int = 0
    weight_decay: float = 0.05
    final_weight_decay: float | None = None
    betas: tuple[float, float] = (0.9, 0.999)
    clip_norm: float | None = None
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    compile: bool = False
    log_every: int = 50
    health_every: int = 0
    save_every_s: float = 60.0
    num_workers: int = 2
    device: str = "auto"

    def __post_init__(self) -> None:
        """Refuse settings that cannot be trained with."""
        for names, is_fine, words in _RULES:
            for name in names:
                if not is_fine(getattr(self, name)):
                    raise UserError(f"{name} must be {words}, got {getattr(self, name)}.")
        if self.batch_size < 2 * self.accumulation:
            raise UserError(
                f"batch_size {self.batch_size} cut into {self.accumulation} parts leaves fewer than 2 images a part; "
                "statistics over a batch need at least 2."
            )
        if self.warmup_steps + self.decay_steps > self.num_steps:
            both = "--training.warmup-steps and --training.decay-steps"
            raise UserError(
                f"warmup_steps {self.warmup_steps} + decay_steps {self.decay_steps} exceed num_steps {self.num_steps}; "
                f"lower them with {both if self.decay_steps else '--training.warmup-steps'}."
            )
        if self.schedule == "wsd" and self.decay_steps == 0:
            raise UserError(
                "schedule wsd needs decay_steps of at least 1, got 0; set it with --training.decay-steps, or take "
                "--training.schedule cosine."
            )

    def learning_rate_schedule(self) -> Schedule:
        """Return the learning rate as a function of the step, counted from 0."""
        if self.schedule == "wsd":
            return WarmupStableDecay(
                peak=self.learning_rate,
                start=self.initial_learning_rate,
                end=self.final_learning_rate,
                num_steps=self.num_steps,
                num_warmup_steps=self.warmup_steps,
                num_decay_steps=self.decay_steps,
            )
        return WarmupCosine(
            peak=self.learning_rate,
            start=self.initial_learning_rate,
            end=self.final_learning_rate,
            num_steps=self.num_steps,
            num_warmup_steps=self.warmup_steps,
        )

    def weight_decay_schedule(self) -> Schedule:
        """Return the weight decay as a function of the step, counted from 0."""
        if self.final_weight_decay is None:
            return Constant(value=self.weight_decay)
        return Cosine(start=self.weight_decay, end=self.final_weight_decay, num_steps=self.num_steps)
