"""Predict what every prefix of a plan leads to in one pass, without feeding predictions back.

    z_hat_{t+k} = z_t + change(z_t, a_t ... a_{t+k-1})      for all k at once

Actions are the tokens of a causal transformer, and the embedding at the start modulates its blocks. An error made at
one step is not handed on to the next, and a plan of any length is one pass; the embedding's modulation is computed once
for each episode and shared by its candidates.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from jepakit.nn.adaln import MODULATIONS, ModulatedBlock
from jepakit.nn.causal_dynamics import band_mask
from jepakit.nn.dynamics import Dynamics, LatentState, require_clip
from jepakit.nn.position import time_table
from jepakit.types import UserError


@dataclass(frozen=True, kw_only=True)
class PrefixDynamicsConfig:
    """Describe a predictor of all prefixes of a plan; it takes embeddings of one vector a frame.

    Args:
        depth: Blocks.
        num_heads: Heads of each attention.
        head_dim: Width of a head.
        mlp_dim: Width inside each MLP.
        max_horizon: Longest plan.

    Raises:
        UserError: A size is below 1.

    Source: Fast-LeWM (arXiv 2606.26217), its idea: embeddings of all action prefixes in parallel. Deviations: the
    architecture is ours (actions as tokens, modulated by the start), since only the idea was at hand.
    """

    depth: int = 4
    num_heads: int = 8
    head_dim: int = 32
    mlp_dim: int = 1024
    max_horizon: int = 128

    def __post_init__(self) -> None:
        if min(self.depth, self.num_heads, self.head_dim, self.mlp_dim, self.max_horizon) < 1:
            raise UserError(f"A predictor of prefixes needs sizes of at least 1, got {self}.")

    def build(self, embedding_dim: int, action_dim: int, norm: nn.Module | None = None) -> "PrefixDynamics":
        """Build the predictor with fresh weights; it has norms of its own, so `norm` is not used."""
        return PrefixDynamics(self, embedding_dim, action_dim)


class PrefixDynamics(Dynamics):
    """Predict all prefixes at once, see the head of this file."""

    def __init__(self, config: PrefixDynamicsConfig, embedding_dim: int, action_dim: int):
        super().__init__()
        self.config = config
        dim = self.embedding_dim = embedding_dim
        self.action = nn.Linear(action_dim, dim)
        self.modulation = nn.Linear(dim, config.depth * MODULATIONS * dim)
        shape = (config.num_heads, config.head_dim, config.mlp_dim)
        self.blocks = nn.ModuleList(ModulatedBlock(dim, *shape) for _ in range(config.depth))
        self.norm = nn.LayerNorm(dim)
        self.head = nn.Linear(dim, dim)
        nn.init.zeros_(self.head.weight)  # without training nothing changes
        nn.init.zeros_(self.head.bias)

    def ahead(
        self, z: Float[Tensor, "b t d"], action: Float[Tensor, "b _ a"], num_steps: int
    ) -> Sequence[Float[Tensor, "b _ d"]]:
        """Return predictions 1 ... num_steps ahead: every start is asked about its own prefixes, all in one pass.

        Raises:
            UserError: There is not one action between each frame and the next, or too many steps are asked for.
        """
        num_frames = z.shape[1]
        require_clip(num_frames, action.shape[1])
        padded = F.pad(action, (0, 0, 0, num_steps - 1))  # after the end of the clip, where no prediction is read
        plans = padded.unfold(1, num_steps, 1).transpose(-1, -2)
        rolled = self._prefixes(z[:, :-1], plans)
        return [rolled[:, : num_frames - k, k - 1] for k in range(1, num_steps + 1)]

    def begin(self, z: Float[Tensor, "b t d"], action: Float[Tensor, "b _ a"]) -> LatentState:
        """Return the last embedding, which is all that is remembered."""
        return LatentState(z[:, -1])

    def rollout(self, state: LatentState, actions: Float[Tensor, "b s t a"]) -> Float[Tensor, "b s t d"]:
        """Return the embeddings after each prefix of each candidate.

        Raises:
            UserError: The plan is longer than `max_horizon`.
        """
        z = state.z if state.z.ndim == 3 else state.z[:, None]
        return self._prefixes(z[:, :1] if z.stride(1) == 0 else z, actions)  # candidates of one start share its work

    def _prefixes(self, z: Float[Tensor, "b s1 d"], plans: Float[Tensor, "b s t a"]) -> Float[Tensor, "b s t d"]:
        """Return the embedding after each prefix of plans from these starts."""
        horizon = plans.shape[2]
        if horizon > self.config.max_horizon:
            raise UserError(f"This predictor was made for plans of {self.config.max_horizon} actions, got {horizon}.")
        modulation = self.modulation(F.silu(z))[:, :, None, None]
        steps = torch.arange(horizon, device=z.device)
        rotation = time_table(horizon, self.config.head_dim, z.device)[:, None]
        mask = band_mask(steps, horizon)
        x = self.action(plans.to(z.dtype))[..., None, :]
        for block, part in zip(self.blocks, modulation.chunk(len(self.blocks), dim=-1), strict=True):
            assert isinstance(block, ModulatedBlock)
            query, key, value = block.look(x, part, rotation)
            flat = [rearrange(found, "b s t 1 h c -> (b s) h t c") for found in (query, key, value)]
            mixed = F.scaled_dot_product_attention(flat[0], flat[1], flat[2], attn_mask=mask)
            x = block.finish(x, rearrange(mixed, "(b s) h t c -> b s t 1 h c", b=len(z)), part)
        return z[:, :, None] + self.head(self.norm(x[..., 0, :]))
