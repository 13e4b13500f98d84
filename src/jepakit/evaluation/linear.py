"""Fit linear probes on frozen features: ridge regression in closed form, and logistic regression.

Both choose their hyperparameters from fixed grids by looking at train features alone: ridge by exact leave-one-out
error, logistic by accuracy on a held-out part of the train set. No test label or feature is ever an argument here.

Where the train set holds several augmented copies of each item, the rows of an item stand one after another and
`num_copies` says how many they are; an item's copies are always held out together.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Float64, Int
from torch import Tensor

from jepakit.evaluation.features import SCALINGS, Scaler
from jepakit.evaluation.ridge import RIDGE_GRID, left_out_error, penalty_unit, principal_axes
from jepakit.random import Stream
from jepakit.types import UserError

LOGISTIC_GRID = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
"""Values of C, scikit-learn's inverse penalty on the sum of losses, times 1000 / number of train rows."""

NUMBERS_AT_A_TIME = 2**22
"""Size of the float64 arrays of one block of rows (32 MB); bounds memory, changes nothing else."""


@dataclass(frozen=True)
class LinearProbe:
    """Hold a fitted linear classifier over scaled features.

    Args:
        scaler: Scales features as the train set says.
        weight: One column per class.
        bias: One value per class.
        penalty: The grid entry that train data chose.
        left_out: Mean squared leave-one-out error (ridge) or held-out accuracy (logistic) behind that choice.
    """

    scaler: Scaler
    weight: Float[Tensor, "d num_classes"]
    bias: Float[Tensor, " num_classes"]
    penalty: float
    left_out: float

    def logits(self, x: Float[Tensor, "n d"]) -> Float[Tensor, "n num_classes"]:
        """Return one score per class."""
        return self.scaler(x) @ self.weight + self.bias

    def predict(self, x: Float[Tensor, "n d"]) -> Int[Tensor, " n"]:
        """Return the class with the highest score."""
        return self.logits(x).argmax(dim=1)


def require_labelled(x: Float[Tensor, "n ..."], y: Int[Tensor, " labels"], num_classes: int) -> None:
    """Raise where features and labels do not fit together.

    Raises:
        UserError: If their numbers differ, if there are none, or if a label is not in [0, num_classes).
    """
    if x.shape[0] != y.shape[0] or y.shape[0] == 0:
        raise UserError(f"A probe needs one label per row, got {x.shape[0]} rows and {y.shape[0]} labels.")
    if int(y.min()) < 0 or int(y.max()) >= num_classes:
        raise UserError(
            f"Labels must lie in [0, {num_classes}), got {int(y.min())} to {int(y.max())}: count classes from 0."
        )


def fit_ridge(
    x: Float[Tensor, "n d"],
    y: Int[Tensor, " labels"],
    num_classes: int,
    grid: tuple[float, ...] = RIDGE_GRID,
    num_copies: int = 1,
    scalings: tuple[Callable[[Tensor], Scaler], ...] = SCALINGS,
) -> LinearProbe:
    """Fit one-hot targets by ridge regression; scaling and penalty of the smallest leave-one-out squared error win.

    Args:
        x: Train features.
        y: Train labels.
        num_classes: Number of classes, those without a train row included.
        grid: Penalties, in units of the mean eigenvalue of the scatter matrix.
        num_copies: Consecutive rows that belong to one item and are left out together.
        scalings: Makers of a `Scaler` from train features, all of them tried.

    Raises:
        UserError: If features and labels do not fit together.

    Source: see `jepakit.evaluation.ridge`.
    """
    require_labelled(x, y, num_classes)
    return min((_fit_scaled(x, y, num_classes, grid, num_copies, make(x)) for make in scalings), key=_left_out)


def _left_out(probe: LinearProbe) -> float:
    return probe.left_out


