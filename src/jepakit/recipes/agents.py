"""Recipes of agents: what they learn by, where, and how much they live through in a round."""

from jepakit.methods import EBJEPAWorldConfig
from jepakit.nn.framenet import FrameNetConfig
from jepakit.nn.residual_dynamics import ResidualDynamicsConfig
from jepakit.recipes.agent import AgentRecipe
from jepakit.recipes.config import CostLearning, Planning, WorldData, WorldRecipe
from jepakit.training import TrainingConfig
from jepakit.views import Preprocess
from jepakit.worlds import PointMaze2D, Roaming


def maze_agent() -> AgentRecipe:
    """Live in mazes of 4 x 4 cells and reach goals in mazes that it never saw: minutes on a laptop."""
    learner = WorldRecipe(
        recipe="maze-agent-learner",
        method=EBJEPAWorldConfig(
            encoder=FrameNetConfig(image_size=34, in_channels=3, patch_size=4, width=32, dim=64),
            preprocess=Preprocess(image_size=34, mean=(0.11, 0.1, 0.1), std=(0.18, 0.16, 0.16)),
            dynamics=ResidualDynamicsConfig(hidden_dim=128, depth=2),
            action_low=(-1.0, -1.0),
            action_high=(1.0, 1.0),
            frame_skip=8,
            rollout_steps=4,
            variance_weight=8.0,
            covariance_weight=4.0,
            slowness_weight=2.0,
            inverse_weight=5.0,
            inverse_gaps=(1, 4),
        ),
        data=WorldData(
            world=PointMaze2D(size=4, num_layouts=40, path_lengths=(2, 8), force=0.05, damping=0.5, image_size=34),
            behaviour=Roaming(persistence=0.0),
            num_frames=5,
        ),
        training=TrainingConfig(
            num_steps=150,
            batch_size=48,
            learning_rate=3e-3,
            warmup_steps=20,
            weight_decay=1e-5,
            clip_norm=2.0,
            precision="bf16",
        ),
        planning=Planning(
            horizon=6,
            hold=8,
            num_samples=48,
            num_elites=8,
            num_iterations=3,
            learned=CostLearning(num_frames=25, num_steps=200),
            num_steps=160,
        ),
    )
    return AgentRecipe(recipe="maze-agent", learner=learner, num_episodes=16, num_steps=256, planned=1.0, num_tasks=24)
