"""Predict the next embedding of a `PlaceNet`: the body moves, told what the map holds where it looks."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from jepakit.nn.dynamics import StepDynamics
from jepakit.nn.placenet import SIZE
from jepakit.types import UserError


@dataclass(frozen=True, kw_only=True)
class PlaceDynamicsConfig:
    """Describe a predictor that looks things up in the map of a `PlaceNet`.

    Args:
        body_dim: The encoder's `body_dim`.
        place_dim: The encoder's `place_dim`.
        hidden_dim: Width of the hidden layers.
        depth: Hidden layers.

    Raises:
        UserError: A number is not positive.
    """

    body_dim: int = 64
    place_dim: int = 8
    hidden_dim: int = 256
    depth: int = 2

    def __post_init__(self) -> None:
        if min(self.body_dim, self.place_dim, self.hidden_dim, self.depth) < 1:
            raise UserError(f"A PlaceDynamics needs positive numbers, got {self}.")

    def build(self, embedding_dim: int, action_dim: int, norm: nn.Module) -> "PlaceDynamics":
        """Build the predictor with fresh weights."""
        return PlaceDynamics(self, embedding_dim, action_dim, norm)


class PlaceDynamics(StepDynamics):
    """Step an embedding: body + network(body, look, action, what the map holds where it looks); the map stays.

    How what is seen acts on the body is one network, wherever that is. So a wall is learned once, and not once for
    every place where one may stand: what makes unseen layouts predictable. Where to look next is predicted too.

    Args:
        config: Its size.
        embedding_dim: Width of the embeddings, body, look and map.
        action_dim: Length of what it is told between two frames.
        norm: Normalises each prediction; the encoder's own last layer, so that both live in one space.

    Source: our own.

    Raises:
        UserError: The embedding is no body with a look at a map of whole places.
    """

    def __init__(self, config: PlaceDynamicsConfig, embedding_dim: int, action_dim: int, norm: nn.Module):
        super().__init__(norm)
        self.config = config
        dim = config.place_dim
        self.num_places, left = divmod(embedding_dim - config.body_dim, 1 + dim)
        if left or self.num_places < 1:
            raise UserError(
                f"An embedding of {embedding_dim} numbers is no body of {config.body_dim} with a look at places of "
                f"{dim}; give PlaceDynamics the body_dim and the place_dim of its PlaceNet."
            )
        self.sizes = (config.body_dim, self.num_places, dim * self.num_places)
        widths = [config.hidden_dim] * config.depth
        self.state = nn.Linear(self.sizes[0] + self.sizes[1] + dim, widths[0])
        self.action = nn.Linear(action_dim, widths[0], bias=False)
        self.hidden = nn.ModuleList([nn.Linear(width, width) for width in widths[1:]])
        self.step = nn.Linear(widths[-1], config.body_dim)
        self.look = nn.Linear(widths[-1], self.num_places)

    def moved(self, z: Float[Tensor, "*n d"], action: Float[Tensor, "*n a"]) -> Float[Tensor, "*n d"]:
        """Return the embedding with the body moved, looking elsewhere."""
        body, look, places = z.split(self.sizes, dim=-1)
        seen = ((look / SIZE)[..., None, :] @ places.unflatten(-1, (self.num_places, -1)))[..., 0, :]
        hidden = F.relu(self.state(torch.cat((body, look, seen), dim=-1)) + self.action(action))
        for layer in self.hidden:
            hidden = F.relu(layer(hidden))
        look = SIZE * self.look(hidden).softmax(dim=-1)
        return torch.cat((body + self.step(hidden), look.to(z.dtype), places), dim=-1)