def _fit_scaled(
    x: Float[Tensor, "n d"],
    y: Int[Tensor, " labels"],
    num_classes: int,
    grid: tuple[float, ...],
    copies: int,
    scaler: Scaler,
) -> LinearProbe:
    n, d = x.shape
    block_size = max(1, NUMBERS_AT_A_TIME // max(d, len(grid) * num_classes) // copies) * copies
    blocks = [slice(start, start + block_size) for start in range(0, n, block_size)]
    mean_target = F.one_hot(y, num_classes).double().mean(dim=0)

    def rows(block: slice) -> tuple[Tensor, Tensor]:
        return scaler(x[block]).double(), F.one_hot(y[block], num_classes).double() - mean_target

    centre = torch.stack([rows(block)[0].sum(dim=0) for block in blocks]).sum(dim=0) / n
    moments = x.new_zeros(d, num_classes, dtype=torch.float64)
    for block in blocks:
        features, targets = rows(block)
        moments += (features - centre).T @ targets
    values, axes = _scatter_axes(lambda block: rows(block)[0] - centre, blocks, n, d)
    moments = axes.T @ moments
    damped = values + penalty_unit(values, d) * torch.tensor(grid, dtype=torch.float64, device=x.device)[:, None]
    error = damped.new_zeros(len(grid))
    for block in blocks:
        features, targets = rows(block)
        coordinates = (features - centre) @ axes
        error += left_out_error(coordinates, targets, moments, damped, n, copies)
    best = int(error.argmin())
    weight = axes @ (moments / damped[best][:, None])
    left_out = float(error[best]) / (n * num_classes)
    return LinearProbe(scaler, weight.float(), (mean_target - centre @ weight).float(), grid[best], left_out)


def _scatter_axes(
    centred: Callable[[slice], Float64[Tensor, "r d"]], blocks: list[slice], n: int, d: int
) -> tuple[Float64[Tensor, " k"], Float64[Tensor, "d k"]]:
    """Return the k = min(n, d) eigenvalues of the scatter matrix of n centred rows, ascending, and their axes."""
    if n < d:
        return principal_axes(centred(slice(0, n)))  # smaller than a d by d matrix, so it fits whole
    features = centred(blocks[0])
    scatter = features.T @ features
    for block in blocks[1:]:
        features = centred(block)
        scatter += features.T @ features
    values, axes = torch.linalg.eigh(scatter)
    return values.clamp_min(0.0), axes


def fit_logistic(
    x: Float[Tensor, "n d"],
    y: Int[Tensor, " labels"],
    num_classes: int,
    grid: tuple[float, ...] = LOGISTIC_GRID,
    num_copies: int = 1,
    scalings: tuple[Callable[[Tensor], Scaler], ...] = SCALINGS,
    max_choice_items: int = 10_000,
    seed: int = 0,
) -> LinearProbe:
    """Fit multinomial logistic regression with an l2 penalty by L-BFGS; held-out train items choose C and scaling.

    For the choice at most `max_choice_items` train items are used, four fifths to fit and one fifth to score, with warm
    starts from strong to weak penalties; ties go to the stronger penalty. The final fit uses every row.

    Args:
        x: Train features.
        y: Train labels.
        num_classes: Number of classes, those without a train row included.
        grid: Values of C per 1000 train rows, so that C means the same for the choice and for the final fit.
        num_copies: Consecutive rows that belong to one item and are held out together.
        scalings: Makers of a `Scaler` from train features, all of them tried.
        max_choice_items: Upper bound on the items that take part in the choice of C.
        seed: Selects which items are held out for the choice.

    Raises:
        UserError: If features and labels do not fit together.
    """
    require_labelled(x, y, num_classes)
    items = Stream(seed, "probe/held-out").permutation(0, x.shape[0] // num_copies)[:max_choice_items].to(x.device)
    order = (items[:, None] * num_copies + torch.arange(num_copies, device=x.device)).flatten()
    num_held_out = len(items) // 5 * num_copies
    held_out, rest = order[:num_held_out], order[num_held_out:]
    best, chosen, scaler = -1.0, min(grid), scalings[0](x)
    for candidate in [make(x) for make in scalings] if num_held_out else ():
        start = None
        for c in sorted(grid):
            start = minimise_logistic(candidate(x[rest]), y[rest], num_classes, c, start)
            predicted = (candidate(x[held_out]) @ start[:-1] + start[-1]).argmax(dim=1)
            accuracy = float((predicted == y[held_out]).float().mean())
            if accuracy > best:
                best, chosen, scaler = accuracy, c, candidate
    solution = minimise_logistic(scaler(x), y, num_classes, chosen)
    return LinearProbe(scaler, solution[:-1], solution[-1], chosen, best)


def minimise_logistic(
    x: Float[Tensor, "n d"],
    y: Int[Tensor, " n"],
    num_classes: int,
    c: float,
    start: Float[Tensor, "d_plus_1 num_classes"] | None = None,
    max_iterations: int = 200,
) -> Float[Tensor, "d_plus_1 num_classes"]:
    """Return weights, and the bias as a last row, that minimise mean cross-entropy + |weights|^2 / (2000 c).

    This is scikit-learn's objective with C = 1000 c / n; the bias bears no penalty.
    """
    solution = x.new_zeros(x.shape[1] + 1, num_classes) if start is None else start.clone()
    solution.requires_grad_(True)
    optimizer = torch.optim.LBFGS(
        [solution], max_iter=max_iterations, history_size=10, tolerance_grad=1e-6, line_search_fn="strong_wolfe"
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(x @ solution[:-1] + solution[-1], y) + solution[:-1].square().sum() / (2000.0 * c)
        loss.backward()
        return loss

    with torch.enable_grad():
        optimizer.step(closure)
    return solution.detach()
