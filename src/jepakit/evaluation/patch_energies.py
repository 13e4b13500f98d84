"""Measure how badly each patch of an input was predicted, by several kinds of questions; an input is any picture.

    energy[b, k, r, c] = distance(z_hat, z) of the patch in row r and column c, where kind k of `masking.covering` asks
    size[b, r, c]      = distance(0, z), what an answer of nothing would cost

The distance is that of the method's own objective. `along` puts windows that slide along a longer signal together
again: what a patch of it is, several of its windows have told.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol, runtime_checkable

import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor

from jepakit.masking.blocks import Grid
from jepakit.masking.covering import Kind, covering
from jepakit.types import Hidden, Prediction, UserError

AT_ONCE = 64
"""Inputs that are measured together; bounds memory, changes nothing else."""


@runtime_checkable
class AnswersQuestions(Protocol):
    """What measuring needs of a masked method: a torch module that answers questions which anyone may choose."""

    encoder: Any
    objective: Any

    def target(self, x: Tensor) -> Tensor:
        """Return the target tokens of the whole input."""
        ...

    def answers(self, x: Tensor, hidden: Hidden, tokens: Tensor, step: int = 0) -> Prediction:
        """Predict what is hidden."""
        ...


def grid_of_patches(method: Any) -> Grid:
    """Return the rows and columns of patches about which a method can be asked.

    Raises:
        UserError: It hides no patches.
    """
    if not isinstance(method, AnswersQuestions) or not hasattr(method.encoder, "grid"):
        raise UserError(
            f"{type(method).__name__} hides no patches, so nothing tells which moment of a signal is hard to predict; "
            "take a masked method, such as series-ijepa."
        )
    grid: Grid = method.encoder.grid
    return grid


@torch.no_grad()
def patch_energies(
    method: Any, x: Float[Tensor, "b c h w"], kinds: Sequence[Kind], at_once: int = AT_ONCE
) -> tuple[Float[Tensor, "b kinds gh gw"], Float[Tensor, "b gh gw"]]:
    """Return the energy of every patch for each kind of question, and the size of its target, on the CPU.

    Args:
        method: A masked method in eval mode.
        x: Prepared inputs.
        kinds: Of questions.
        at_once: Inputs measured together.

    Raises:
        UserError: The method hides no patches, or has too few for a kind.
    """
    grid = grid_of_patches(method)
    asked = [covering(kind, grid) for kind in kinds]
    parts = [_energies(method, part, asked) for part in x.split(at_once)]
    energy, size = (torch.cat([part[i].cpu() for part in parts]) for i in (0, 1))
    return energy.unflatten(2, grid), size.unflatten(1, grid)


def _energies(
    method: Any, x: Tensor, asked: Sequence[Sequence[Hidden]]
) -> tuple[Float[Tensor, "b kinds n"], Float[Tensor, "b n"]]:
    tokens = method.target(x)
    found = torch.full((len(x), len(asked), tokens.shape[1]), torch.nan, device=x.device)
    size = found[:, 0].clone()
    for kind, questions in enumerate(asked):
        for hidden in questions:
            context, target = (idx.to(x.device) for idx in (hidden.context_idx, hidden.target_idx))
            everyone = Hidden(context.expand(len(x), -1), target.expand(len(x), -1, -1))
            answers = method.answers(x, everyone, tokens)
            nothing = replace(answers, z_hat=torch.zeros_like(answers.z_hat))
            found[:, kind, target.flatten()] = method.objective.energy(answers).view(len(x), -1).float()
            size[:, target.flatten()] = method.objective.energy(nothing).view(len(x), -1).float()  # of all kinds alike
    return found, size


def along(
    values: Float[Tensor, "w kinds gh gw"], first: Int[Tensor, " w"], num_columns: int
) -> tuple[Float[Tensor, "kinds gh columns"], Float[Tensor, "kinds gh columns"]]:
    """Return the mean over windows of what each said of a column of the signal, NaN where none did, and how many did.

    Args:
        values: Of each window's patches, NaN where there is none.
        first: Column of the signal in which each window begins.
        num_columns: Of the signal.
    """
    told = values.isfinite()
    place = (first[:, None] + torch.arange(values.shape[3])).flatten()
    total, count = (
        part.new_zeros(*part.shape[1:3], num_columns).index_add(2, place, rearrange(part, "w k r c -> k r (w c)"))
        for part in (torch.where(told, values, 0.0), told.float())
    )
    return total / count, count  # 0 / 0 is NaN
