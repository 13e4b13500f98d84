"""Learn an encoder by predicting: what is predicted, and what keeps embeddings from collapsing, is all that differs.

    next-input      decoder(z_t) -> x_{t+1}                      the raw observation
    masked-input    decoder(encoder(x_t, part of it hidden)) -> what was hidden
    ema             predictor(z_t) -> whitened z_{t+1} of a moving average of the encoder
    sigreg, vicreg  predictor(z_t) -> z_{t+1}, gradient through both, with a regularizer over the batch

Several networks learn at once, a seed each, and none knows of the others (`jepakit.nn.stacked`); of the draws of one
step only SIGReg's directions are the same for all.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor, nn

from jepakit.nn.schedules import Constant, WarmupCosine
from jepakit.nn.stacked import StackedWhitening
from jepakit.nn.target import EMATarget
from jepakit.objectives import Covariance, SIGReg, Variance

MASKED = "masked-input"
"""The arm that sees one frame and hides a part of it."""


@dataclass(frozen=True)
class Setting:
    """Hold what is chosen of an arm.

    Args:
        learning_rate: Of AdamW, at its highest.
        knob: What else the arm has to choose; `Arm.knob` says what it is.
    """

    learning_rate: float
    knob: float


@dataclass(frozen=True)
class Arm:
    """Describe one way to learn an encoder.

    Args:
        is_jepa: Whether it predicts embeddings.
        knob: What its second setting is.
        tried: The settings from which one is chosen, as many for every arm.
    """

    is_jepa: bool
    knob: str
    tried: tuple[Setting, ...]


def _settings(*knobs: float) -> tuple[Setting, ...]:
    return tuple(Setting(rate, knob) for rate in (4e-3, 1e-2) for knob in knobs)


ARMS: Mapping[str, Arm] = {
    "ema": Arm(True, "momentum", _settings(0.9, 0.99)),
    "sigreg": Arm(True, "weight of SIGReg", _settings(3.0, 10.0)),
    "vicreg": Arm(True, "weight of variance and covariance", _settings(1.0, 3.0)),
    "next-input": Arm(False, "weight decay", _settings(0.01, 0.3)),
    MASKED: Arm(False, "share hidden", _settings(0.5, 0.75)),
}
"""The arms by name; all have the same encoder, steps, batches and number of tried settings."""


class Learner(nn.Module):
    """Hold the networks of an arm and return their losses.

    Args:
        arm: Its name, a key of `ARMS`.
        knob: Its second setting.
        encoder: Maps frames (s, r, ...) to embeddings (s, r, d).
        predictor: Maps the embeddings of what is seen, laid end to end (s, b, k), to what is asked, (s, b, m).
        size: Networks s and width d of the embeddings.
    """

    def __init__(self, arm: str, knob: float, encoder: nn.Module, predictor: nn.Module, size: tuple[int, int]):
        super().__init__()
        self.arm, self.knob = arm, knob
        self.encoder, self.predictor = encoder, predictor
        self.target = EMATarget(encoder, Constant(value=knob), StackedWhitening(*size)) if arm == "ema" else None
        self.sigreg, self.variance, self.covariance = SIGReg(num_slices=16), Variance(), Covariance()

    def forward(
        self, frames: Float[Tensor, "s b t *x"], step: int, hidden: Bool[Tensor, "s b *x"] | None = None
    ) -> Float[Tensor, ""]:
        """Return the sum of the losses of all networks, so that the gradient of each is its own.

        Args:
            frames: Of each network; the last is to be predicted from those before.
            step: Of training.
            hidden: What masked reconstruction hides of the first frame; read by no other arm.
        """
        num, asked = len(frames), frames[:, :, -1]
        if self.arm == MASKED:
            assert hidden is not None
            seen = frames[:, :, 0]
            drawn = self.predictor(self.encoder(seen.masked_fill(hidden, 0.0)))
            error = (drawn - seen.flatten(2)).square() * hidden.flatten(2)
            return num * error.sum() / hidden.sum()
        if self.arm == "next-input":
            return num * (self._predicted(self._encoded(frames[:, :, :-1])) - asked.flatten(2)).square().mean()
        if self.target is not None:
            return num * (self._predicted(self._encoded(frames[:, :, :-1])) - self.target(asked)).square().mean()
        z = self._encoded(frames)
        error = (self._predicted(z[:, :, :-1]) - z[:, :, -1]).square().mean()
        return num * (error + self.knob * self._spread(rearrange(z, "s b t d -> b (s t) d"), step))

    def _encoded(self, frames: Float[Tensor, "s b t *x"]) -> Float[Tensor, "s b t d"]:
        """Return the embedding of every frame."""
        z: Tensor = self.encoder(frames.flatten(1, 2))
        return z.unflatten(1, frames.shape[1:3])

    def _predicted(self, z: Float[Tensor, "s b t d"]) -> Float[Tensor, "s b m"]:
        """Return what is predicted from the embeddings of all that is seen."""
        z_hat: Tensor = self.predictor(z.flatten(2))
        return z_hat

    def _spread(self, z: Float[Tensor, "b g d"], step: int) -> Float[Tensor, ""]:
        """Return the regularizer of embeddings, each network's and each time's tested apart."""
        if self.arm == "sigreg":
            return self.sigreg(z, step)
        return self.variance(z, step) + self.covariance(z, step)


@dataclass(frozen=True)
class Lessons:
    """Say what a training sees.

    Args:
        num_steps: Updates.
        frames: Returns the frames (s, b, t, ...) of a step.
        hidden: Returns what masked reconstruction hides at a step, (s, b, ...); None where no arm does.
    """

    num_steps: int
    frames: Callable[[int], Tensor]
    hidden: Callable[[int], Tensor] | None = None


def learn(
    learner: Learner, learning_rate: float, lessons: Lessons, look: Callable[[int], None] = lambda _: None
) -> None:
    """Train an arm by AdamW; the learning rate rises over a tenth of the steps and falls along a cosine.

    Args:
        learner: The arm; trained in place.
        learning_rate: The highest.
        lessons: What it sees.
        look: Told how many steps are done, after each.
    """
    decay = learner.knob if learner.arm == "next-input" else 0.0
    learned = [parameter for parameter in learner.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(learned, lr=learning_rate, weight_decay=decay, fused=True)
    num = lessons.num_steps
    rate = WarmupCosine(peak=learning_rate, num_steps=num, num_warmup_steps=num // 10)
    for step in range(num):
        optimizer.param_groups[0]["lr"] = rate(step)
        optimizer.zero_grad()
        hidden = lessons.hidden(step) if lessons.hidden is not None and learner.arm == MASKED else None
        learner(lessons.frames(step), step, hidden).backward()
        optimizer.step()
        if learner.target is not None:
            learner.target.after_step(step)
        look(step + 1)
