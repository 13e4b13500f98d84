"""Act so as to learn: as far from where one was as one's own cost can tell, with noise.

No goal is given and none is known: what is far is what the model's cost says is far, learned from time gaps alone. So
an agent follows corridors and takes turns at speed, and where its model errs (a wall that it does not know of) it is
drawn to find out.
"""

from dataclasses import dataclass
from typing import Any

from jaxtyping import Float, Int
from torch import Tensor

from jepakit.planning import WeightedSum
from jepakit.planning.control import Control
from jepakit.planning.plan import Cost
from jepakit.random import Stream
from jepakit.recipes.config import Planning
from jepakit.recipes.reaching import memory_of, planner_of
from jepakit.types import require
from jepakit.worlds.acting import edges, played
from jepakit.worlds.trajectories import Trajectories


@dataclass(frozen=True)
class Leaving:
    """Plan to be far from where one is, over and over: a behaviour, as `Roaming` is.

    Args:
        method: The world model, in eval mode.
        cost: What it plans by; here the more it says, the better.
        planning: How it searches.
        noise: Standard deviation of what is added to each action, where 1 is half the width of the action space.
        steps: Steps after which the place to leave is the present one.

    Raises:
        UserError: Noise is negative, or a place is left for less than a step.
    """

    method: Any
    cost: Cost
    planning: Planning
    noise: float = 0.3
    steps: int = 64

    def __post_init__(self) -> None:
        require(self.noise >= 0.0, f"Noise is at least 0, got {self.noise}.")
        require(self.steps >= 1, f"A place is left for at least 1 step, got {self.steps}.")

    def __call__(self, world: Any, ids: Int[Tensor, " b"], num_steps: int) -> Trajectories:
        """Return the trajectories of these ids, `num_steps` actions long."""
        planner = planner_of(self.planning, WeightedSum(((-1.0, self.cost),)), seed=world.seed)
        memory, device = memory_of(self.planning, self.method), next(self.method.parameters()).device
        low, high = edges(world.action_space)
        control, step = None, 0

        def act(state: Any) -> Float[Tensor, "b a"]:
            nonlocal control, step
            picture = world.render(state).to(device)
            if step % self.steps == 0:
                every, hold = self.planning.every, self.planning.hold
                control = Control(planner, self.method, picture, ids.to(device), every=every, hold=hold)
            assert control is not None
            drawn = Stream(world.seed, "exploring/noise").normal(step, ids, len(low))
            planned = control(memory.see(picture)).to(ids.device)
            action = (planned + self.noise * (high - low) / 2 * drawn).clamp(low, high)
            memory.did(action.to(device))
            step += 1
            return action

        return played(world, ids, num_steps, act)
