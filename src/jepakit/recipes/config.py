"""Describe a reproducible run on images: method, data, training, seed."""

from dataclasses import dataclass, field

from jepakit.methods import (
    IJEPAConfig,
    IJEPASIGRegConfig,
    LeJEPAConfig,
    PixelsConfig,
    TransformJEPAConfig,
    VICRegConfig,
)
from jepakit.training import TrainingConfig

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
