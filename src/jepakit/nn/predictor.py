"""Predict the tokens of hidden places from the tokens of visible ones.

One learned mask token per hidden place, told where it is (and, if asked, what was done to the image), goes through a
narrow transformer together with the context. Each question (one block of hidden places) is answered alone: its mask
tokens never see those of another question.
"""

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from einops import rearrange, repeat
from jaxtyping import Float, Int
from torch import Tensor, nn

from jepakit.nn.attention import require_heads
from jepakit.nn.block import LAYER_NORM_EPS, Block, init_transformer
from jepakit.nn.position import (
    Grid,
    Positions,
    is_rotary,
    released_rotary_table,
    rotary_table,
    select_rotation,
    sincos_table,
)
from jepakit.types import UserError

ContextPass = Literal["per_question", "once"]


@dataclass(frozen=True, kw_only=True)
class MaskedPredictorConfig:
    """Describe a masked predictor; `mlp_dim=0` is stored as 4 * dim.

    Args:
        embedding_dim: Width of the encoder's tokens.
        grid: Sides of the grid of patches: rows and columns, of clips moments first.
        dim: Width inside the predictor.
        depth: Number of blocks.
        num_heads: Heads of each attention.
        mlp_dim: Width inside each MLP; 0 means 4 * dim.
        condition_dim: Length of a vector that says what was done to the image, added to each mask token; 0 for none.
        context_pass: "per_question", the published form: the context goes through the blocks again with each question
            and sees its mask tokens. "once": it goes through alone, and every question looks at it; same weights,
            slightly another function, a third less work in small models.
        positions: As in `ViTConfig`.
        target_dim: Width of what is predicted; 0 is stored as `embedding_dim`.
        num_mask_tokens: Mask tokens, one for each kind of mask.

    Raises:
        UserError: If the heads do not divide the width, or a name is unknown.
    """

    embedding_dim: int
    grid: Grid
    dim: int
    depth: int
    num_heads: int
    mlp_dim: int = 0
    condition_dim: int = 0
    context_pass: ContextPass = "per_question"
    positions: Positions = "sincos"
    target_dim: int = 0
    num_mask_tokens: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "grid", tuple(self.grid))
        object.__setattr__(self, "target_dim", self.target_dim or self.embedding_dim)
        object.__setattr__(self, "mlp_dim", self.mlp_dim or 4 * self.dim)
        require_heads(self.dim, self.num_heads)
        for name, value, known in (
            ("context_pass", self.context_pass, get_args(ContextPass)),
            ("positions", self.positions, get_args(Positions)),
        ):
            if value not in known:
                raise UserError(f"{name} must be one of {', '.join(known)}, got {value!r}.")

    def build(self) -> "MaskedPredictor":
        """Build the network with fresh weights."""
        return MaskedPredictor(
            embedding_dim=self.embedding_dim,
            grid=self.grid,
            dim=self.dim,
            depth=self.depth,
            num_heads=self.num_heads,
            mlp_dim=self.mlp_dim,
            condition_dim=self.condition_dim,
            context_pass=self.context_pass,
            positions=self.positions,
            target_dim=self.target_dim,
            num_mask_tokens=self.num_mask_tokens,
        )


