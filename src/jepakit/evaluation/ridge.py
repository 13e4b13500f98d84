"""Do ridge regression for many penalties, and for many label draws at once, from one eigendecomposition.

Centred features are rotated into the coordinates in which their scatter matrix is diagonal. There a solution costs a
division, and the exact leave-one-out residual costs one more: with H = 1/r + Q diag(1 / (e + penalty)) Q^T the residual
of rows that did not take part in the fit is (I - H_GG)^-1 (y - H y)_G, where G are the rows of one item: a single row,
or all augmented copies of one image, which must leave together lest the copies give their item away.

Source: Golub, Heath and Wahba 1979, Technometrics 21(2); Hastie, Tibshirani and Friedman, "The elements of statistical
learning", eq. 7.64. Deviations: whole items are left out in place of rows.
"""

import torch
from einops import rearrange
from jaxtyping import Float64
from torch import Tensor

RIDGE_GRID = tuple(10.0 ** (exponent / 2) for exponent in range(-12, 7))
"""Ridge penalties, each times the mean eigenvalue of the train features' scatter: 1e-6 to 1e3 in half decades."""


def principal_axes(x: Float64[Tensor, "*s r d"]) -> tuple[Float64[Tensor, "*s k"], Float64[Tensor, "*s d k"]]:
    """Return the k = min(r, d) eigenvalues of x^T x, ascending, and their axes; `x` is already centred.

    The smaller of x^T x and x x^T is decomposed. An axis without variance comes back as zeros.
    """
    r, d = x.shape[-2:]
    if d <= r:
        values, axes = torch.linalg.eigh(x.mT @ x)
        return values.clamp_min(0.0), axes
    values, left = torch.linalg.eigh(x @ x.mT)
    values = values.clamp_min(0.0)
    lives = values > 1e-12 * values[..., -1:]
    inverse = torch.where(lives, values.clamp_min(torch.finfo(values.dtype).tiny).rsqrt(), 0.0)
    return torch.where(lives, values, 0.0), x.mT @ left * inverse[..., None, :]


def left_out_error(
    coordinates: Float64[Tensor, "*s r k"],
    targets: Float64[Tensor, "*s r c"],
    moments: Float64[Tensor, "*s k c"],
    damped: Float64[Tensor, "*s p k"],
    num_rows: int,
    num_copies: int,
) -> Float64[Tensor, "*s p"]:
    """Return, for each penalty, the summed squared error of rows predicted by the fit that their item was left out of.

    Args:
        coordinates: Centred features along the principal axes; a block of the rows is enough.
        targets: Centred targets of those rows.
        moments: coordinates^T targets over *all* rows.
        damped: Eigenvalues of the scatter over all rows, plus each of `p` penalties.
        num_rows: Number of all rows.
        num_copies: Consecutive rows that belong to one item.
    """
    inverse = damped.reciprocal()
    predicted = torch.einsum("...rk,...pkc->...prc", coordinates, moments[..., None, :, :] * inverse[..., None])
    residual = targets[..., None, :, :] - predicted
    if num_copies == 1:
        leverage = inverse @ coordinates.square().mT + 1.0 / num_rows
        return (residual / (1.0 - leverage).clamp_min(1e-12)[..., None]).square().sum(dim=(-2, -1))
    of_item = rearrange(coordinates, "... (i v) k -> ... i v k", v=num_copies)
    product = of_item[..., :, None, :] * of_item[..., None, :, :]
    hat = torch.einsum("...ivwk,...pk->...pivw", product, inverse) + 1.0 / num_rows
    rest = torch.eye(num_copies, dtype=hat.dtype, device=hat.device) * (1.0 + 1e-12) - hat
    left_out = torch.linalg.solve(rest, rearrange(residual, "... p (i v) c -> ... p i v c", v=num_copies))
    return left_out.square().sum(dim=(-3, -2, -1))


def penalty_unit(values: Float64[Tensor, "*s k"], d: int) -> Float64[Tensor, "*s"]:
    """Return the mean eigenvalue of the d by d scatter matrix, in which penalties are measured; never zero."""
    return (values.sum(dim=-1) / d).clamp_min(1e-30)
