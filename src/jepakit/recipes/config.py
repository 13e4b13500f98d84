"""Describe a reproducible run on images, on signals or in a world: method, data, training, seed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

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
)
from jepakit.storage import config_from_dict
from jepakit.training import TrainingConfig
from jepakit.types import UserError, require
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
class ImageData:
    """Say which images to learn from and which labelled ones to probe with.

    Args:
        train: Images to learn from: a folder, a parquet file, a saved Hugging Face dataset, or `digits`. Labels there
            are never shown to training.
        probe: A labelled set of its own for the probes; None takes the labels of `train`, if it has any.
        test: A labelled test set; None splits `test_fraction` off the probe set, out of reach of training too.
        labels: Where labels come from: `auto` (whatever the source has), `none`, or the name of a column.
        column: The column of images in a table.
        stored_size: Side in pixels at which images are decoded and kept; views are cut from this.
        test_fraction: Share of the probe set that becomes the test split where there is no `test`.
        dev_fraction: Share of the probe's training part on which every choice is made; test is for `--final`.
        split_seed: Seed of these splits, apart from the run's seed.
        num_health: Held-out training images on which health is measured.
    """

    train: str
    probe: str | None = None
    test: str | None = None
    labels: str = "auto"
    column: str | None = None
    stored_size: int
    test_fraction: float = 0.3
    dev_fraction: float = 0.2
    split_seed: int = 0
    num_health: int = 256


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
class SeriesData:
    """Say which record to learn from, and how its time is divided: windows of a later part are never seen by training.

    Args:
        train: A .csv, .parquet or .npy file: a row a moment, a column a channel. Or an .npz with `x` (samples,
            channels, moments), NaN where nothing was measured, and perhaps `y`, the class of each.
        length: Moments of a window; the method's preprocessing and encoder follow it.
        columns: Channels; by default every column of numbers.
        time: The column of stamps; by default one with a usual name.
        stride: Moments between the windows that training sees.
        num_rows: Only so many moments from the beginning of the record; None takes all.
        dev_fraction: Share of the moments, before those of the test, on which every choice is made and health is
            measured. Of an .npz: share of the labelled training samples.
        test_fraction: Share of the moments, the last, for `--final`. Of an .npz: share of the samples.
        split_seed: Seed of the splits of an .npz.
        num_health: Held-out windows on which health is measured.

    Raises:
        UserError: A size is below 1, or nothing would be left to learn from.
    """

    train: str
    length: int
    columns: tuple[str, ...] = ()
    time: str | None = None
    stride: int = 1
    num_rows: int | None = None
    dev_fraction: float = 0.2
    test_fraction: float = 0.2
    split_seed: int = 0
    num_health: int = 256

    def __post_init__(self) -> None:
        for name in ("length", "stride", "num_rows"):
            value = getattr(self, name)
            require(value is None or value >= 1, f"data.{name} is a number of moments from 1, got {value}.")
        for name in ("dev_fraction", "test_fraction"):
            require(
                0 < getattr(self, name) < 1, f"data.{name} is a share above 0 and below 1, got {getattr(self, name)}."
            )
        require(
            self.dev_fraction + self.test_fraction < 1,
            f"data.dev_fraction and data.test_fraction leave nothing to learn from: {self.dev_fraction} and "
            f"{self.test_fraction}.",
        )


@dataclass(frozen=True, kw_only=True)
class TableData:
    """Say which table to learn from, a row a sample, and how its columns become numbers.

    What training learns of the columns is written here with the run, so that new rows are coded alike.

    Args:
        train: A .csv or .parquet file, or one of scikit-learn's: breast_cancer, diabetes, digits, iris, wine.
        labels: The column of classes, never shown to training: `auto` (one with a usual name), `none`, or its name.
        columns: Features; by default every column that tells rows apart. Filled in by training.
        num_categories: How many categories each has, 0 for a number. Filled in by training.
        categories: Their names, those of one column after those of another. Filled in by training.
        dev_fraction: Share of the labelled training rows on which every choice is made.
        test_fraction: Share of the rows for `--final`, class by class.
        split_seed: Seed of the splits.
        num_health: Held-out rows on which health is measured.
    """

    train: str
    labels: str = "auto"
    columns: tuple[str, ...] = ()
    num_categories: tuple[int, ...] = ()
    categories: tuple[str, ...] = ()
    dev_fraction: float = 0.2
    test_fraction: float = 0.3
    split_seed: int = 0
    num_health: int = 128

    @property
    def length(self) -> int:
        """Return the moments of a row as a signal."""
        return 1


@dataclass(frozen=True, kw_only=True)
class AudioData:
    """Say which sounds to learn from, and how they are divided: test sounds are never seen by training.

    Args:
        train: A folder of sounds, with a folder for each class if there are any; or a parquet file of encoded bytes.
        rate: Samples a second to which all sounds are brought.
        length: Samples of a sound: the middle is taken, or silence put around; preprocessing and encoder follow it.
        labels: Where labels come from: `auto` (whatever the source has), `none`, or the name of a column.
        column: The column of sounds in a table.
        test_column: The column that says which sounds are the test split; None splits `test_fraction` off.
        test_values: Its values there, such as the numbers of recordings or the name of a speaker.
        group: A column of which no value is in the training and in the development split, such as the speaker; training
            does not see the development split then. None splits the labelled training sounds at random, class by class.
        test_fraction: Share of the sounds that becomes the test split where there is no `test_column`.
        dev_fraction: Share of the labelled training sounds, or groups, on which every choice is made.
        split_seed: Seed of these splits, apart from the run's seed.
        num_health: Held-out training sounds on which health is measured.

    Raises:
        UserError: `test_column` is given without `test_values`, or the other way round.
    """

    train: str
    rate: int
    length: int
    labels: str = "auto"
    column: str | None = None
    test_column: str | None = None
    test_values: tuple[str, ...] = ()
    group: str | None = None
    test_fraction: float = 0.2
    dev_fraction: float = 0.2
    split_seed: int = 0
    num_health: int = 256

    def __post_init__(self) -> None:
        if (self.test_column is None) != (not self.test_values):
            raise UserError("A test split by column needs both, data.test_column and its data.test_values.")


SignalData = SeriesData | TableData | AudioData
Data = ImageData | SignalData
_DATA: dict[str, Any] = {
    "ImageData": ImageData,
    "SeriesData": SeriesData,
    "TableData": TableData,
    "AudioData": AudioData,
}


def data_from(stored: Mapping[str, Any]) -> Data:
    """Return what a run's stored configuration says of its data."""
    data: Data = config_from_dict(_DATA[stored.get("class", "ImageData")], stored)
    return data


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


Recipe = ImageRecipe | SignalRecipe | WorldRecipe
