"""Learn a coarse time scale beside a world model, in its own embedding space, and show planners a model of it."""

from typing import Any

import gymnasium
import torch
from jaxtyping import Float
from torch import Tensor

from jepakit.nn.coarse_dynamics import CoarseDynamics
from jepakit.nn.dynamics import LatentState
from jepakit.planning.learning import minimised
from jepakit.planning.plan import WorldModel
from jepakit.random import Stream
from jepakit.types import require

_NUM_AHEAD = 2
"""Macro-actions in a row that are learned from: predictions of predictions too, as a plan makes them."""

_NOISE = 0.1
"""Standard deviation of what is added to macro-actions while learning, so that near ones mean nearly the same."""

_WITHIN = 0.98
"""Share of the macro-actions that were met, between whose extremes a planner may search, in each of their numbers."""


class Coarse:
    """Show a world model whose actions are macro-actions, each of which leads many frames ahead.

    Args:
        model: The fine model: it gives the embeddings of observations and goals, one token each.
        dynamics: What predicts on the coarse time scale.
    """

    def __init__(self, model: WorldModel, dynamics: CoarseDynamics):
        self.model = model
        self.dynamics = dynamics

    @property
    def action_space(self) -> gymnasium.spaces.Box:
        """Return the macro-actions that were met."""
        low, high = (edge.float().cpu().numpy() for edge in (self.dynamics.low, self.dynamics.high))
        return gymnasium.spaces.Box(low, high)

    def observe(self, observation: Any) -> LatentState:
        """Return the embeddings of observations."""
        return LatentState(self.model.encode_goal(observation)[:, 0])

    def rollout(self, state: LatentState, actions: Float[Tensor, "b s t m"]) -> Float[Tensor, "b s t 1 d"]:
        """Return the tokens after each macro-action of each candidate."""
        return self.dynamics.rollout(state.z, actions)[..., None, :]

    def encode_goal(self, goal: Any) -> Float[Tensor, "b 1 d"]:
        """Return the fine model's tokens of goals."""
        return self.model.encode_goal(goal)


def learn_coarse(
    z: Float[Tensor, "k t d"],
    told: Float[Tensor, "k t1 a"],
    dynamics: CoarseDynamics,
    *,
    num_steps: int = 2000,
    batch_size: int = 256,
    learning_rate: float = 2e-3,
    seed: int = 0,
) -> None:
    """Train macro-actions and their predictor together on stored embeddings, which stay as they are.

    Args:
        z: Embeddings of the frames of trajectories.
        told: What was done between each and the next, as the fine predictor is told.
        dynamics: What is trained, and left as planning uses it, with the bounds of the macro-actions that were met.
        num_steps: Updates.
        batch_size: Pieces of trajectories of each.
        learning_rate: Of AdamW; it falls to zero along half a cosine.
        seed: Seed of pieces and noise.

    Raises:
        UserError: Trajectories are too short, or actions are not what the macro-actions were made for.
    """
    blocks, ahead = dynamics.config.num_blocks, _NUM_AHEAD
    longest = z.shape[1] - 1 - ahead * blocks
    require(
        longest >= 0, f"{ahead} macro-actions of {blocks} blocks need longer trajectories than {z.shape[1]} frames."
    )
    wanted = (*z.shape[:1], z.shape[1] - 1, dynamics.config.told_dim)
    require(tuple(told.shape) == wanted, f"Macro-actions need actions of shape {wanted}, got {tuple(told.shape)}.")
    ids, stream = torch.arange(batch_size, device=z.device), Stream(seed, "coarse")
    steps = torch.arange(ahead * blocks, device=z.device)

    def loss(step: int) -> Tensor:
        drawn = stream.uniform(step, ids, 2).double()
        place, start = (drawn[:, 0] * len(z)).long(), (drawn[:, 1] * (longest + 1)).long()
        done = told[place[:, None], start[:, None] + steps].float().unflatten(1, (ahead, blocks))
        macros = dynamics.macro(done)
        noise = Stream(seed, "coarse/noise").normal(step, ids, macros[0].numel()).view_as(macros)
        frames = start[:, None] + blocks * torch.arange(1, ahead + 1, device=z.device)
        predicted = dynamics.rollout(z[place, start].float(), macros + _NOISE * noise)
        return (predicted - z[place[:, None], frames].float()).square().mean()

    minimised(dynamics, loss, num_steps, learning_rate)
    _measure(dynamics, told)


@torch.no_grad()
def _measure(dynamics: CoarseDynamics, told: Float[Tensor, "k t1 a"]) -> None:
    """Set the bounds of macro-actions to those between which nearly all lie that trajectories hold."""
    blocks = dynamics.config.num_blocks
    whole = told[:, : told.shape[1] // blocks * blocks].float().unflatten(1, (-1, blocks))
    met = dynamics.macro(whole).flatten(0, 1)
    edge = torch.tensor(((1.0 - _WITHIN) / 2, (1.0 + _WITHIN) / 2), device=met.device)
    low, high = met.quantile(edge, dim=0)
    dynamics.low.copy_(low)
    dynamics.high.copy_(torch.maximum(high, low + 1e-3))  # a number that is never used still has a range
