"""Recipes for TwoRooms: a world model on a laptop in minutes, from pixels and actions alone, and what stands beside."""

from dataclasses import replace
from typing import cast

from jepakit.methods import EBJEPAWorldConfig, PixelWorldConfig
from jepakit.nn.framedecoder import FrameDecoderConfig
from jepakit.nn.framenet import FrameNetConfig
from jepakit.nn.residual_dynamics import ResidualDynamicsConfig
from jepakit.recipes.config import CostLearning, Planning, WorldData, WorldRecipe
from jepakit.training import TrainingConfig
from jepakit.views import Preprocess
from jepakit.worlds import TwoRooms, Wandering

_REACH = (1.4, 1.4)
"""Largest action that is planned, per axis: what wandering has shown the model, its longest step being 1.8."""


def _recipe(name: str, layout: str, dim: int, num_steps: int) -> WorldRecipe:
    return WorldRecipe(
        recipe=name,
        method=EBJEPAWorldConfig(
            encoder=FrameNetConfig(dim=dim),
            preprocess=Preprocess(image_size=65, channels=2, mean=(0.0026, 0.0989), std=(0.0369, 0.2986)),
            dynamics=ResidualDynamicsConfig(hidden_dim=256, depth=2),
            action_low=(-_REACH[0], -_REACH[1]),
            action_high=_REACH,
            frame_skip=4,
            rollout_steps=4,
            variance_weight=8.0,
            covariance_weight=4.0,
            slowness_weight=6.0,
            inverse_weight=5.0,
            inverse_gaps=(1, 4),
        ),
        data=WorldData(world=TwoRooms(layout), behaviour=Wandering(), num_frames=6),
        training=TrainingConfig(
            num_steps=num_steps,
            batch_size=96,
            learning_rate=3e-3,
            warmup_steps=50,
            weight_decay=1e-5,
            clip_norm=2.0,
            log_every=50,
            health_every=num_steps // 4,
        ),
        planning=Planning(distance_weight=2.0),
    )


def two_rooms_fixed() -> WorldRecipe:
    """Learn TwoRooms with the wall in its place: minutes on a laptop."""
    return _recipe("two-rooms-fixed", "fixed", dim=64, num_steps=1600)


def two_rooms_fixed_random_encoder() -> WorldRecipe:
    """Learn nothing but the predictor and the cost, in an encoder as it was drawn: a floor of `two-rooms-fixed`."""
    recipe = two_rooms_fixed()
    method = replace(cast(EBJEPAWorldConfig, recipe.method), freeze_encoder=True)
    return replace(recipe, recipe="two-rooms-fixed-random-encoder", method=method)


def two_rooms_fixed_pixels() -> WorldRecipe:
    """Learn `two-rooms-fixed` by predicting pixels: same encoder, predictor, data, steps, search and learned cost."""
    recipe = two_rooms_fixed()
    other = cast(EBJEPAWorldConfig, recipe.method)
    method = PixelWorldConfig(
        encoder=cast(FrameNetConfig, other.encoder),
        preprocess=other.preprocess,
        dynamics=cast(ResidualDynamicsConfig, other.dynamics),
        decoder=FrameDecoderConfig(widths=(32, 32, 16)),
        action_low=other.action_low,
        action_high=other.action_high,
        frame_skip=other.frame_skip,
        rollout_steps=other.rollout_steps,
        num_starts=1,
    )
    return replace(recipe, recipe="two-rooms-fixed-pixels", method=method)


def two_rooms_random() -> WorldRecipe:
    """Learn TwoRooms with wall and door anywhere: half an hour on a laptop.

    What differs from room to room never moves, so half of the embedding is for what stays; the predictor looks at it
    again at every step, and by it trajectories of the same room are found, whose shortest ways are learned
    (docs/log.md).
    """
    recipe = _recipe("two-rooms-random", "random", dim=128, num_steps=12000)
    method = replace(
        cast(EBJEPAWorldConfig, recipe.method),
        dynamics=ResidualDynamicsConfig(hidden_dim=384, depth=3, sees_start=True),
        rollout_steps=8,
        variance_weight=1.0,
        covariance_weight=0.25,
        slowness_weight=0.25,
        still_dim=64,
        still_weight=1.0,
        inverse_weight=0.5,
    )
    learned = CostLearning(by="paths", num_trajectories=12000, num_frames=100, num_steps=6000, hidden_dim=384)
    planning = replace(recipe.planning, precision="bf16", distance_weight=10.0, distance_root=True, learned=learned)
    return replace(recipe, method=method, planning=planning)