class MaskedPredictor(nn.Module):
    """Predict the embeddings at hidden places from the context's tokens; the arguments are `MaskedPredictorConfig`'s.

    Source: Assran et al. 2023, I-JEPA (arXiv 2301.08243), section 3, and its released code; the condition after Garrido
    et al. 2024, Image World Models (arXiv 2403.00504). Deviations: the last block computes its outputs for mask tokens
    alone (the context's are never read); the condition goes through a two-layer MLP and is added, not concatenated.
    """

    position_table: Tensor

    def __init__(
        self,
        embedding_dim: int,
        grid: Grid,
        dim: int,
        depth: int,
        num_heads: int,
        mlp_dim: int = 0,
        condition_dim: int = 0,
        context_pass: ContextPass = "per_question",
        positions: Positions = "sincos",
        target_dim: int = 0,
        num_mask_tokens: int = 1,
    ):
        super().__init__()
        self.config = MaskedPredictorConfig(
            embedding_dim=embedding_dim,
            grid=grid,
            dim=dim,
            depth=depth,
            num_heads=num_heads,
            mlp_dim=mlp_dim,
            condition_dim=condition_dim,
            context_pass=context_pass,
            positions=positions,
            target_dim=target_dim,
            num_mask_tokens=num_mask_tokens,
        )
        self.embed = nn.Linear(embedding_dim, dim)
        self.mask_token = nn.Parameter(torch.zeros(num_mask_tokens, 1, dim))
        self.condition_embed = (
            nn.Sequential(nn.Linear(condition_dim, dim), nn.GELU(), nn.Linear(dim, dim)) if condition_dim else None
        )
        self.blocks = nn.ModuleList(Block(dim, num_heads, self.config.mlp_dim) for _ in range(depth))
        self.norm = nn.LayerNorm(dim, eps=LAYER_NORM_EPS)
        self.proj = nn.Linear(dim, self.config.target_dim)
        if positions == "stored":
            self.position_table = nn.Parameter(self._positions(None))
        else:
            self.register_buffer("position_table", self._positions(None), persistent=False)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw fresh weights and fill the position table in place."""
        init_transformer(self, self.blocks)
        nn.init.trunc_normal_(self.mask_token, std=0.02)
        with torch.no_grad():
            self.position_table.copy_(self._positions(self.position_table.device))

    def compute_positions(self, device: torch.device) -> None:
        """Make the position table anew, as after a build on "meta"; one that is stored is a weight and stays."""
        if self.config.positions != "stored":
            self.position_table = self._positions(device)

    def forward(
        self,
        s_x: Float[Tensor, "b k d"],
        context_idx: Int[Tensor, "b k"],
        target_idx: Int[Tensor, "b q m"],
        condition: Float[Tensor, "b p"] | None = None,
        kind: int = 0,
    ) -> Float[Tensor, "b q m t"]:
        """Return the predicted embedding of every target of every question.

        Args:
            s_x: Tokens of the context.
            context_idx: Their places.
            target_idx: Places asked about, `q` questions of `m` each.
            condition: What was done to the image, where the predictor was built to be told.
            kind: Which mask token asks.

        Raises:
            UserError: If a condition is missing, unexpected or of another length.
        """
        num_questions = target_idx.shape[1]
        context = self.embed(s_x)
        mask_tokens = self._mask_tokens(context, target_idx, condition, kind)
        context_rotation = target_rotation = None
        if is_rotary(self.config.positions):
            context_rotation = select_rotation(self.position_table, context_idx)
            target_rotation = select_rotation(self.position_table, rearrange(target_idx, "b q m -> (b q) m"))
        else:
            context = context + self.position_table[context_idx]
        if self.config.context_pass == "once":
            answered = self._answer_context_once(context, mask_tokens, context_rotation, target_rotation)
        else:
            context = repeat(context, "b k d -> (b q) k d", q=num_questions)
            if context_rotation is not None:
                context_rotation = repeat(context_rotation, "s b o k p -> s (b q) o k p", q=num_questions)
            answered = self._answer_per_question(context, mask_tokens, context_rotation, target_rotation)
        return rearrange(self.proj(self.norm(answered)), "(b q) m d -> b q m d", q=num_questions)

    def _mask_tokens(self, context: Tensor, target_idx: Tensor, condition: Tensor | None, kind: int) -> Tensor:
        """Return the mask tokens ((b q), m, dim), told their places and the condition."""
        b, q, m = target_idx.shape
        tokens = self.mask_token[kind].to(context.dtype).expand(b * q, m, -1)
        if not is_rotary(self.config.positions):
            tokens = tokens + self.position_table[rearrange(target_idx, "b q m -> (b q) m")]
        expected = self.config.condition_dim
        got = 0 if condition is None else condition.shape[-1]
        if got != expected:
            raise UserError(
                f"this predictor was built with condition_dim={expected}, got a condition of length {got}; "
                "pass what it was built for."
            )
        if self.condition_embed is None:
            return tokens
        return tokens + repeat(self.condition_embed(condition), "b d -> (b q) 1 d", q=q)

    def _answer_per_question(
        self, context: Tensor, targets: Tensor, context_rotation: Tensor | None, target_rotation: Tensor | None
    ) -> Tensor:
        """Let context and mask tokens of each question go through the blocks together; all batches are (b q)."""
        num_context = context.shape[1]
        rotation = None
        if context_rotation is not None and target_rotation is not None:
            rotation = torch.cat((context_rotation, target_rotation), dim=3)
        tokens = torch.cat((context, targets), dim=1)
        for block in self.blocks[:-1]:
            tokens = block(tokens, rotation)
        context, targets = tokens[:, :num_context], tokens[:, num_context:]
        for block in self.blocks[-1:]:  # nobody reads what the last block makes of the context
            targets = block(targets, target_rotation, context, context_rotation)
        return targets

    def _answer_context_once(
        self, context: Tensor, targets: Tensor, context_rotation: Tensor | None, target_rotation: Tensor | None
    ) -> Tensor:
        """Let the context (b, k) go through the blocks alone, and the mask tokens ((b q), m) look at it in each."""
        last = len(self.blocks) - 1
        for number, block in enumerate(self.blocks):
            targets = block(targets, target_rotation, context, context_rotation)
            if number < last:
                context = block(context, context_rotation)
        return targets

    def _positions(self, device: torch.device | None) -> Tensor:
        head_dim = self.config.dim // self.config.num_heads
        if self.config.positions == "rotary":
            return rotary_table(self.config.grid, head_dim, None, device)
        if self.config.positions == "rotary-released":
            return released_rotary_table(self.config.grid, head_dim, None, device)
        return sincos_table(self.config.grid, self.config.dim, device)
