"""Say what samples a run learns from, and how they are divided: images, a record, a table, sounds, video."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jepakit.data import ClipForm
from jepakit.storage import config_from_dict
from jepakit.types import UserError, require


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


@dataclass(frozen=True, kw_only=True)
class VideoData:
    """Say which videos to learn from, in what clips, and how they are divided: test videos are never seen by training.

    Args:
        train: A folder of videos, or of folders of pictures, with a folder for each class if there are any; or
            `moving-digits`: pairs of scanned digits, drawn as they are needed.
        num_frames: Pictures of a clip.
        fps: Pictures a second; moving digits have no seconds.
        stored_size: Side in pixels to which clips are decoded.
        labels: Where labels come from: `auto` (folders, if there are any), `none` or `folder`.
        stride_s: Seconds from the beginning of a window of a video to that of the next, each a sample; None takes a
            video as one sample.
        frame_rate: Pictures a second of folders of pictures.
        index: File that keeps what a look through the videos told; None keeps it in the user's cache.
        test_fraction: Share of the videos of each class that becomes the test split.
        dev_fraction: Share of the labelled training videos on which every choice is made.
        split_seed: Seed of these splits, and of moving digits, apart from the run's seed.
        num_health: Held-out training videos on which health is measured.

    Raises:
        UserError: A clip of such a form cannot be.
    """

    train: str
    num_frames: int = 16
    fps: float = 4.0
    stored_size: int
    labels: str = "auto"
    stride_s: float | None = None
    frame_rate: float = 25.0
    index: str | None = None
    test_fraction: float = 0.2
    dev_fraction: float = 0.2
    split_seed: int = 0
    num_health: int = 256

    def __post_init__(self) -> None:
        self.form(3)
        require(self.stride_s is None or self.stride_s > 0.0, f"data.stride_s is above 0 seconds, not {self.stride_s}.")
        require(self.frame_rate > 0.0, f"data.frame_rate is above 0 pictures a second, not {self.frame_rate}.")

    def form(self, channels: int) -> ClipForm:
        """Return what clips are brought to."""
        return ClipForm(num_frames=self.num_frames, fps=self.fps, image_size=self.stored_size, channels=channels)


SignalData = SeriesData | TableData | AudioData
Data = ImageData | SignalData | VideoData
_DATA: dict[str, Any] = {
    "ImageData": ImageData,
    "SeriesData": SeriesData,
    "TableData": TableData,
    "AudioData": AudioData,
    "VideoData": VideoData,
}


def data_from(stored: Mapping[str, Any]) -> Data:
    """Return what a run's stored configuration says of its data."""
    data: Data = config_from_dict(_DATA[stored.get("class", "ImageData")], stored)
    return data
