"""Predict the next frame's tokens with a causal transformer that sees a band of frames, trained as it is used.

A token of frame t looks at all tokens of frames t - window + 1 ... t, in training as in planning. What it finds there
was made by frames before those, so after L blocks a prediction depends on L (window - 1) + 1 frames; keys and values
kept from earlier steps then hold exactly what a pass over the whole sequence would compute. Recomputing the last
`window` frames alone is another function (`nn.window_dynamics`, for imported weights).

In planning the keys and values of what was seen are computed once for each episode and read by all its candidates
where they lie. Each later frame keeps its own, for as long as the band reaches back; nothing is joined or copied.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Bool, Complex, Float, Int
from torch import Tensor, nn

from jepakit.nn.adaln import MODULATIONS, ActionEmbedding, ModulatedBlock
from jepakit.nn.batchnorm import BatchNorm
from jepakit.nn.dynamics import Dynamics, require_clip
from jepakit.nn.position import time_table
from jepakit.types import UserError

Conditioning = Literal["modulate", "concatenate"]
Head = Literal["linear", "mlp", "none"]
Kept = tuple[Tensor, Tensor]
"""Keys and values, each (..., n, heads, head_dim)."""


@dataclass(frozen=True, kw_only=True)
class CausalDynamicsConfig:
    """Describe a causal transformer over frames; the defaults are LeWM's sizes.

    Args:
        depth: Blocks.
        num_heads: Heads of each attention.
        head_dim: Width of a head.
        mlp_dim: Width inside each MLP.
        window: Frames that a frame sees, itself included.
        num_tokens: Tokens of a frame; with more than one each has a learned place.
        max_frames: Longest sequence, of what was seen and what is imagined together.
        conditioning: "modulate" lets the action shift, scale and gate every block (LeWM); "concatenate" appends its
            embedding to every token (DINO-WM).
        action_dim: Width of the appended embedding.
        head: What follows the last norm: one linear map, an MLP with BatchNorm (LeWM), or nothing.
        head_dim_hidden: Width inside that MLP.

    Raises:
        UserError: A size is below 1, or a name is unknown.

    Source: Maes et al. 2026, LeWM (arXiv 2603.19312), section on the predictor. Deviations: rotary positions and
    attention banded over the whole sequence, where LeWM has learned positions in a window that is recomputed; one
    normalisation before each modulation, where its code has a second one after.
    """

    depth: int = 6
    num_heads: int = 16
    head_dim: int = 64
    mlp_dim: int = 2048
    window: int = 3
    num_tokens: int = 1
    max_frames: int = 128
    conditioning: Conditioning = "modulate"
    action_dim: int = 10
    head: Head = "mlp"
    head_dim_hidden: int = 2048

    def __post_init__(self) -> None:
        sizes = (self.depth, self.num_heads, self.head_dim, self.mlp_dim, self.window, self.num_tokens)
        if min(*sizes, self.action_dim, self.head_dim_hidden) < 1 or self.max_frames < 2:
            raise UserError(f"A causal predictor needs sizes of at least 1 and 2 frames, got {self}.")
        for name, value, known in (("conditioning", self.conditioning, Conditioning), ("head", self.head, Head)):
            if value not in get_args(known):
                raise UserError(f"{name} must be one of {', '.join(get_args(known))}, got {value!r}.")

    def build(self, embedding_dim: int, action_dim: int, norm: nn.Module | None = None) -> "CausalDynamics":
        """Build the predictor with fresh weights; it has norms of its own, so `norm` is not used."""
        return CausalDynamics(self, embedding_dim, action_dim)


@dataclass(frozen=True)
class CausalState:
    """Hold the last frame's tokens, and the keys and values of the frames before it that later ones will see.

    Args:
        z: Tokens of the last frame.
        keys: Of the frames before it, block by block.
        values: Likewise.
        position: How many frames were seen before the last one.
        num_samples: Candidates that share this memory.
    """

    z: Float[Tensor, "b n d"]
    keys: Float[Tensor, "b l t n heads head_dim"]
    values: Float[Tensor, "b l t n heads head_dim"]
    position: int
    num_samples: int = 1

    def expand(self, num_samples: int) -> "CausalState":
        """Return the state once for each of so many candidates; it is the same memory."""
        return replace(self, num_samples=num_samples)

    def select(self, index: Int[Tensor, " k"]) -> "CausalState":
        """Return the states at these places of the batch."""
        return replace(self, z=self.z[index], keys=self.keys[index], values=self.values[index])


class CausalDynamics(Dynamics):
    """Predict from a band of frames, see the head of this file.

    Args:
        config: The sizes.
        embedding_dim: Width of the embeddings' tokens.
        action_dim: Length of an action.
        has_norms: Whether blocks normalise once more, see `ModulatedBlock`; always so without modulation.
    """

    def __init__(self, config: CausalDynamicsConfig, embedding_dim: int, action_dim: int, has_norms: bool = False):
        super().__init__()
        self.config = config
        self.embedding_dim = embedding_dim
        self.is_modulated = config.conditioning == "modulate"
        dim = self.width = embedding_dim if self.is_modulated else embedding_dim + config.action_dim
        shape = (config.num_heads, config.head_dim, config.mlp_dim, has_norms or not self.is_modulated)
        self.blocks = nn.ModuleList(ModulatedBlock(dim, *shape) for _ in range(config.depth))
        if self.is_modulated:
            self.action: nn.Module = ActionEmbedding(action_dim, dim)
            self.modulation = nn.Linear(dim, config.depth * MODULATIONS * dim)  # of all blocks in one product
            nn.init.zeros_(self.modulation.weight)  # every block begins as the identity
            nn.init.zeros_(self.modulation.bias)
        else:
            self.action = nn.Linear(action_dim, config.action_dim)
        self.norm = nn.LayerNorm(dim)
        self.head = _head(config, dim, embedding_dim)
        several = config.num_tokens > 1
        self.frame_position = nn.Parameter(0.02 * torch.randn(config.num_tokens, dim)) if several else None

    def ahead(
        self, z: Float[Tensor, "b t *n d"], action: Float[Tensor, "b _ a"], num_steps: int
    ) -> Sequence[Float[Tensor, "b _ *n d"]]:
        """Return predictions 1 ... num_steps ahead from all starts in parallel.

        The first is one banded pass over the true frames; each further one is a step in which every start is a
        candidate: it sees the true frames up to itself, as far as the band reaches, and then its own predictions.

        Raises:
            UserError: There is not one action between each frame and the next, or the clip is too long.
        """
        tokens = self._tokens(z)
        num_frames = tokens.shape[1]
        require_clip(num_frames, action.shape[1])
        self._require_frames(num_frames)
        condition = self._condition(action)
        out, kept = self._banded(self._enter(tokens[:, :-1], condition), condition)
        predicted, own = [self._leave(out)], _nothing(self.blocks)
        for k in range(2, num_steps + 1):
            x = predicted[-1][:, : num_frames - k]
            starts = torch.arange(num_frames - k, device=z.device)
            band = starts[:, None] - torch.arange(num_frames - 1, device=z.device)  # how far back a true frame lies
            mask = (band >= 0) & (band + k - 1 < self.config.window)
            own = [[(key[:, : num_frames - k], value[:, : num_frames - k]) for key, value in each] for each in own]
            told = condition[:, k - 1 :]
            out = self._step(self._enter(x, told), told, starts + k - 1, kept, mask, own)
            predicted.append(self._leave(out))
        return [part if z.ndim == 4 else part[:, :, 0] for part in predicted]

    def begin(self, z: Float[Tensor, "b t *n d"], action: Float[Tensor, "b _ a"]) -> CausalState:
        """Return the state after frames: the keys and values of all but the last, computed once.

        Raises:
            UserError: There is not one action between each frame and the next, or there are too many frames.
        """
        tokens = self._tokens(z)
        require_clip(tokens.shape[1], action.shape[1])
        self._require_frames(tokens.shape[1] + 1)
        position = tokens.shape[1] - 1
        if position == 0:
            shape = (len(z), len(self.blocks), 0, tokens.shape[2], self.config.num_heads, self.config.head_dim)
            return CausalState(tokens[:, -1], z.new_empty(shape), z.new_empty(shape), 0)
        condition = self._condition(action)
        _, kept = self._banded(self._enter(tokens[:, :-1], condition), condition)
        within = slice(max(0, position - self.config.window + 1), None)
        keys, values = (torch.stack([part[:, within] for part in parts], dim=1) for parts in zip(*kept, strict=True))
        return CausalState(tokens[:, -1], keys, values, position)

    def rollout(self, state: CausalState, actions: Float[Tensor, "b s t a"]) -> Float[Tensor, "b s t *n d"]:
        """Return the tokens after each action of each candidate.

        Raises:
            UserError: The plan reaches further than the longest sequence.
        """
        b, s, horizon, _ = actions.shape
        self._require_frames(state.position + horizon + 1)
        seen = list(zip(state.keys.unbind(1), state.values.unbind(1), strict=True))
        age = state.keys.shape[2] - torch.arange(state.keys.shape[2], device=actions.device)  # frames before the last
        x = state.z[:, None].expand(b, s, -1, -1)
        own, ahead = _nothing(self.blocks), []
        for step in range(horizon):
            condition = self._condition(actions[:, :, step])  # step by step: all modulations at once are far too large
            position = torch.full((1,), state.position + step, device=actions.device)
            mask = (age + step < self.config.window)[None]
            context = seen if step + 1 < self.config.window and state.keys.shape[2] else []
            out = self._step(self._enter(x, condition), condition, position, context, mask, own)
            x = self._leave(out)
            ahead.append(x)
        rolled = torch.stack(ahead, dim=2)
        return rolled[..., 0, :] if self.config.num_tokens == 1 else rolled

    def _tokens(self, z: Tensor) -> Float[Tensor, "b t n d"]:
        """Return embeddings with an axis for tokens.

        Raises:
            UserError: A frame has another number of tokens, or they another width.
        """
        tokens = z if z.ndim == 4 else z[:, :, None]
        if tokens.shape[2:] != (self.config.num_tokens, self.embedding_dim):
            raise UserError(
                f"This predictor takes {self.config.num_tokens} tokens of {self.embedding_dim} numbers a frame, got "
                f"{tuple(z.shape)}; set num_tokens to what the encoder gives."
            )
        return tokens

    def _require_frames(self, num_frames: int) -> None:
        if num_frames > self.config.max_frames:
            raise UserError(
                f"This predictor was made for sequences of {self.config.max_frames} frames (max_frames), what was seen "
                f"and what is imagined together; asked for {num_frames}. Shorten the horizon or the history."
            )

    def _condition(self, action: Float[Tensor, "*n a"]) -> Float[Tensor, "*n m"]:
        """Return what actions do: modulations of all blocks, or an embedding to append."""
        told: Tensor = self.action(action.to(self.norm.weight.dtype))
        return self.modulation(F.silu(told)) if self.is_modulated else told

    def _enter(self, tokens: Float[Tensor, "b t n d"], condition: Float[Tensor, "b t m"]) -> Float[Tensor, "b t n e"]:
        """Return what goes into the blocks."""
        if not self.is_modulated:
            appended = condition[:, :, None].expand(-1, -1, tokens.shape[2], -1)
            tokens = torch.cat((tokens, appended), dim=-1)
        return tokens if self.frame_position is None else tokens + self.frame_position

    def _leave(self, out: Float[Tensor, "b t n e"]) -> Float[Tensor, "b t n d"]:
        """Return embeddings from what comes out of the blocks."""
        flat = self.head(rearrange(self.norm(out), "b t n e -> (b t n) e"))
        return flat[:, : self.embedding_dim].unflatten(0, out.shape[:3])

    def _modulations(self, condition: Float[Tensor, "b t m"]) -> Sequence[Tensor | None]:
        """Return each block's part of a condition, with an axis for tokens."""
        if not self.is_modulated:
            return [None] * len(self.blocks)
        return condition[:, :, None].chunk(len(self.blocks), dim=-1)

    def _rotation(self, position: Int[Tensor, " t"]) -> Complex[Tensor, "t 1 half"] | None:
        """Return the rotations of frames in time, for each of their tokens and heads alike."""
        table = _table(self.config.max_frames, self.config.head_dim, position.device)
        return table[position, None]

    def _banded(self, x: Float[Tensor, "b t n e"], condition: Float[Tensor, "b t m"]) -> tuple[Tensor, list[Kept]]:
        """Return all frames after the blocks, and each block's keys and values."""
        frames = torch.arange(x.shape[1], device=x.device)
        mask = band_mask(frames.repeat_interleave(x.shape[2]), self.config.window)
        rotation, kept = self._rotation(frames), []
        for block, modulation in zip(self.blocks, self._modulations(condition), strict=True):
            x, key, value = block(x, modulation, rotation, mask)
            kept.append((key, value))
        return x, kept

    def _step(
        self,
        x: Float[Tensor, "b s n e"],
        condition: Float[Tensor, "b s m"],
        position: Int[Tensor, " s1"],
        context: Sequence[Kept],
        mask: Bool[Tensor, "s1 t"],
        own: list[list[Kept]],
    ) -> Float[Tensor, "b s n e"]:
        """Return candidates' newest frames after the blocks; their keys and values are added to `own`.

        Args:
            x: Newest frames.
            condition: What is done there.
            position: Their places in time.
            context: Each block's keys and values of frames that candidates share, (b, t, n, heads, head_dim).
            mask: Which of these frames a candidate sees.
            own: Each block's keys and values of candidates' own frames before this one.
        """
        rotation = self._rotation(position)
        modulations = self._modulations(condition)
        for place, block in enumerate(self.blocks):
            assert isinstance(block, ModulatedBlock)
            query, key, value = block.look(x, modulations[place], rotation)
            own[place] = [*own[place], (key, value)][-self.config.window :]
            shared = context[place] if context else None
            x = block.finish(x, attend(query, own[place], shared, mask), modulations[place])
        return x


