"""Hold each action of a plan for several steps of the world: fewer numbers to search for, and smoother ways."""

from dataclasses import dataclass
from typing import Any

import gymnasium
from jaxtyping import Float
from torch import Tensor

from jepakit.planning.plan import LatentState, StepModel, WorldModel
from jepakit.types import UserError


@dataclass(frozen=True)
class Held:
    """Show planners a world model in which an action lasts several steps.

    Args:
        model: What predicts.
        num_steps: Steps for which an action is held; a model that skips frames takes a multiple of its frame-skip.

    Raises:
        UserError: An action would be held for less than a step.
    """

    model: WorldModel
    num_steps: int

    def __post_init__(self) -> None:
        if self.num_steps < 1:
            raise UserError(f"An action is held for at least 1 step, not {self.num_steps}.")

    @property
    def action_space(self) -> gymnasium.spaces.Space[Any]:
        """Return the model's own actions."""
        return self.model.action_space

    def observe(self, observation: Any) -> LatentState:
        """Return the model's state."""
        return self.model.observe(observation)

    def rollout(self, state: Any, actions: Float[Tensor, "b s t a"]) -> Float[Tensor, "b s _ n d"]:
        """Return what the model predicts when each action is done so many times."""
        return self.model.rollout(state, actions.repeat_interleave(self.num_steps, dim=2))

    def advance(self, z: Float[Tensor, "*k n d"], action: Float[Tensor, "*k a"]) -> Float[Tensor, "*k n d"]:
        """Return the tokens after one action that is held: as many steps of the model as it looks at meanwhile.

        Raises:
            UserError: The model cannot step from any embedding.
        """
        if not isinstance(self.model, StepModel):
            raise UserError(
                f"{type(self.model).__name__} does not step from any embedding: it has no advance(z, action)."
            )
        for _ in range(self.num_steps // getattr(self.model, "frame_skip", 1)):
            z = self.model.advance(z, action)
        return z

    def encode_goal(self, goal: Any) -> Float[Tensor, "b n d"]:
        """Return the model's tokens of goals."""
        return self.model.encode_goal(goal)
