"""Predict the next embedding as the present one and a step away from it, chosen by a network that remembers.

    h_t       = GRU(h_{t-1}; z_t, a_t)                     h_{-1} = 0
    z_hat_t+1 = norm(z_t + step(relu(W_z z_t + W_a a_t + W_h h_t)))

One frame tells where things are; how fast they are and what is hidden takes frames before it. What stays as it was is
kept by the sum, which a network that maps embeddings to embeddings has to learn first.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from jepakit.nn.dynamics import Dynamics, require_clip
from jepakit.types import UserError


@dataclass(frozen=True, kw_only=True)
class RememberingDynamicsConfig:
    """Describe a predictor whose memory is a GRU over all frames so far.

    Args:
        hidden_dim: Width of the memory and of the layer that chooses a step.

    Raises:
        UserError: There is no unit.
    """

    hidden_dim: int = 256

    def __post_init__(self) -> None:
        if self.hidden_dim < 1:
            raise UserError(f"A predictor that remembers needs at least one unit, got {self}.")

    def build(self, embedding_dim: int, action_dim: int, norm: nn.Module) -> "RememberingDynamics":
        """Build the predictor with fresh weights."""
        return RememberingDynamics(self, embedding_dim, action_dim, norm)


@dataclass(frozen=True)
class Remembered:
    """Hold the last frame's embedding and the memory of the frames before it.

    Args:
        z: Embeddings of the last frames, (b, d), or (b, s, d) once expanded over s candidates.
        memory: What was remembered before them.
    """

    z: Float[Tensor, "b *s d"]
    memory: Float[Tensor, "b *s m"]

    def expand(self, num_samples: int) -> "Remembered":
        """Return the state once for each of so many candidates; the memory is shared."""
        return Remembered(*(part[:, None].expand(-1, num_samples, -1) for part in (self.z, self.memory)))

    def select(self, index: Int[Tensor, " k"]) -> "Remembered":
        """Return the states at these places of the batch."""
        return replace(self, z=self.z[index], memory=self.memory[index])


class RememberingDynamics(Dynamics):
    """Step embeddings by what was seen and done so far, see the head of this file.

    Args:
        config: Its size.
        embedding_dim: Width of the embeddings.
        action_dim: Length of what it is told between two frames.
        norm: Normalises each prediction; the encoder's own last layer, so that both live in one space.

    Source: our own; a recurrent memory beside a residual step, as in many dynamics models since Ha and Schmidhuber 2018
    (World Models, arXiv 1803.10122).
    """

    def __init__(self, config: RememberingDynamicsConfig, embedding_dim: int, action_dim: int, norm: nn.Module):
        super().__init__()
        self.embedding_dim = embedding_dim
        self._norm = (norm,)  # a tuple, because nn.Module would register the encoder's layer a second time
        self.cell = nn.GRUCell(embedding_dim + action_dim, config.hidden_dim)
        self.seen = nn.Linear(embedding_dim + action_dim + config.hidden_dim, config.hidden_dim)
        self.step = nn.Linear(config.hidden_dim, embedding_dim)

    def forward(
        self, z: Float[Tensor, "*n d"], action: Float[Tensor, "*n a"], memory: Float[Tensor, "*n m"]
    ) -> tuple[Float[Tensor, "*n d"], Float[Tensor, "*n m"]]:
        """Return the embedding after what was done in between, and the memory then."""
        told = torch.cat((z, action.to(z.dtype)), dim=-1)
        kept = self.cell(told.flatten(0, -2), memory.flatten(0, -2).to(told.dtype)).unflatten(0, told.shape[:-1])
        step = self.step(F.relu(self.seen(torch.cat((told, kept.to(told.dtype)), dim=-1))))
        ahead: Tensor = self._norm[0](z + step)
        return ahead, kept

    def ahead(
        self, z: Float[Tensor, "b t d"], action: Float[Tensor, "b _ a"], num_steps: int
    ) -> Sequence[Float[Tensor, "b _ d"]]:
        """Return predictions 1 ... num_steps ahead: memory runs along the clip once, then all starts step at once."""
        require_clip(z.shape[1], action.shape[1])
        memory = self.remembered(z, action)[:, :-1]  # before each frame that something follows
        state, predicted = z[:, :-1], []
        for k in range(1, num_steps + 1):
            num = z.shape[1] - k
            state, memory = self(state[:, :num], action[:, k - 1 :], memory[:, :num])
            predicted.append(state)
        return predicted

    def remembered(self, z: Float[Tensor, "b t d"], action: Float[Tensor, "b _ a"]) -> Float[Tensor, "b t m"]:
        """Return the memory before each frame."""
        memory = [z.new_zeros(len(z), self.cell.hidden_size)]
        for t in range(z.shape[1] - 1):
            told = torch.cat((z[:, t], action[:, t].to(z.dtype)), dim=-1)
            memory.append(self.cell(told, memory[-1].to(told.dtype)))
        return torch.stack([part.to(z.dtype) for part in memory], dim=1)

    def begin(self, z: Float[Tensor, "b t d"], action: Float[Tensor, "b _ a"]) -> Remembered:
        """Return the last embedding, and what is remembered of those before it."""
        require_clip(z.shape[1], action.shape[1])
        return Remembered(z[:, -1], self.remembered(z, action)[:, -1])

    def rollout(self, state: Remembered, actions: Float[Tensor, "b *s t a"]) -> Float[Tensor, "b *s t d"]:
        """Return the embedding after each action of each candidate."""
        z, memory, ahead = state.z, state.memory, []
        for action in actions.unbind(-2):
            z, memory = self(z, action, memory)
            ahead.append(z)
        return torch.stack(ahead, dim=-2)
