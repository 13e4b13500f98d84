"""Measure how far predicted embeddings lie from those that came true: one energy for each row, a mean over `d`."""

from collections.abc import Callable, Mapping

from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import cosine_similarity, smooth_l1_loss


def smooth_l1(z_hat: Float[Tensor, "r d"], z: Float[Tensor, "r d"]) -> Float[Tensor, " r"]:
    """Return the mean over `d` of e²/2 where |e| < 1 and |e| - 1/2 elsewhere, e = z_hat - z.

    Source: Girshick 2015, arXiv 1504.08083, equation 3; the energy of I-JEPA (Assran et al. 2023, arXiv 2301.08243).
    """
    return smooth_l1_loss(z_hat, z, reduction="none", beta=1.0).mean(dim=-1)


def l1(z_hat: Float[Tensor, "r d"], z: Float[Tensor, "r d"]) -> Float[Tensor, " r"]:
    """Return the mean over `d` of |z_hat - z|, the energy of V-JEPA (Bardes et al. 2024, arXiv 2404.08471)."""
    return (z_hat - z).abs().mean(dim=-1)


def mse(z_hat: Float[Tensor, "r d"], z: Float[Tensor, "r d"]) -> Float[Tensor, " r"]:
    """Return the mean over `d` of (z_hat - z)²."""
    return (z_hat - z).square().mean(dim=-1)


def cosine(z_hat: Float[Tensor, "r d"], z: Float[Tensor, "r d"]) -> Float[Tensor, " r"]:
    """Return one minus the cosine of the angle between the rows: 0 for the same direction, 2 for opposite ones."""
    return 1 - cosine_similarity(z_hat, z, dim=-1)


DISTANCES: Mapping[str, Callable[[Float[Tensor, "r d"], Float[Tensor, "r d"]], Float[Tensor, " r"]]] = {
    "smooth_l1": smooth_l1,
    "l1": l1,
    "mse": mse,
    "cosine": cosine,
}
