"""Measure the health of a method on a fixed held-out set, the same images at every step, and put it into words."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from jepakit.health import Measurements, Verdict, diagnose, measure

_CHUNK = 256


@dataclass(frozen=True)
class HealthReport:
    """Hold the measurements of one moment and what they mean."""

    step: int
    spaces: Mapping[str, Mapping[str, float]]
    verdict: Verdict

    @property
    def healthy(self) -> bool:
        """Return whether the verdict is not collapse."""
        return self.verdict.healthy

    def row(self) -> dict[str, Any]:
        """Return this report as a row of metrics.jsonl; fresh weights are a reference and get no verdict."""
        row: dict[str, Any] = {"kind": "health", "step": self.step}
        if self.step > 0:
            row["verdict"] = asdict(self.verdict)
        return row | {"spaces": {name: dict(values) for name, values in self.spaces.items()}}

    def sentence(self) -> str:
        """Return the verdict in one line; that of fresh weights is only what later ones are compared with."""
        return f"health at step {self.step}: {self.verdict.sentence if self.step else 'noted as the reference.'}"


class Monitor:
    """Watch a method through held-out images that training never sees.

    Args:
        images: Prepared held-out images.
        views: Prepared augmented views of the same images, for alignment and LiDAR; None leaves these out.
        num_settling: Steps of the warm-up, in which a projector that has not opened yet is no collapse.
    """

    def __init__(
        self,
        images: Float[Tensor, "b *t c h w"],
        views: Float[Tensor, "b v *t c h w"] | None = None,
        num_settling: int = 0,
    ):
        self.images = images
        self.views = views
        self.num_settling = num_settling

    @torch.no_grad()
    def measure(self, method: Any, step: int, reference: Measurements | None = None) -> HealthReport:
        """Measure every space of the method in eval mode and diagnose it; the mode is restored.

        Args:
            method: What to measure.
            step: Steps done, for the record.
            reference: What was measured before the first step; sharpens the verdict.
        """
        was_training = method.training
        method.eval()
        spaces = self._spaces(method, self.images)
        each = [] if self.views is None else [self._spaces(method, view) for view in self.views.unbind(dim=1)]
        method.train(was_training)
        pooled = {name: torch.stack([view[name].mean(dim=1) for view in each], dim=1) for name in spaces if each}
        values = measure(spaces, pooled)
        return HealthReport(step, values, diagnose(values, reference, is_settling=step < self.num_settling))

    def _spaces(self, method: Any, images: Float[Tensor, "b *t c h w"]) -> dict[str, Float[Tensor, "b g _"]]:
        chunks = [method.spaces(part.to(method.dtype)) for part in images.split(_CHUNK)]
        return {name: torch.cat([chunk[name].float() for chunk in chunks]) for name in chunks[0]}
