"""Share what every action-conditioned method has: frames encoded once, and predictions from every start in parallel.

    z_t         = encoder(frame t)
    z_hat_{t+k} = predictor applied k times to z_t with the actions t ... t + k - 1,   k = 1 ... rollout_steps
    energy      = distance(z_hat_{t+k}, z_{t+k})

Clips of T frames give T - k questions about k steps ahead, asked about all starts at once: as many steps of the
predictor as `rollout_steps`, whatever the length of the clips.
"""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from einops import rearrange, repeat
from jaxtyping import Float, Int, UInt8
from torch import Tensor, nn

from jepakit.jepa import JEPA, Objective
from jepakit.nn import SharedTarget
from jepakit.types import ClipBatch, Prediction, UserError
from jepakit.views import Preprocess


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


class WorldMethod(JEPA):
    """Predict embeddings of later frames, told the actions.

    Args:
        encoder: Maps a frame to tokens; their mean is the embedding.
        dynamics: The predictor.
        objective: What to minimise.
        preprocess: What is done to a frame.
        rollout_steps: Steps ahead that are asked about.
        seed: Seed of this method's own draws.
    """

    def __init__(
        self,
        encoder: nn.Module,
        dynamics: nn.Module,
        objective: Objective,
        preprocess: Preprocess,
        rollout_steps: int,
        seed: int,
    ):
        super().__init__(encoder, SharedTarget(encoder), objective, seed)
        self.predictor = dynamics
        self.preprocess = preprocess
        self.rollout_steps = rollout_steps

    def embed(self, frames: UInt8[Tensor, "b t c h w"]) -> Float[Tensor, "b t d"]:
        """Encode every frame once."""
        b, t = frames.shape[:2]
        x = self.preprocess(rearrange(frames, "b t c h w -> (b t) c h w")).to(self.dtype)
        z: Tensor = self.encode(x)
        return rearrange(z, "(b t) d -> b t d", b=b, t=t)

    def predict(self, batch: ClipBatch, step: int) -> Prediction:
        """Encode every frame once, then ask about all steps ahead from all starts."""
        z = self.embed(batch.frames)
        prediction = self.ahead(z, batch.action)
        spaces, aux = self.regularized(z), self.auxiliary(z, batch.action)
        return Prediction(
            prediction.z_hat, prediction.z, prediction.weight, prediction.sample, prediction.group, spaces, aux
        )

    def ahead(self, z: Float[Tensor, "b t d"], action: Float[Tensor, "b _ a"]) -> Prediction:
        """Predict up to `rollout_steps` ahead from every frame; the group of a row is how many steps ahead it asks."""
        b, t, _ = z.shape
        state, predicted, true, groups = z, [], [], []
        for k in range(1, min(self.rollout_steps, t - 1) + 1):
            state = self.predictor(state[:, : t - k], action[:, k - 1 :])
            predicted.append(state)
            true.append(z[:, k:])
            groups.append(torch.full((b, t - k), k, device=z.device))
        group = torch.cat(groups, dim=1)
        return Prediction(
            z_hat=rearrange(torch.cat(predicted, dim=1), "b q d -> (b q) d"),
            z=rearrange(torch.cat(true, dim=1), "b q d -> (b q) d"),
            weight=1.0 / torch.bincount(group[0])[group.flatten()],  # each number of steps weighs the same
            sample=repeat(torch.arange(b, device=z.device), "b -> (b q)", q=group.shape[1]),
            group=rearrange(group, "b q -> (b q)"),
        )

    @abstractmethod
    def regularized(self, z: Float[Tensor, "b t d"]) -> Mapping[str, Float[Tensor, "b g _"]]:
        """Return the spaces that the objective's regularizers read; the frames of a clip are groups."""

    def auxiliary(self, z: Float[Tensor, "b t d"], action: Float[Tensor, "b _ a"]) -> Mapping[str, Float[Tensor, ""]]:
        """Return further losses by name; none by default."""
        return {}

    def questions(self, x: Float[Tensor, "b c h w"], ids: Int[Tensor, " b"], step: int) -> Prediction:
        """Refuse: a single frame has nothing that comes next."""
        raise UserError(
            f"{type(self).__name__} predicts what follows actions, so a single frame has no energy; call it with a "
            "ClipBatch, whose output holds the energy of each clip."
        )

    def observe(self, observation: UInt8[Tensor, "b c h w"]) -> LatentState:
        """Return the state in which observations leave the model."""
        return LatentState(self.embed(observation[:, None])[:, 0])

    def rollout(self, state: LatentState, actions: Float[Tensor, "b s t a"]) -> Float[Tensor, "b s t 1 d"]:
        """Return the embedding after each action of each candidate."""
        ahead: Tensor = self.predictor.rollout(state.z, actions)  # type: ignore[operator]
        return ahead[..., None, :]

    def encode_goal(self, goal: UInt8[Tensor, "b c h w"]) -> Float[Tensor, "b 1 d"]:
        """Return the tokens that a plan is to end in."""
        return self.embed(goal[:, None])
