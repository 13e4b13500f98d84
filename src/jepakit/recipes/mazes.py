"""Recipe for PointMaze2D: one maze in which ways are long."""

from jepakit.methods import EBJEPAWorldConfig
from jepakit.nn.framenet import FrameNetConfig
from jepakit.nn.residual_dynamics import ResidualDynamicsConfig
from jepakit.recipes.config import CostLearning, Planning, WorldData, WorldRecipe
from jepakit.training import TrainingConfig
from jepakit.views import Preprocess
from jepakit.worlds import PointMaze2D, Roaming


def point_maze() -> WorldRecipe:
    """Learn one maze of 7 x 7 cells without loops, in which ways are long: minutes on a laptop.

    Its layout, of seed 16, has the longest way among 80: 30 cells. What is near as the crow flies is far on foot, so
    the cost is that of the shortest ways through what was seen. Roaming at full force goes far enough for a coarse
    time scale to be learned from it (`benchmarks/hierarchy.py`).
    """
    world = PointMaze2D(
        size=7, num_layouts=1, loops=0.0, force=0.15, damping=0.5, image_size=44, trail=True, path_lengths=(18, 30)
    )
    return WorldRecipe(
        recipe="point-maze",
        method=EBJEPAWorldConfig(
            encoder=FrameNetConfig(image_size=44, in_channels=3, width=32, dim=64),
            preprocess=Preprocess(image_size=44, mean=(0.0025, 0.0587, 0.0025), std=(0.0423, 0.0736, 0.0423)),
            dynamics=ResidualDynamicsConfig(),
            action_low=(-1.0, -1.0),
            action_high=(1.0, 1.0),
            frame_skip=4,
            rollout_steps=4,
            variance_weight=8.0,
            covariance_weight=4.0,
            slowness_weight=6.0,
            inverse_weight=5.0,
            inverse_gaps=(1, 4),
        ),
        data=WorldData(world=world, behaviour=Roaming(persistence=0.95, spread=1.5)),
        training=TrainingConfig(
            num_steps=1000,
            batch_size=64,
            learning_rate=3e-3,
            warmup_steps=50,
            weight_decay=1e-5,
            clip_norm=2.0,
            log_every=50,
            health_every=250,
        ),
        planning=Planning(
            num_samples=64,
            num_elites=8,
            num_iterations=3,
            distance_weight=10.0,
            distance_root=True,
            learned=CostLearning(by="paths", num_trajectories=2000, num_frames=100, num_steps=3000, hidden_dim=256),
            num_steps=192,
        ),
        seed=16,
    )
