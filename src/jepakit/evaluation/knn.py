"""Classify by the weighted vote of the nearest train embeddings."""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from jepakit.evaluation.linear import require_labelled
from jepakit.types import UserError


def predict_knn(
    train: Float[Tensor, "n d"],
    labels: Int[Tensor, " labels"],
    x: Float[Tensor, "b d"],
    num_classes: int,
    k: int = 20,
    temperature: float = 0.07,
    block_size: int = 1024,
) -> Int[Tensor, " b"]:
    """Return for each row of `x` the class with the largest sum of exp(cosine / temperature) over `k` neighbours.

    Args:
        train: Train features; used as they are, the cosine needs no scaling of a whole row.
        labels: Train labels.
        x: Features to classify.
        num_classes: Number of classes.
        k: Neighbours that vote; all train rows where there are fewer.
        temperature: Small values let the very nearest decide.
        block_size: Rows of `x` compared at a time; bounds memory, changes nothing.

    Raises:
        UserError: If features and labels do not fit together or `k` is not positive.

    Source: Wu et al. 2018, arXiv 1805.01978, section 3.4, with the usual k = 20 and T = 0.07 (Caron et al. 2021, DINO).
    Deviations: none.
    """
    require_labelled(train, labels, num_classes)
    if k < 1:
        raise UserError(f"At least one neighbour must vote, got k = {k}.")
    keys = F.normalize(train.float(), dim=1)
    predictions = []
    for block in x.float().split(block_size):
        similarity, neighbour = (F.normalize(block, dim=1) @ keys.T).topk(min(k, len(keys)), dim=1)
        votes = block.new_zeros(len(block), num_classes)
        weight = torch.exp((similarity - 1.0) / temperature)  # at most 1, so no sum overflows
        predictions.append(votes.scatter_add_(1, labels[neighbour], weight).argmax(dim=1))
    return torch.cat(predictions)
