"""Step a method's groups, and keep every non-finite step from the weights without asking the device."""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from jepakit.training.config import TrainingConfig
from jepakit.training.muon import Muon


class Optimizer:
    """Step AdamW by the configured schedules; a non-finite loss or gradient turns this and later steps into no-ops.

    The flag lives on the device: AdamW's fused kernel reads it (`found_inf`) and leaves weights and moments as they
    are. `failure()` reads it, at log points only. With `optimizer="muon"` the encoder's matrices and convolutions are
    stepped by Muon, by the same schedules, and AdamW steps the rest.

    Args:
        groups: As `Method.param_groups` gives them.
        config: Learning rate, weight decay, clipping.
        device: Where the parameters are.
    """

    def __init__(self, groups: Iterable[Mapping[str, Any]], config: TrainingConfig, device: torch.device):
        groups = [group for group in groups if group["params"]]
        self.names = [name for group in groups for name in group["names"]]
        self.parameters: list[nn.Parameter] = [parameter for group in groups for parameter in group["params"]]
        self.clip_norm = config.clip_norm
        self.muon_ratio = config.muon_ratio
        self.learning_rate = config.learning_rate_schedule()
        self.weight_decay = config.weight_decay_schedule()
        self.turned = _turned(groups) if config.optimizer == "muon" else {}
        self.muon = Muon(self.turned.values())
        self.adamw = torch.optim.AdamW(
            [{"params": _without(group, self.turned), "decay": group["decay"]} for group in groups],
            lr=config.learning_rate,
            betas=config.betas,
            weight_decay=0.0,
            fused=True,
        )
        self.adamw.grad_scale = None  # type: ignore[attr-defined]
        self.adamw.found_inf = torch.zeros((), device=device)  # type: ignore[attr-defined]
        self.first_bad_step = torch.full((), -1, dtype=torch.long, device=device)
        self.bad_terms: dict[str, Tensor] = {}

    def step(self, step: int, loss: Tensor, terms: Mapping[str, Tensor]) -> Tensor:
        """Clip, check and update; returns the gradient norm. Gradients are cleared."""
        norm = torch.nn.utils.get_total_norm([p.grad for p in self.parameters if p.grad is not None])
        if self.clip_norm is not None:
            torch.nn.utils.clip_grads_with_norm_(self.parameters, self.clip_norm, norm)
        self._flag(step, loss, norm, terms)
        for group in self.adamw.param_groups:
            group["lr"] = self.learning_rate(step)
            group["weight_decay"] = self.weight_decay(step) if group["decay"] else 0.0
        found_inf: Tensor = self.adamw.found_inf  # type: ignore[attr-defined]
        self.muon.step(self.muon_ratio * self.learning_rate(step), self.weight_decay(step), found_inf)
        self.adamw.step()
        for parameter in self.parameters:
            parameter.grad = None
        return norm

    def _flag(self, step: int, loss: Tensor, norm: Tensor, terms: Mapping[str, Tensor]) -> None:
        """Raise the device flag on a non-finite step, and keep the terms of the first one."""
        is_bad = ~(torch.isfinite(loss.detach()) & torch.isfinite(norm))
        is_first = is_bad & (self.first_bad_step < 0)
        self.first_bad_step = torch.where(is_first, step, self.first_bad_step)
        snapshot = {**terms, "gradient_norm": norm}
        self.bad_terms = {k: torch.where(is_first, v, self.bad_terms.get(k, v)) for k, v in snapshot.items()}
        found: Tensor = self.adamw.found_inf  # type: ignore[attr-defined]
        found.copy_(torch.maximum(found, is_bad.to(found.dtype)))

    def failure(self) -> dict[str, float] | None:
        """Return the step and the terms of the first non-finite step, or None; waits for the device."""
        step = int(self.first_bad_step.item())
        return None if step < 0 else {"step": step} | {name: float(value) for name, value in self.bad_terms.items()}

    def state(self) -> dict[str, Tensor]:
        """Return the moments and step counts by parameter name."""
        momenta = zip(self.turned, self.muon.buffers, strict=True)
        return {f"momentum.{name}": buffer for name, buffer in momenta} | {
            f"{key}.{name}": value
            for name, parameter in self._stepped_by_adamw()
            for key, value in self.adamw.state[parameter].items()
        }

    def load_state(self, tensors: Mapping[str, Tensor]) -> None:
        """Restore what `state` returned."""
        for name, buffer in zip(self.turned, self.muon.buffers, strict=True):
            buffer.copy_(tensors[f"momentum.{name}"])
        for name, parameter in self._stepped_by_adamw():
            for key in ("step", "exp_avg", "exp_avg_sq"):
                value = tensors[f"{key}.{name}"]
                self.adamw.state[parameter][key] = value.to(parameter.device).clone()

    def _stepped_by_adamw(self) -> list[tuple[str, nn.Parameter]]:
        named = zip(self.names, self.parameters, strict=True)
        return [(name, parameter) for name, parameter in named if name not in self.turned]


def _turned(groups: Iterable[Mapping[str, Any]]) -> dict[str, nn.Parameter]:
    """Return the weights that Muon steps, by name: the encoder's decayed matrices and convolutions."""
    named = [pair for group in groups if group["decay"] for pair in zip(group["names"], group["params"], strict=True)]
    return {name: parameter for name, parameter in named if name.startswith("encoder.")}


def _without(group: Mapping[str, Any], turned: Mapping[str, nn.Parameter]) -> list[nn.Parameter]:
    return [p for name, p in zip(group["names"], group["params"], strict=True) if name not in turned]
