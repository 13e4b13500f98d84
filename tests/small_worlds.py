"""Small forms of the world models, for tests, and the clips that they learn from."""

from typing import Any

import torch

from jepakit.methods.dino_wm import DINOWMConfig
from jepakit.methods.ebjepa_world import EBJEPAWorldConfig
from jepakit.methods.lewm import LeWMConfig
from jepakit.methods.pixel_world import PixelWorldConfig
from jepakit.nn import ViTConfig
from jepakit.nn.causal_dynamics import CausalDynamicsConfig
from jepakit.nn.framedecoder import FrameDecoderConfig
from jepakit.nn.framenet import FrameNetConfig
from jepakit.nn.prefix_dynamics import PrefixDynamicsConfig
from jepakit.nn.remembering_dynamics import RememberingDynamicsConfig
from jepakit.random import Stream
from jepakit.types import ClipBatch
from jepakit.views import Preprocess
from jepakit.worlds import TwoRooms
from jepakit.worlds.stream import ClipStream
from jepakit.worlds.wandering import Wandering

NET = FrameNetConfig(patch_size=16, width=8, dim=16)
VIT = ViTConfig(image_size=65, patch_size=13, dim=12, depth=1, num_heads=2, in_channels=2)
ROOMS = Preprocess(image_size=65, channels=2, mean=(0.01, 0.1), std=(0.04, 0.3))
CAUSAL = CausalDynamicsConfig(depth=2, num_heads=2, head_dim=8, mlp_dim=32, head_dim_hidden=32)
PATCHES = CausalDynamicsConfig(
    depth=2, num_heads=2, head_dim=8, mlp_dim=32, conditioning="concatenate", action_dim=4, head="linear"
)
PREFIX = PrefixDynamicsConfig(depth=2, num_heads=2, head_dim=8, mlp_dim=32)
_ROOMS: dict[str, Any] = {"preprocess": ROOMS, "action_low": (-2.45, -2.45), "action_high": (2.45, 2.45)}
_LEWM: dict[str, Any] = {"encoder": NET, "dynamics": CAUSAL, "dim": 16, "projector_dim": 32, "num_slices": 16}
WORLDS: dict[str, Any] = {
    "ebjepa": EBJEPAWorldConfig(encoder=NET, rollout_steps=3, inverse_dim=16, **_ROOMS),
    "ebjepa_memory": EBJEPAWorldConfig(
        encoder=NET, dynamics=RememberingDynamicsConfig(hidden_dim=16), rollout_steps=3, inverse_dim=16, **_ROOMS
    ),
    "lewm": LeWMConfig(**_LEWM, **_ROOMS),
    "lewm_all": LeWMConfig(
        **_LEWM | {"encoder": VIT},
        **_ROOMS,
        rollout_steps=3,
        straightening_weight=0.1,
        inverse_weight=1.0,
        frame_skip=2,
        proprio_dim=3,
    ),
    "lewm_prefix": LeWMConfig(**_LEWM | {"dynamics": PREFIX}, **_ROOMS, rollout_steps=3),
    "ebjepa_latent": EBJEPAWorldConfig(encoder=NET, rollout_steps=2, inverse_dim=16, latent_dim=2, **_ROOMS),
    "lewm_latent": LeWMConfig(**_LEWM, **_ROOMS, rollout_steps=2, frame_skip=2, latent_dim=1),
    "lewm_choices": LeWMConfig(**_LEWM, preprocess=ROOMS, num_actions=4),
    "dino_wm": DINOWMConfig(encoder=VIT, dynamics=PATCHES, proprio_dim=3, **_ROOMS),
    "pixel_world": PixelWorldConfig(
        encoder=NET, decoder=FrameDecoderConfig(widths=(8, 8, 4)), rollout_steps=2, **_ROOMS
    ),
}


def clips(name: str, num: int = 6, step: int = 0) -> ClipBatch:
    """Return clips of 7 frames with what the model feels and does."""
    config = WORLDS[name]
    clip = ClipStream(TwoRooms("random"), Wandering(), batch_size=num, num_frames=7).batch(step)
    action, proprio = clip.action, None
    if getattr(config, "num_actions", 0):
        drawn = Stream(0, "test/choices").integers(step, clip.id, action.shape[1], config.num_actions)
        action = drawn[..., None].float()
    if felt := getattr(config, "proprio_dim", 0):
        proprio = Stream(0, "test/felt").normal(step, clip.id, 7 * felt).view(num, 7, felt)
    return ClipBatch(clip.frames, action, clip.id, proprio)


def shake(module: torch.nn.Module, size: float = 0.1) -> None:
    """Move all weights, so that what begins at zero does not stay there."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(size * torch.randn_like(parameter))
