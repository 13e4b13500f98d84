"""Turn clips into what an encoder takes: every frame like an image, all frames of a clip alike."""

from dataclasses import dataclass, replace

from jaxtyping import Float, Int, UInt8
from torch import Tensor

from jepakit.types import require
from jepakit.views.augment import Augment
from jepakit.views.preprocess import Preprocess
from jepakit.views.view import View


@dataclass(frozen=True, kw_only=True)
class ClipPreprocess:
    """Crop, resize and normalise each frame of a clip.

    Args:
        num_frames: Frames of a clip.
        frame: What is done to each.

    Raises:
        UserError: A clip has no frames.
    """

    num_frames: int
    frame: Preprocess

    def __post_init__(self) -> None:
        require(self.num_frames >= 1, f"ClipPreprocess: a clip has at least one frame, got {self.num_frames}.")

    def __call__(self, video: UInt8[Tensor, "b t _ h w"]) -> Float[Tensor, "b t c s s"]:
        """Return normalised float32 clips on the device of the given ones."""
        return self.frame(video.flatten(0, 1)).unflatten(0, video.shape[:2])

    @property
    def channels(self) -> int:
        """Return the channels of a frame."""
        return self.frame.channels

    @property
    def shape(self) -> tuple[int, int]:
        """Return the height and the width of a frame."""
        return self.frame.shape

    def to_source(self, x: Float[Tensor, "b t c s s"]) -> UInt8[Tensor, "b t c s s"]:
        """Return what views are made of: pixels."""
        return self.to_pixels(x)

    def to_pixels(self, x: Float[Tensor, "b t c s s"]) -> UInt8[Tensor, "b t c s s"]:
        """Return the source pixels of normalised clips, rounded."""
        return self.frame.to_pixels(x.flatten(0, 1)).unflatten(0, x.shape[:2])


@dataclass(frozen=True, kw_only=True)
class ClipViews:
    """Augment clips: what is drawn for a clip is done to all of its frames.

    Args:
        frame: What may be done; a method sets its size, channels and normalisation to those of its preprocessing.
        seed: Seed of the draws.

    Raises:
        UserError: Noise is asked for, which would have to be another in every frame.
    """

    frame: Augment
    seed: int = 0

    def __post_init__(self) -> None:
        require(self.frame.noise_std == 0, "ClipViews: noise is not added to clips; set noise_std to 0.")
        object.__setattr__(self, "frame", replace(self.frame, seed=self.seed))

    @property
    def params(self) -> tuple[str, ...]:
        """Return the name of each parameter of a view."""
        return self.frame.params

    def relative(self, params_from: Float[Tensor, "b p"], params_to: Float[Tensor, "b p"]) -> Float[Tensor, "b p"]:
        """Return the second view's parameters in the frame of the first, see `view.relative`."""
        return self.frame.relative(params_from, params_to)

    def __call__(self, video: UInt8[Tensor, "b t _ h w"], ids: Int[Tensor, " b"], step: int, view: int = 0) -> View:
        """Return view number `view` of each clip at this step, and its parameters.

        Raises:
            UserError: The clips' channels cannot be converted.
        """
        num_frames = video.shape[1]
        params = self.frame.draw(ids, step, view, (video.shape[-2], video.shape[-1]))
        frames = self.frame.apply(video.flatten(0, 1), params.repeat_interleave(num_frames, dim=0))
        return View(image=frames.unflatten(0, (-1, num_frames)), params=params)
