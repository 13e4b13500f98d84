"""Score features with very few labels: 1, 5 or 10 a class, over many label draws that all arms share.

Draw j picks the same train items for every arm, and its items for 1 label are among its items for 5: differences
between arms and between label counts are paired. All draws are computed together.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from einops import rearrange, repeat
from jaxtyping import Bool, Float, Float64, Int
from torch import Tensor

from jepakit.evaluation.features import SCALINGS, Scaler
from jepakit.evaluation.linear import require_labelled
from jepakit.evaluation.ridge import RIDGE_GRID, left_out_error, penalty_unit, principal_axes
from jepakit.random import Stream
from jepakit.types import UserError

Rule = Literal["ridge", "centroid", "logistic"]


def draw_labels(
    labels: Int[Tensor, " n"], num_classes: int, k: int, num_draws: int = 100, seed: int = 0
) -> Int[Tensor, "draws shots"]:
    """Return for each draw the indices of `k` train items of every class, class by class.

    Args:
        labels: Labels of all train items.
        num_classes: Number of classes.
        k: Labels per class.
        num_draws: Number of label draws.
        seed: Selects the draws, through `Stream(seed, "kshot")`.

    Raises:
        UserError: If a class has fewer than `k` train items.
    """
    counts = torch.bincount(labels, minlength=num_classes)
    if int(counts.min()) < k:
        raise UserError(
            f"{k} labels a class were asked for, but class {int(counts.argmin())} has {int(counts.min())} train items; "
            "ask for fewer labels or give more labelled items."
        )
    key = Stream(seed, "kshot").uniform(0, torch.arange(num_draws), labels.shape[0]).to(labels.device)
    chosen = [torch.where(labels == c, key, 2.0).argsort(dim=1, stable=True)[:, :k] for c in range(num_classes)]
    return torch.cat(chosen, dim=1)


def kshot_correct(
    train: Float[Tensor, "n v d"],
    labels: Int[Tensor, " labels"],
    test: Float[Tensor, "m d"],
    test_labels: Int[Tensor, " m"],
    num_classes: int,
    draws: Int[Tensor, "draws shots"],
    rule: str = "ridge",
) -> Bool[Tensor, "draws m"]:
    """Return which test items each draw's classifier gets right; a draw's accuracy is the mean of its row.

    Args:
        train: Features of all train items, in `v` augmented copies (1 for plain features); a chosen item brings all.
        labels: Labels of all train items; only the drawn ones are read.
        test: Test features.
        test_labels: Test labels; compared with the predictions and used for nothing else.
        num_classes: Number of classes.
        draws: From `draw_labels`.
        rule: "ridge", with scaling and penalty chosen by leave-one-item-out on the drawn items themselves; "centroid",
            the nearest class mean; "logistic" with scikit-learn's C = 1, nothing tuned. Scales of features come from
            all train items without labels.

    Raises:
        UserError: If features and labels do not fit together, or the rule has no such name.
    """
    require_labelled(train, labels, num_classes)
    require_labelled(test, test_labels, num_classes)
    fits = {"ridge": _ridge_logits, "centroid": _centroid_logits, "logistic": _logistic_logits}
    if rule not in fits:
        raise UserError(f"There is no k-shot rule {rule!r}; choose one of {', '.join(fits)}.")
    targets = repeat(F.one_hot(labels[draws], num_classes).double(), "s i c -> s (i v) c", v=train.shape[1])
    logits = fits[rule](train, test, draws, targets)
    return logits.argmax(dim=-1) == test_labels


def _drawn(scaler: Scaler, train: Float[Tensor, "n v d"], draws: Int[Tensor, "s i"]) -> Float64[Tensor, "s r d"]:
    return rearrange(scaler(train[draws]), "s i v d -> s (i v) d").double()


def _score(
    scaler: Scaler, x: Float[Tensor, "m d"], weight: Float64[Tensor, "s d c"], bias: Float64[Tensor, "s c"]
) -> Float[Tensor, "s m c"]:
    return torch.einsum("md,sdc->smc", scaler(x), weight.float()) + bias.float()[:, None]


def _ridge_logits(
    train: Float[Tensor, "n v d"],
    test: Float[Tensor, "m d"],
    draws: Int[Tensor, "s i"],
    targets: Float64[Tensor, "s r c"],
) -> Float[Tensor, "s m c"]:
    logits, errors = [], []
    for make in SCALINGS:
        scaler = make(train.flatten(0, 1))
        weight, bias, error = _ridge_fit(_drawn(scaler, train, draws), targets, train.shape[1])
        logits.append(_score(scaler, test, weight, bias))
        errors.append(error)
    chosen = torch.stack(errors).argmin(dim=0)
    return torch.stack(logits)[chosen, torch.arange(len(draws), device=chosen.device)]


def _ridge_fit(
    x: Float64[Tensor, "s r d"], targets: Float64[Tensor, "s r c"], num_copies: int
) -> tuple[Float64[Tensor, "s d c"], Float64[Tensor, "s c"], Float64[Tensor, " s"]]:
    centre, mean_target = x.mean(dim=1, keepdim=True), targets.mean(dim=1, keepdim=True)
    values, axes = principal_axes(x - centre)
    coordinates, targets = (x - centre) @ axes, targets - mean_target
    moments = coordinates.mT @ targets
    penalties = torch.tensor(RIDGE_GRID, dtype=x.dtype, device=x.device)
    damped = values[:, None] + penalty_unit(values, x.shape[2])[:, None, None] * penalties[:, None]
    best = left_out_error(coordinates, targets, moments, damped, x.shape[1], num_copies).min(dim=1)
    chosen = damped[torch.arange(len(x), device=x.device), best.indices]
    weight = axes @ (moments / chosen[..., None])
    return weight, (mean_target - centre @ weight)[:, 0], best.values


def _centroid_logits(
    train: Float[Tensor, "n v d"],
    test: Float[Tensor, "m d"],
    draws: Int[Tensor, "s i"],
    targets: Float64[Tensor, "s r c"],
) -> Float[Tensor, "s m c"]:
    scaler = Scaler.centring(train.flatten(0, 1))
    centroid = (targets / targets.sum(dim=1, keepdim=True)).mT @ _drawn(scaler, train, draws)
    return _score(scaler, test, centroid.mT, -0.5 * centroid.square().sum(dim=-1))


def _logistic_logits(
    train: Float[Tensor, "n v d"],
    test: Float[Tensor, "m d"],
    draws: Int[Tensor, "s i"],
    targets: Float64[Tensor, "s r c"],
) -> Float[Tensor, "s m c"]:
    """Minimise mean cross-entropy + |weight|^2 / (2 i) of all draws in one sum, along the axes that the rows span."""
    scaler = Scaler.centring(train.flatten(0, 1))
    x = _drawn(scaler, train, draws)
    centre = x.mean(dim=1, keepdim=True)
    _, axes = principal_axes(x - centre)
    coordinates = (x - centre) @ axes
    weight = coordinates.new_zeros(len(draws), axes.shape[2], targets.shape[2], requires_grad=True)
    bias = coordinates.new_zeros(len(draws), 1, targets.shape[2], requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [weight, bias], max_iter=300, history_size=10, tolerance_grad=1e-6, line_search_fn="strong_wolfe"
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        cross_entropy = -(targets * (coordinates @ weight + bias).log_softmax(dim=-1)).sum() / x.shape[1]
        loss = cross_entropy + weight.square().sum() / (2.0 * draws.shape[1])
        loss.backward()
        return loss

    with torch.enable_grad():
        optimizer.step(closure)
    in_features = axes @ weight.detach()
    return _score(scaler, test, in_features, (bias.detach() - centre @ in_features)[:, 0])