def attend(
    query: Float[Tensor, "b s n heads head_dim"], own: Sequence[Kept], shared: Kept | None, mask: Bool[Tensor, "s1 t"]
) -> Float[Tensor, "b s n heads head_dim"]:
    """Return what queries find in candidates' own frames and in frames that the candidates of an episode share.

    Softmax over all of them, each set of keys read where it lies: nothing is joined but the scores.

    Args:
        query: Of candidates.
        own: Keys and values of each of their own frames, like the query.
        shared: Keys and values (b, t, n, heads, head_dim) of an episode's frames.
        mask: Which of the shared frames a candidate sees.
    """
    return (_attend_one if query.shape[2] == 1 else _attend_many)(query, own, shared, mask)


def _attend_one(query: Tensor, own: Sequence[Kept], shared: Kept | None, mask: Tensor) -> Tensor:
    """Attend with one token a frame."""
    # products and sums outrun many tiny matrix products, and softmax over the first axis one over a short last axis
    scores = [(query * key).sum(-1)[None] for key, _ in own]
    if shared is not None:
        found = torch.einsum("bsnhc,bmhc->mbsnh", query, shared[0].flatten(1, 2))
        scores.append(found.masked_fill(~mask.T[:, None, :, None, None], -torch.inf))
    share = (torch.cat(scores) * query.shape[-1] ** -0.5).softmax(dim=0)
    mixed = share[0, ..., None] * own[0][1]
    for part, (_, value) in zip(share[1 : len(own)], own[1:], strict=True):
        mixed = mixed.addcmul_(part[..., None], value)  # in place, which autograd allows: no product needs it again
    if shared is None:
        return mixed
    return mixed + torch.einsum("mbsnh,bmhc->bsnhc", share[len(own) :], shared[1].flatten(1, 2))


