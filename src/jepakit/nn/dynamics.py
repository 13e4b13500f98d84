"""Say what every predictor of a world model can do, and predict with a GRU whose memory is the embedding.

Three verbs, one for each use: `ahead` asks about all starts of clips in parallel (training), `begin` remembers what was
seen, and `rollout` imagines what candidates of actions lead to from there (planning).
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from jepakit.types import UserError


class Dynamics(nn.Module, ABC):
    """Predict the embeddings that follow embeddings and actions.

    An embedding is a vector (d) or tokens (n, d); action t is done between frame t and frame t + 1.
    """

    embedding_dim: int

    @abstractmethod
    def ahead(
        self, z: Float[Tensor, "b t *n d"], action: Float[Tensor, "b _ a"], num_steps: int
    ) -> Sequence[Float[Tensor, "b _ *n d"]]:
        """Return predictions 1 ... num_steps ahead, each from all starts t that have so many frames after them."""

    @abstractmethod
    def begin(self, z: Float[Tensor, "b t *n d"], action: Float[Tensor, "b _ a"]) -> Any:
        """Return the state after frames and the t - 1 actions between them; it can `expand` and `select`."""

    @abstractmethod
    def rollout(self, state: Any, actions: Float[Tensor, "b s t a"]) -> Float[Tensor, "b s t *n d"]:
        """Return the embedding after each action of each candidate."""


@dataclass(frozen=True)
class LatentState:
    """Hold what a world model remembers of a batch of observations; opaque to planners.

    Args:
        z: Embeddings of the last frames, (b, d), or (b, s, d) once expanded over s candidates.
    """

    z: Float[Tensor, "b *s d"]

    def expand(self, num_samples: int) -> "LatentState":
        """Return the state once for each of so many candidates; the memory is shared."""
        return LatentState(self.z[:, None].expand(-1, num_samples, -1))

    def select(self, index: Int[Tensor, " k"]) -> "LatentState":
        """Return the states at these places of the batch."""
        return LatentState(self.z[index])


class StepDynamics(Dynamics):
    """Predict by steps from the last embedding that was seen, which is all that is remembered of what came before.

    Args:
        norm: Normalises each prediction; the encoder's own last layer, so that both live in one space.
    """

    def __init__(self, norm: nn.Module):
        super().__init__()
        self._norm = (norm,)  # a tuple, because nn.Module would register the encoder's layer a second time

    @abstractmethod
    def moved(
        self, z: Float[Tensor, "*n d"], action: Float[Tensor, "*n a"], kept: Float[Tensor, "*n h"] | None
    ) -> Float[Tensor, "*n d"]:
        """Return the embedding after what was done in between, before it is normalised."""

    def kept(self, start: Float[Tensor, "*n d"]) -> Float[Tensor, "*n h"] | None:
        """Return what every step from an embedding that was seen is told of it besides; nothing by default."""
        return None

    def forward(
        self, z: Float[Tensor, "*n d"], action: Float[Tensor, "*n a"], kept: Float[Tensor, "*n h"] | None = None
    ) -> Float[Tensor, "*n d"]:
        """Return the embedding after what was done in between; without `kept`, `z` itself counts as seen."""
        kept = self.kept(z) if kept is None else kept
        ahead: Tensor = self._norm[0](self.moved(z, action.to(z.dtype), kept))
        return ahead

    def ahead(
        self, z: Float[Tensor, "b t d"], action: Float[Tensor, "b _ a"], num_steps: int
    ) -> Sequence[Float[Tensor, "b _ d"]]:
        """Return predictions 1 ... num_steps ahead: as many steps, each of all starts at once."""
        state, kept, predicted = z, self.kept(z), []
        for k in range(1, num_steps + 1):
            num = z.shape[1] - k
            state = self(state[:, :num], action[:, k - 1 :], None if kept is None else kept[:, :num])
            predicted.append(state)
        return predicted

    def begin(self, z: Float[Tensor, "b t d"], action: Float[Tensor, "b _ a"]) -> LatentState:
        """Return the last embedding, which is all that is remembered."""
        return LatentState(z[:, -1])

    def rollout(
        self, state: LatentState | Float[Tensor, "*n d"], actions: Float[Tensor, "*n t a"]
    ) -> Float[Tensor, "*n t d"]:
        """Return the embeddings after each of several actions, from a state or from embeddings themselves."""
        z, ahead = state.z if isinstance(state, LatentState) else state, []
        kept = self.kept(z)
        for action in actions.unbind(-2):
            z = self(z, action, kept)
            ahead.append(z)
        return torch.stack(ahead, dim=-2)


@dataclass(frozen=True, kw_only=True)
class GRUDynamicsConfig:
    """Describe a recurrent predictor whose memory is the embedding itself; it has no settings of its own."""

    def build(self, embedding_dim: int, action_dim: int, norm: nn.Module) -> "GRUDynamics":
        """Build the predictor with fresh weights."""
        return GRUDynamics(embedding_dim, action_dim, norm)


class GRUDynamics(StepDynamics):
    """Step an embedding by one GRU cell: the embedding is its memory, the action its input.

    Args:
        embedding_dim: Width of the embeddings.
        action_dim: Length of an action.
        norm: Normalises each prediction; the encoder's own last layer, so that both live in one space.

    Source: EB-JEPA arXiv 2602.03604. Deviations: none.
    """

    def __init__(self, embedding_dim: int, action_dim: int, norm: nn.Module):
        super().__init__(norm)
        self.embedding_dim = embedding_dim
        self.cell = nn.GRUCell(action_dim, embedding_dim)

    def moved(
        self, z: Float[Tensor, "*n d"], action: Float[Tensor, "*n a"], kept: Float[Tensor, "*n h"] | None
    ) -> Float[Tensor, "*n d"]:
        """Return the cell's next memory."""
        flat: Tensor = self.cell(action.reshape(-1, action.shape[-1]), z.reshape(-1, z.shape[-1]))
        return flat.view(z.shape)


def require_clip(num_frames: int, num_actions: int) -> None:
    """Check that there is an action between each frame and the next.

    Raises:
        UserError: There are fewer or more.
    """
    if num_frames < 1 or num_actions != num_frames - 1:
        raise UserError(
            f"Between {num_frames} frames there are {max(num_frames - 1, 0)} actions, got {num_actions}; give the "
            "action done after each frame but the last."
        )
