"""Measure how well a number that needs no labels ranks runs or checkpoints as their probe accuracy does."""

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from jepakit.types import UserError


def ranks(x: Float[Tensor, " n"]) -> Float64[Tensor, " n"]:
    """Return ranks from 1; equal values share the mean of the ranks that they take up."""
    _, inverse, counts = torch.unique(x, return_inverse=True, return_counts=True)
    last = counts.cumsum(dim=0).double()
    return (last - (counts.double() - 1.0) / 2.0)[inverse]


def spearman(x: Float[Tensor, " n"], y: Float[Tensor, " m"]) -> float:
    """Return Spearman's rank correlation in [-1, 1], ties counted; 0 where one side is constant.

    Args:
        x: The label-free measure of each run or checkpoint, e.g. RankMe.
        y: The probe accuracy of each.

    Raises:
        UserError: If the two differ in length, are shorter than 2 or hold NaN.

    Source: Spearman 1904. Deviations: none.
    """
    if x.shape != y.shape or x.shape[0] < 2:
        raise UserError(f"A rank correlation needs two lists of equal length >= 2, got {len(x)} and {len(y)}.")
    if bool(torch.isnan(x).any() | torch.isnan(y).any()):
        raise UserError("A rank correlation cannot rank NaN; leave those runs out and say so.")
    a, b = ranks(x), ranks(y)
    a, b = a - a.mean(), b - b.mean()
    scale = (a.square().sum() * b.square().sum()).sqrt()
    return float((a * b).sum() / scale) if float(scale) > 0.0 else 0.0
