"""Predict from the last few frames alone, recomputed at every step: the form of weights trained elsewhere.

LeWM and DINO-WM add learned positions within a window of frames, so the same frame is another vector as the window
moves on, and no key or value can be kept. Weights of theirs mean this function; weights of ours come from
`nn.causal_dynamics`, which needs a half to a third of the work.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor, nn

from jepakit.nn.adaln import ActionEmbedding
from jepakit.nn.causal_dynamics import CausalDynamics, CausalDynamicsConfig
from jepakit.nn.dynamics import require_clip
from jepakit.types import UserError


@dataclass(frozen=True, kw_only=True)
class WindowDynamicsConfig(CausalDynamicsConfig):
    """Describe a transformer over a window of frames; beyond it the past is forgotten.

    Args:
        normalises_twice: Whether what is modulated is normalised again with learned gains, as in LeWM's released code.
        action_hidden: Width inside the embedding of an action; 0 means 4 times the token's.

    Source: Maes et al. 2026, LeWM (arXiv 2603.19312); Zhou et al. 2024, DINO-WM (arXiv 2411.04983). Deviations: none.
    """

    normalises_twice: bool = True
    action_hidden: int = 0

    def build(self, embedding_dim: int, action_dim: int, norm: nn.Module | None = None) -> "WindowDynamics":
        """Build the predictor with fresh weights; it has norms of its own, so `norm` is not used."""
        return WindowDynamics(self, embedding_dim, action_dim)


@dataclass(frozen=True)
class WindowState:
    """Hold the last frames and what was done between them.

    Args:
        z: Tokens of the last frames, at most a window.
        action: Actions between them.
        num_samples: Candidates that share this memory.
    """

    z: Float[Tensor, "b t n d"]
    action: Float[Tensor, "b _ a"]
    num_samples: int = 1

    def expand(self, num_samples: int) -> "WindowState":
        """Return the state once for each of so many candidates; it is the same memory."""
        return replace(self, num_samples=num_samples)

    def select(self, index: Int[Tensor, " k"]) -> "WindowState":
        """Return the states at these places of the batch."""
        return replace(self, z=self.z[index], action=self.action[index])


class WindowDynamics(CausalDynamics):
    """Predict from a window of frames, see the head of this file."""

    def __init__(self, config: WindowDynamicsConfig, embedding_dim: int, action_dim: int):
        super().__init__(replace(config, num_tokens=1), embedding_dim, action_dim, config.normalises_twice)
        self.config = config
        if self.is_modulated and config.action_hidden:
            self.action = ActionEmbedding(action_dim, embedding_dim, config.action_hidden)
        self.window_position = nn.Parameter(0.02 * torch.randn(config.window * config.num_tokens, self.width))

    def ahead(
        self, z: Float[Tensor, "b t *n d"], action: Float[Tensor, "b _ a"], num_steps: int
    ) -> Sequence[Float[Tensor, "b _ *n d"]]:
        """Return predictions one step ahead from all starts, each from the window that ends there.

        Raises:
            UserError: More than one step is asked for, or there is not one action between each frame and the next.
        """
        if num_steps != 1:
            raise UserError(
                f"A predictor with learned positions trains one step ahead (rollout_steps=1), not {num_steps}."
            )
        tokens, window = self._tokens(z), self.config.window
        require_clip(tokens.shape[1], action.shape[1])
        seen = tokens[:, :-1]
        predicted = [self._windowed(seen[:, :window], action[:, :window])]
        if seen.shape[1] > window:
            later = [part[:, 1:].unfold(1, window, 1).movedim(-1, 2) for part in (seen, action)]
            rows = [rearrange(part, "b w t ... -> (b w) t ...") for part in later]
            last = self._windowed(rows[0], rows[1])[:, -1]
            predicted.append(last.unflatten(0, (len(seen), -1)))
        joined = torch.cat(predicted, dim=1)
        return [joined if z.ndim == 4 else joined[:, :, 0]]

    def begin(self, z: Float[Tensor, "b t *n d"], action: Float[Tensor, "b _ a"]) -> WindowState:  # type: ignore[override]
        """Return the last window of frames and actions."""
        tokens = self._tokens(z)
        require_clip(tokens.shape[1], action.shape[1])
        first = max(0, tokens.shape[1] - self.config.window)
        return WindowState(tokens[:, first:], action[:, first:])

    def rollout(self, state: WindowState, actions: Float[Tensor, "b s t a"]) -> Float[Tensor, "b s t *n d"]:  # type: ignore[override]
        """Return the tokens after each action of each candidate."""
        b, s = actions.shape[:2]
        frames = [x[:, None].expand(b, s, -1, -1).flatten(0, 1) for x in state.z.unbind(1)]
        done = [a[:, None].expand(b, s, -1).flatten(0, 1) for a in state.action.to(actions).unbind(1)]
        ahead = []
        for action in actions.flatten(0, 1).unbind(1):
            done = [*done, action][-self.config.window :]
            frames = frames[-self.config.window :]
            frames.append(self._windowed(torch.stack(frames, dim=1), torch.stack(done, dim=1))[:, -1])
            ahead.append(frames[-1])
        rolled = torch.stack(ahead, dim=1).unflatten(0, (b, s))
        return rolled[..., 0, :] if self.config.num_tokens == 1 else rolled

    def _windowed(self, tokens: Float[Tensor, "r t n d"], action: Float[Tensor, "r t a"]) -> Float[Tensor, "r t n d"]:
        """Return what follows each frame of a window, told its actions, the last of which leads out of it."""
        condition = self._condition(action)
        x = self._enter(tokens, condition)
        places = self.window_position[: x.shape[1] * x.shape[2]].unflatten(0, (x.shape[1], x.shape[2]))
        return self._leave(self._banded(x + places, condition)[0])

    def _rotation(self, position: Int[Tensor, " t"]) -> None:
        """Return nothing: positions are added."""
