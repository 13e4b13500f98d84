"""Share what every action-conditioned method has: frames encoded once, and predictions from every start in parallel.

    z_t         = encoder(frame t)
    z_hat_{t+k} = predictor(z_t and what came before, actions t ... t + k - 1),   k = 1 ... rollout_steps
    energy      = distance(z_hat_{t+k}, z_{t+k})

With a latent (`latent_dim`, see `nn.latent`) the predictor also hears what chance does in each step: in training what
was inferred from the frames around it, in use the mean of the prior, which is 0, or draws from it (`futures`,
`supposing`).

Clips of T frames give T - k questions about k steps ahead, asked about all starts at once: as many steps of the
predictor as `rollout_steps`, whatever the length of the clips. An embedding is one vector, or a frame's tokens.
"""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import gymnasium
import torch
import torch.nn.functional as F
from einops import rearrange, repeat
from jaxtyping import Float, Int, UInt8
from torch import Tensor, nn

from jepakit.collectives import weighted_mean
from jepakit.jepa import JEPA, Objective, wide
from jepakit.methods.acting import as_clip
from jepakit.methods.perceiving import WorldModelConfig
from jepakit.nn import SharedTarget
from jepakit.nn.dynamics import Dynamics, StepDynamics
from jepakit.nn.dynamics import LatentState as LatentState
from jepakit.nn.latent import Latent
from jepakit.random import Stream
from jepakit.types import ClipBatch, Prediction, UserError


