"""Write the papers' terms in plain torch, and hold a method's loss and its gradient against them."""

from dataclasses import replace
from typing import Any

import torch
from small_methods import CONFIGS, batch
from torch import Tensor, nn

from jepakit.objectives import SIGReg

SEED, STEP = 3, 5
BATCH = batch(6)


def build(name: str, **changes: Any) -> Any:
    """Build a small method in float64, with BatchNorm in eval mode: there a view can be encoded alone."""
    return replace(CONFIGS[name], **changes).build(seed=SEED, num_steps=20).double().eval()


def shake(module: nn.Module) -> None:
    """Move all weights, so that zeros and equal copies stay neither."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))


def spread(method: Any) -> None:
    """Let the projector's fresh embeddings have deviations near one, so that no term of a loss is negligible."""
    with torch.no_grad():
        method.projector.layers[-1].weight.mul_(20)


def assert_trains_on(method: Any, expected: Tensor) -> None:
    """Compare the loss of a step, and its gradient for every trained weight, with `expected`."""
    loss = method(BATCH, STEP).loss
    torch.testing.assert_close(loss, expected, rtol=1e-9, atol=0)
    weights = [parameter for parameter in method.parameters() if parameter.requires_grad]
    ours, theirs = (torch.autograd.grad(value, weights) for value in (loss, expected))
    torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-10)


def sigreg(z: Tensor, num_slices: int) -> Tensor:
    """Return the statistic over N of one group (b, d): an integral over the whole line, with complex exponentials."""
    directions = SIGReg(num_slices=num_slices, seed=SEED).directions(STEP, z[:, None]).double()
    t = torch.linspace(-3, 3, 33, dtype=torch.float64)
    gaussian = torch.exp(-t.square() / 2)
    empirical = torch.exp(1j * (z @ directions.T)[..., None] * t).mean(dim=0)
    return torch.trapezoid((empirical - gaussian).abs().square() * gaussian, t, dim=-1).mean()


def project(method: Any, image: Tensor) -> Tensor:
    """Return projector(mean token of encoder(view)) for views (b, c, h, w)."""
    return method.projector(method.encoder(image.double()).mean(dim=1))


def predict_places(method: Any, x: Tensor, places: Any) -> Tensor:
    """Return what a masked method predicts (b, q, m, d) from the visible patches."""
    return method.predictor(method.encoder(x, places.context_idx), places.context_idx, places.target_idx)


def take(tokens: Tensor, places: Any) -> Tensor:
    """Return the tokens (b, q, m, d) at the hidden places."""
    return torch.stack([sample[idx] for sample, idx in zip(tokens, places.target_idx, strict=True)])
