"""Describe a reproducible run on images, signals or video, or in a world: method, data, training, seed."""

from dataclasses import dataclass, field

from jepakit.methods import (
    DINOWMConfig,
    EBJEPAWorldConfig,
    IJEPAConfig,
    IJEPASIGRegConfig,
    LeJEPAConfig,
    LeWMConfig,
    PixelsConfig,
    PixelWorldConfig,
    TransformJEPAConfig,
    VICRegConfig,
    VJEPAConfig,
)
from jepakit.recipes.data import ImageData, SignalData, VideoData
from jepakit.training import TrainingConfig
from jepakit.types import UserError
from jepakit.worlds import (
    Distracted,
    EmbeddedBehaviour,
    EmbeddedWorld,
    Heedless,
    SWMExpert,
    SWMTwoRoom,
    TwoRooms,
    Wandering,
)

WorldMethodConfig = EBJEPAWorldConfig | LeWMConfig | DINOWMConfig | PixelWorldConfig
ImageMethodConfig = IJEPAConfig | IJEPASIGRegConfig | LeJEPAConfig | VICRegConfig | TransformJEPAConfig | PixelsConfig


@dataclass(frozen=True, kw_only=True)
class ImageRecipe:
    """Describe one run that can be repeated.

    Args:
        recipe: The recipe's name.
        method: What to learn by.
        data: What to learn from.
        training: How to train.
        seed: Seed of weights and of every draw.
    """

    recipe: str
    method: ImageMethodConfig
    data: ImageData
    training: TrainingConfig
    seed: int = field(default=0)


@dataclass(frozen=True, kw_only=True)
class SignalRecipe:
    """Describe one run on signals that can be repeated.

    Args:
        recipe: The recipe's name.
        method: What to learn by; `fitted_recipe` sets its sizes to those of the data.
        data: What to learn from.
        training: How to train.
        seed: Seed of weights and of every draw.
    """

    recipe: str
    method: ImageMethodConfig
    data: SignalData
    training: TrainingConfig
    seed: int = field(default=0)


@dataclass(frozen=True, kw_only=True)
class VideoRecipe:
    """Describe one run on video that can be repeated.

    Args:
        recipe: The recipe's name.
        method: What to learn by; its encoder sets the frames and the size of a clip.
        data: What to learn from.
        training: How to train.
        seed: Seed of weights and of every draw.

    Raises:
        UserError: The data's clips have another number of frames than the encoder takes.
    """

    recipe: str
    method: VJEPAConfig | PixelsConfig | IJEPASIGRegConfig
    data: VideoData
    training: TrainingConfig
    seed: int = field(default=0)

    def __post_init__(self) -> None:
        wanted, given = self.method.encoder.num_frames, self.data.num_frames
        if wanted != given:
            raise UserError(
                f"The encoder takes clips of {wanted} frames and the data gives {given}; set --data.num-frames and "
                "--method.encoder.num-frames to the same number."
            )


@dataclass(frozen=True, kw_only=True)
class WorldData:
    """Say where to wander, how, and what clips to make of it; they are made as they are needed, each seen once.

    Args:
        world: Where; its seed is replaced by the run's while learning, and by the manifest's while evaluating.
        behaviour: How.
        num_frames: Frames of a clip that are looked at; the actions in between are the method's `frame_skip`.
        num_health: Held-out frames on which health is measured.

    Raises:
        UserError: The behaviour is of another world.
    """

    world: EmbeddedWorld | Distracted
    behaviour: EmbeddedBehaviour | Heedless
    num_frames: int = 6
    num_health: int = 512

    def __post_init__(self) -> None:
        for behaviour, world in ((Wandering, TwoRooms), (SWMExpert, SWMTwoRoom)):
            if isinstance(self.behaviour, behaviour) and not isinstance(self.world, world):
                raise UserError(
                    f"{behaviour.__name__} acts in {world.__name__}, not in {type(self.world).__name__}; use Roaming, "
                    f"or before a background Heedless({behaviour.__name__}())."
                )


@dataclass(frozen=True, kw_only=True)
class CostLearning:
    """Say how the cost of planning is learned from time alone, once the encoder has been trained.

    Args:
        by: `gaps`: a head tells how many steps apart two frames of a trajectory were; cheap, and enough where one
            layout was wandered through often. `paths`: a distance is learned from the shortest ways through what many
            trajectories of one place have seen.
        num_trajectories: Held-out trajectories.
        num_frames: Frames of each that are looked at; gaps are told apart up to one less.
        num_steps: Updates; 0 learns none, and plans are made by latent distance alone.
        hidden_dim: Width of the hidden layers.

    Raises:
        UserError: `by` is neither.
    """

    by: str = "gaps"
    num_trajectories: int = 2500
    num_frames: int = 50
    num_steps: int = 2000
    hidden_dim: int = 128

    def __post_init__(self) -> None:
        if self.by not in ("gaps", "paths"):
            raise UserError(f"A cost is learned by 'gaps' or 'paths', not by {self.by!r}.")