def _attend_many(query: Tensor, own: Sequence[Kept], shared: Kept | None, mask: Tensor) -> Tensor:
    """Attend with several tokens a frame."""
    scores = [torch.einsum("bsnhc,bsmhc->bsnhm", query, key) for key, _ in own]
    if shared is not None:
        found = torch.einsum("bsnhc,bmhc->bsnhm", query, shared[0].flatten(1, 2))
        hidden = ~mask[:, None, None, :].repeat_interleave(query.shape[2], dim=-1)
        scores.append(found.masked_fill(hidden, -torch.inf))
    share = (torch.cat(scores, dim=-1) * query.shape[-1] ** -0.5).softmax(dim=-1)
    parts = share.split([part.shape[-1] for part in scores], dim=-1)
    mixed = [torch.einsum("bsnhm,bsmhc->bsnhc", part, value) for part, (_, value) in zip(parts, own, strict=False)]
    if shared is not None:
        mixed.append(torch.einsum("bsnhm,bmhc->bsnhc", parts[-1], shared[1].flatten(1, 2)))
    return torch.stack(mixed).sum(dim=0)


def band_mask(frame: Int[Tensor, " l"], window: int) -> Bool[Tensor, "l l"]:
    """Return which token (row) may look at which: those of its own frame and of the window - 1 frames before."""
    back = frame[:, None] - frame
    return (back >= 0) & (back < window)


@lru_cache(maxsize=16)
def _table(num_frames: int, head_dim: int, device: torch.device) -> Complex[Tensor, "t half"]:
    """Keep rotations as they are whatever the weights are in: narrow numbers cannot tell late frames apart."""
    return time_table(num_frames, head_dim, device)


def _nothing(blocks: nn.ModuleList) -> list[list[Kept]]:
    return [[] for _ in blocks]


def _head(config: CausalDynamicsConfig, dim: int, embedding_dim: int) -> nn.Module:
    if config.head == "none":
        return nn.Identity()
    if config.head == "linear":
        return nn.Linear(dim, embedding_dim)
    return mlp_head(dim, config.head_dim_hidden, embedding_dim)


def mlp_head(dim: int, hidden_dim: int, out_dim: int) -> nn.Sequential:
    """Build LeWM's head: linear, BatchNorm, GELU, linear."""
    return nn.Sequential(nn.Linear(dim, hidden_dim), BatchNorm(hidden_dim), nn.GELU(), nn.Linear(hidden_dim, out_dim))