class WorldMethod(JEPA):
    """Predict embeddings of later frames, told the actions.

    Args:
        config: Preprocessing, actions, and how far ahead is asked.
        encoder: Maps a frame to tokens; their mean is the embedding.
        dynamics: The predictor.
        objective: What to minimise.
        seed: Seed of this method's own draws.
    """

    config: WorldModelConfig

    def __init__(
        self, config: WorldModelConfig, encoder: nn.Module, dynamics: Dynamics, objective: Objective, seed: int
    ):
        has_latent = config.latent_dim > 0
        if has_latent:
            objective = replace(objective, aux_weights={**objective.aux_weights, "latent": config.latent_weight})
        super().__init__(encoder, SharedTarget(encoder), objective, seed)
        sizes = dynamics.embedding_dim, config.told_dim, config.latent_dim
        self.latent = Latent(*sizes) if has_latent else None
        self.config = config
        self.predictor = dynamics
        self.preprocess = config.preprocess
        self.rollout_steps = config.rollout_steps

    @property
    def action_space(self) -> gymnasium.spaces.Space[Any]:
        """Return the actions that a planner may choose."""
        return self.config.action_space

    @property
    def frame_skip(self) -> int:
        """Return the actions between two frames that are looked at."""
        return self.config.frame_skip

    def embed(
        self, frames: UInt8[Tensor, "b t c h w"], proprio: Float[Tensor, "b t p"] | None = None
    ) -> Float[Tensor, "b t *n d"]:
        """Encode every frame once."""
        z: Tensor = self.encode(self.prepared(frames))
        return z.unflatten(0, frames.shape[:2])

    def prepared(self, frames: UInt8[Tensor, "b t c h w"]) -> Float[Tensor, "bt c s s"]:
        """Return what the encoder takes."""
        return self.preprocess(rearrange(frames, "b t c h w -> (b t) c h w")).to(self.dtype)

    def thinned(self, clip: ClipBatch) -> ClipBatch:
        """Return the frames that are looked at."""
        return self.config.thinned(clip)

    def told(self, action: Float[Tensor, "*b t a"]) -> Float[Tensor, "*b t2 a2"]:
        """Return what the predictor is told of actions, chance doing what it does on average."""
        return F.pad(self.config.told(action), (0, self.config.latent_dim))

    def predict(self, batch: ClipBatch, step: int) -> Prediction:
        """Encode every frame once, then ask about all steps ahead from all starts."""
        clip = self.thinned(batch)
        z = self.embed(clip.frames, clip.proprio)
        heard, aux = self.heard(z, clip, step)
        losses = {**self.auxiliary(z, self.config.told(clip.action)), **aux}
        return replace(self.ahead(z, heard), spaces=self.regularized(z), aux=losses)

    def heard(
        self, z: Float[Tensor, "b t *n d"], clip: ClipBatch, step: int
    ) -> tuple[Float[Tensor, "b _ m"], Mapping[str, Float[Tensor, ""]]]:
        """Return what the predictor hears, in training with what chance did in each step, and what that costs."""
        if self.latent is None or not self.training:
            return self.told(clip.action), {}
        told = self.config.told(clip.action)
        noise = Stream(self.seed, "latent").normal(step, clip.id, told.shape[1] * self.latent.dim)
        drawn, rate = self.latent(z, told, noise.unflatten(1, (-1, self.latent.dim)))
        mean_rate = weighted_mean(wide(rate).flatten(), torch.ones_like(rate, dtype=torch.float32).flatten())
        return torch.cat((told.to(drawn), drawn), dim=-1), {"latent": mean_rate}

    def supposing(self, batch: ClipBatch, draw: int) -> Prediction:
        """Predict as if chance had done what this draw from the latent's prior says; the same for every call."""
        clip = self.thinned(batch)
        told = self.config.told(clip.action)
        chance = self._chance("latent/supposed", draw, clip.id, told.shape[1]).to(told)
        return self.ahead(self.embed(clip.frames, clip.proprio), torch.cat((told, chance), dim=-1))

    def futures(
        self, state: Any, actions: Float[Tensor, "b t a"], ids: Int[Tensor, " b"], num_futures: int, step: int = 0
    ) -> Float[Tensor, "b s _ n d"]:
        """Return what may follow the same actions: tokens after each, once for every draw from the latent's prior.

        Args:
            state: Where `observe` left the model.
            actions: One plan for each.
            ids: Whose futures; draws are functions of id and step.
            num_futures: How many.
            step: Which question this is.
        """
        told = repeat(self.config.told(actions), "b t a -> b s t a", s=num_futures)
        chance = self._chance("latent/futures", step, ids, num_futures * told.shape[2])
        heard = torch.cat((told, chance.to(told).unflatten(1, told.shape[1:3])), dim=-1)
        ahead = self.predictor.rollout(state.expand(num_futures), heard)
        return ahead[..., None, :] if ahead.ndim == 4 else ahead

    def _chance(self, name: str, step: int, ids: Int[Tensor, " b"], num: int) -> Float[Tensor, "b num k"]:
        """Return draws from the latent's prior.

        Raises:
            UserError: The model has no latent.
        """
        if self.latent is None:
            raise UserError("This model knows of no chance, so it has one future alone; train it with latent_dim.")
        drawn = Stream(self.seed, name).normal(step, ids, num * self.latent.dim)
        return drawn.unflatten(1, (num, self.latent.dim))

    def ahead(self, z: Float[Tensor, "b t *n d"], action: Float[Tensor, "b _ a"]) -> Prediction:
        """Predict up to `rollout_steps` ahead from every frame; the group of a row is how many steps ahead it asks."""
        predicted = self.predictor.ahead(z, action, min(self.rollout_steps, z.shape[1] - 1))
        return questions_of([(part, z[:, k:]) for k, part in enumerate(predicted, start=1)])

    @abstractmethod
    def regularized(self, z: Float[Tensor, "b t *n d"]) -> Mapping[str, Float[Tensor, "k g _"]]:
        """Return the spaces that the objective's regularizers read; the frames of a clip are groups."""

    def auxiliary(
        self, z: Float[Tensor, "b t *n d"], action: Float[Tensor, "b _ a"]
    ) -> Mapping[str, Float[Tensor, ""]]:
        """Return further losses by name; none by default."""
        return {}

    def questions(self, x: Float[Tensor, "b c h w"], ids: Int[Tensor, " b"], step: int) -> Prediction:
        """Refuse: a single frame has nothing that comes next."""
        raise UserError(
            f"{type(self).__name__} predicts what follows actions, so a single frame has no energy; call it with a "
            "ClipBatch, whose output holds the energy of each clip."
        )

    def observe(self, observation: UInt8[Tensor, "b c h w"] | ClipBatch) -> Any:
        """Return the state in which observations leave the model: pictures, or clips of what led there."""
        clip = self.thinned(as_clip(observation, self.action_dim))
        return self.predictor.begin(self.embed(clip.frames, clip.proprio), self.told(clip.action))

    def rollout(self, state: Any, actions: Float[Tensor, "b s t a"]) -> Float[Tensor, "b s _ n d"]:
        """Return the tokens after each action of each candidate, or where frames are skipped after each block of them.

        Raises:
            UserError: The actions do not fill whole blocks.
        """
        ahead = self.predictor.rollout(state, self.told(actions))
        return ahead[..., None, :] if ahead.ndim == 4 else ahead

    def advance(self, z: Float[Tensor, "*k 1 d"], action: Float[Tensor, "*k a"]) -> Float[Tensor, "*k 1 d"]:
        """Return the tokens after one action in each state that these tokens stand for.

        Args:
            z: Embeddings of single frames.
            action: What is done there; where frames are skipped, for the whole block until the next is looked at.

        Raises:
            UserError: The predictor remembers more than the last embedding.
        """
        if not isinstance(self.predictor, StepDynamics):
            raise UserError(
                f"{type(self.predictor).__name__} predicts from more than the last embedding, so it cannot step from "
                "any; give the method a predictor that does, such as ResidualDynamics or GRUDynamics."
            )
        block = action[..., None, :].expand(*action.shape[:-1], self.frame_skip, -1)
        ahead: Tensor = self.predictor(z[..., 0, :], self.told(block)[..., 0, :])
        return ahead[..., None, :]

    def encode_goal(self, goal: UInt8[Tensor, "b c h w"] | ClipBatch) -> Float[Tensor, "b n d"]:
        """Return the tokens that a plan is to end in: of pictures, or of the last frames of clips."""
        clip = self.thinned(as_clip(goal, self.action_dim))
        last = self.embed(clip.frames[:, -1:], None if clip.proprio is None else clip.proprio[:, -1:])
        return last if last.ndim == 3 else last[:, 0]

    @property
    def action_dim(self) -> int:
        """Return how many numbers an action of the world has."""
        shape = self.action_space.shape
        return shape[0] if shape else 1


def questions_of(
    asked: list[tuple[Float[Tensor, "b _ *n d"], Float[Tensor, "b _ *n d"]]], first: int = 1
) -> Prediction:
    """Join predicted and true embeddings of 1, 2 ... steps ahead into rows; each number of steps weighs the same.

    Args:
        asked: Pairs of predicted and true embeddings, one pair for each number of steps.
        first: The number of steps of the first pair.
    """
    b, device = len(asked[0][0]), asked[0][0].device
    rows = [part[..., 0].flatten(1).shape[1] for part, _ in asked]  # questions about a clip
    group = torch.cat([torch.full((b, num), k, device=device) for k, num in enumerate(rows, start=first)], dim=1)
    predicted, true = (torch.cat([pair[side].flatten(1, -2) for pair in asked], dim=1) for side in (0, 1))
    return Prediction(
        z_hat=rearrange(predicted, "b q d -> (b q) d"),
        z=rearrange(true, "b q d -> (b q) d"),
        weight=1.0 / torch.bincount(group[0])[group.flatten()],
        sample=repeat(torch.arange(b, device=device), "b -> (b q)", q=group.shape[1]),
        group=rearrange(group, "b q -> (b q)"),
    )