@dataclass(frozen=True, kw_only=True)
class CoarsePlanning:
    """Say how a coarse time scale is learned once the encoder has been trained, and how subgoals are searched on it.

    Args:
        num_blocks: Frames that are looked at, as the method skips them, that a macro-action goes ahead.
        macro_dim: Numbers of a macro-action.
        num_turns: Steps of the predictor for each.
        num_trajectories: Held-out trajectories that are learned from.
        num_frames: Frames of each that are looked at.
        num_steps: Updates.
        horizon: Macro-actions of a coarse plan.
        num_samples: Candidates of a round of the coarse search.
        num_elites: Best candidates, to which the next round is fitted.
        num_iterations: Rounds.
        ahead: Which macro-action leads to the subgoal, counted from 1.
    """

    num_blocks: int = 5
    macro_dim: int = 4
    num_turns: int = 2
    num_trajectories: int = 2500
    num_frames: int = 50
    num_steps: int = 2000
    horizon: int = 5
    num_samples: int = 128
    num_elites: int = 12
    num_iterations: int = 4
    ahead: int = 1


@dataclass(frozen=True, kw_only=True)
class Planning:
    """Say how goals are reached: by the cross-entropy method over held actions, from pictures of the goals.

    Args:
        horizon: Actions of a plan.
        hold: Steps of the world for which each is held.
        every: Actions that are done before the next search.
        memory: Frames that the model is shown at each decision, the present one included, and what was done in between.
        num_samples: Candidates of a round.
        num_elites: Best candidates, to which the next round is fitted.
        num_iterations: Rounds.
        std: First standard deviation, in shares of the largest action.
        colour: Of the candidates' noise over time; 0 is white.
        precision: `bf16` lets the model imagine, and the learned cost judge, under bf16 autocast.
        distance_weight: Weight of the mean latent distance to the goal beside the learned cost.
        distance_root: Take the root of its square, which is as steep near the goal as far from it.
        learned: The learned cost.
        coarse: Subgoals from a coarse time scale, towards which actions are planned; None plans towards the goal.
        num_steps: Steps of an episode.

    Raises:
        UserError: There is no such precision.
    """

    horizon: int = 12
    hold: int = 4
    every: int = 2
    memory: int = 1
    num_samples: int = 128
    num_elites: int = 12
    num_iterations: int = 4
    std: float = 0.7
    colour: float = 2.0
    precision: str = "fp32"
    distance_weight: float = 1.0
    distance_root: bool = False
    learned: CostLearning = field(default_factory=CostLearning)
    coarse: CoarsePlanning | None = None
    num_steps: int = 200

    def __post_init__(self) -> None:
        if self.precision not in ("fp32", "bf16"):  # told before training, not when plans are made after it
            raise UserError(f"planning.precision is fp32 or bf16, not {self.precision!r}.")


@dataclass(frozen=True, kw_only=True)
class Refining:
    """Say how the predictor learns on once the encoder has been trained, from stored embeddings.

    Args:
        num_trajectories: Held-out trajectories.
        num_frames: Frames of each that are looked at.
        num_steps: Updates of the predictor.
        batch_size: Clips of each, as long as the method asks ahead.
        learning_rate: Of AdamW; it falls to zero along half a cosine.
    """

    num_trajectories: int = 6000
    num_frames: int = 25
    num_steps: int = 6000
    batch_size: int = 192
    learning_rate: float = 2e-3


@dataclass(frozen=True, kw_only=True)
class WorldRecipe:
    """Describe one run in a world that can be repeated.

    Args:
        recipe: The recipe's name.
        method: What to learn by.
        data: Where, and from what.
        training: How to train.
        refining: How the predictor learns on after training; None leaves it as it is then.
        planning: How goals are reached with what was learned.
        encoder_from: Run whose encoder to begin with; with the method's `freeze_encoder` the predictor alone learns.
        seed: Seed of weights and of every draw.

    Raises:
        UserError: Actions are held for parts of what the method looks at.
    """

    recipe: str
    method: WorldMethodConfig
    data: WorldData
    training: TrainingConfig
    refining: Refining | None = None
    planning: Planning = field(default_factory=Planning)
    encoder_from: str | None = None
    seed: int = field(default=0)

    def __post_init__(self) -> None:
        if self.planning.hold % self.method.frame_skip:
            raise UserError(
                f"An action held for {self.planning.hold} steps (planning.hold) must fill whole blocks of "
                f"{self.method.frame_skip} (method.frame_skip)."
            )


SampleRecipe = ImageRecipe | SignalRecipe | VideoRecipe
Recipe = SampleRecipe | WorldRecipe
