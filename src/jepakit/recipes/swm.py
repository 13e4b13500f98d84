"""Recipes for SWMTwoRoom: LeWM at a laptop's size, planned with as in its paper."""

from jepakit.methods import LeWMConfig
from jepakit.nn.causal_dynamics import CausalDynamicsConfig
from jepakit.nn.framenet import FrameNetConfig
from jepakit.recipes.config import CostLearning, Planning, WorldData, WorldRecipe
from jepakit.training import TrainingConfig
from jepakit.views import Preprocess
from jepakit.worlds import SWMExpert, SWMTwoRoom


def swm_two_room() -> WorldRecipe:
    """Learn the TwoRoom of stable-worldmodel by LeWM from its noisy expert: minutes on a laptop.

    As published: SIGReg of weight 0.09 at a batch of 128, clips of 4 frames 5 actions apart, AdaLN by the action, CEM
    of 300 candidates, 30 elites, 10 rounds (the paper's number for this world) and a horizon of 5 blocks, all of which
    are done before the next search. Smaller or otherwise: pictures of 64 pixels, a FrameNet in place of ViT-tiny, 64
    numbers for an embedding in place of 192, two blocks in place of six, each action held for its block, and what
    `nn.causal_dynamics` says of its band.
    """
    return WorldRecipe(
        recipe="swm-two-room",
        method=LeWMConfig(
            encoder=FrameNetConfig(image_size=64, in_channels=3, width=32, dim=64),
            preprocess=Preprocess(image_size=64, channels=3, mean=(0.9, 0.9, 0.9), std=(0.25, 0.25, 0.25)),
            dynamics=CausalDynamicsConfig(depth=2, num_heads=4, head_dim=32, mlp_dim=256, head_dim_hidden=256),
            dim=64,
            projector_dim=256,
            num_slices=64,
            action_low=(-1.0, -1.0),
            action_high=(1.0, 1.0),
            frame_skip=5,
        ),
        data=WorldData(world=SWMTwoRoom(), behaviour=SWMExpert(), num_frames=4),
        training=TrainingConfig(
            num_steps=2000,
            batch_size=128,
            learning_rate=2e-3,
            warmup_steps=50,
            weight_decay=1e-3,
            clip_norm=2.0,
            precision="fp32",
            log_every=50,
            health_every=500,
        ),
        planning=Planning(
            horizon=5,
            hold=5,
            every=5,
            num_samples=300,
            num_elites=30,
            num_iterations=10,
            std=1.0,
            colour=0.0,
            learned=CostLearning(num_steps=0),
            num_steps=50,
        ),
    )
