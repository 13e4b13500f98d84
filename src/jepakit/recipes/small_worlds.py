"""Recipes for the other embedded worlds: a maze with long ways, an arm of two links."""

from dataclasses import replace
from typing import Any

from jepakit.methods import EBJEPAWorldConfig
from jepakit.nn.framenet import FrameNetConfig
from jepakit.nn.residual_dynamics import ResidualDynamicsConfig
from jepakit.recipes.config import CostLearning, Planning, WorldData, WorldRecipe
from jepakit.training import TrainingConfig
from jepakit.views import Preprocess
from jepakit.worlds import PointMaze2D, Reacher2D, Roaming


def _recipe(
    name: str,
    data: WorldData,
    encoder: FrameNetConfig,
    look: Preprocess,
    *,
    num_steps: int,
    planning: Planning,
    dynamics: ResidualDynamicsConfig,
    weights: dict[str, Any],
) -> WorldRecipe:
    method = EBJEPAWorldConfig(
        encoder=encoder,
        preprocess=look,
        dynamics=dynamics,
        action_low=(-1.0, -1.0),
        action_high=(1.0, 1.0),
        frame_skip=4,
        rollout_steps=4,
        inverse_gaps=(1, 4),
        **weights,
    )
    training = TrainingConfig(
        num_steps=num_steps,
        batch_size=64,
        learning_rate=3e-3,
        warmup_steps=50,
        weight_decay=1e-5,
        clip_norm=2.0,
        log_every=50,
        health_every=num_steps // 4,
    )
    return WorldRecipe(recipe=name, method=method, data=data, training=training, planning=planning)


_FIXED = {"variance_weight": 8.0, "covariance_weight": 4.0, "slowness_weight": 6.0, "inverse_weight": 5.0}
"""Weights of `two-rooms-fixed`, where little but the agent moves."""


def reacher() -> WorldRecipe:
    """Learn an arm of two links: minutes on a laptop. Nothing is in its way, so latent distance leads to the goal."""
    return _recipe(
        "reacher",
        WorldData(world=Reacher2D(), behaviour=Roaming()),
        FrameNetConfig(image_size=64, in_channels=3, patch_size=4, dim=128),
        Preprocess(image_size=64, mean=(0.0196, 0.0158, 0.0155), std=(0.1229, 0.0892, 0.102)),
        num_steps=3000,
        planning=Planning(
            horizon=4,
            every=1,
            num_elites=8,
            num_iterations=8,
            distance_root=True,
            learned=CostLearning(num_steps=0),
            num_steps=60,
        ),
        dynamics=ResidualDynamicsConfig(hidden_dim=384, depth=3),
        weights={"variance_weight": 1.0, "covariance_weight": 0.25, "slowness_weight": 0.25, "inverse_weight": 0.5},
    )


def point_maze() -> WorldRecipe:
    """Learn one maze of 7 x 7 cells without loops, in which ways are long: minutes on a laptop.

    Its layout, of seed 16, has the longest way among 80: 30 cells. What is near as the crow flies is far on foot, so
    the cost is that of the shortest ways through what was seen.
    """
    world = PointMaze2D(
        size=7, num_layouts=1, loops=0.0, force=0.15, damping=0.5, image_size=44, trail=True, path_lengths=(18, 30)
    )
    recipe = _recipe(
        "point-maze",
        WorldData(world=world, behaviour=Roaming(persistence=0.95, spread=1.5)),
        FrameNetConfig(image_size=44, in_channels=3, width=32, dim=64),
        Preprocess(image_size=44, mean=(0.0025, 0.0587, 0.0025), std=(0.0423, 0.0736, 0.0423)),
        num_steps=1000,
        planning=Planning(
            num_samples=64,
            num_elites=8,
            num_iterations=3,
            distance_weight=10.0,
            distance_root=True,
            learned=CostLearning(by="paths", num_trajectories=2000, num_frames=100, num_steps=3000, hidden_dim=256),
            num_steps=192,
        ),
        dynamics=ResidualDynamicsConfig(),
        weights=_FIXED,
    )
    return replace(recipe, seed=16)
