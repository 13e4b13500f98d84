"""Let the parts of a method's configuration agree, so that a size or a number of channels is said once."""

from dataclasses import replace
from typing import Any

from jepakit.nn import BackboneConfig, ConvNetConfig, ResNet9Config, ResNetConfig, ViTConfig
from jepakit.types import UserError, require
from jepakit.views import (
    AnyPreprocess,
    AnyViews,
    Augment,
    ClipPreprocess,
    ClipViews,
    Preprocess,
    SeriesPreprocess,
    SignalViews,
    SoundPreprocess,
    SoundViews,
    TablePreprocess,
    TableViews,
)

EncoderConfig = ViTConfig | ResNetConfig | ResNet9Config | ConvNetConfig | BackboneConfig


def settle(config: Any, encoder: EncoderConfig, preprocess: AnyPreprocess, **views: AnyViews) -> None:
    """Set, in a frozen config, what preprocessing and views have to share with the encoder.

    Args:
        config: The configuration that is being made; its `preprocess` and the named views are replaced.
        encoder: Decides the channels of images, and a ViT the image size of `preprocess`.
        preprocess: Decides the normalisation; one of signals decides all else too, and the encoder must fit.
        views: Views to settle, by field name.

    Raises:
        UserError: The encoder's images are not square, or no pictures of the signals; it is of a class that could not
            be loaded again; or views are of another kind of data than the preprocessing.
    """
    if not isinstance(encoder, EncoderConfig):
        raise UserError(
            f"an encoder of type {type(encoder).__name__} cannot be written down and loaded again; give a ViTConfig, "
            "ResNetConfig, ConvNetConfig, TimmConfig or HuggingFaceConfig, or a subclass of jepakit.nn.BackboneConfig."
        )
    if isinstance(preprocess, Preprocess):
        if isinstance(encoder, ViTConfig):
            require(not encoder.num_frames, "The encoder takes clips; give ClipPreprocess and ClipViews.")
            preprocess = replace(preprocess, image_size=square_size(encoder))
        preprocess = replace(preprocess, channels=encoder.in_channels)
    elif isinstance(preprocess, ClipPreprocess):
        preprocess = _of_clips(encoder, preprocess)
    else:
        require_pictures(encoder, preprocess)
    object.__setattr__(config, "preprocess", preprocess)
    for name, augment in views.items():
        object.__setattr__(config, name, match(augment, preprocess))


def match(augment: AnyViews, preprocess: AnyPreprocess) -> Any:
    """Return the views with the channels and the normalisation of `preprocess`; those of images keep their size.

    Raises:
        UserError: The views are of another kind of data than the preprocessing.
    """
    if isinstance(augment, Augment) and isinstance(preprocess, Preprocess):
        return replace(augment, channels=preprocess.channels, mean=preprocess.mean, std=preprocess.std)
    if isinstance(augment, ClipViews) and isinstance(preprocess, ClipPreprocess):
        frame = match(augment.frame, preprocess.frame)
        return replace(augment, frame=replace(frame, image_size=preprocess.frame.image_size))
    kinds = (
        (TableViews, TablePreprocess),
        (SoundViews, SoundPreprocess),
        (SignalViews, SeriesPreprocess | SoundPreprocess),
    )
    if any(isinstance(augment, views) and isinstance(preprocess, kind) for views, kind in kinds):
        of_kind: Any = augment
        return replace(of_kind, preprocess=preprocess)
    raise UserError(
        f"{type(augment).__name__} makes no views of what {type(preprocess).__name__} prepares; take Augment for "
        "images, and for signals the views of their kind."
    )


def _of_clips(encoder: EncoderConfig, preprocess: ClipPreprocess) -> ClipPreprocess:
    """Return the preprocessing with the encoder's number of frames, size and channels.

    Raises:
        UserError: The encoder takes no clips.
    """
    if not isinstance(encoder, ViTConfig) or not encoder.num_frames:
        raise UserError("The preprocessing is one of clips, but the encoder takes images; set its num_frames.")
    frame = replace(preprocess.frame, image_size=square_size(encoder), channels=encoder.in_channels)
    return replace(preprocess, num_frames=encoder.num_frames, frame=frame)


def require_pictures(encoder: EncoderConfig, preprocess: Any) -> None:
    """Refuse an encoder that does not take what signals are laid out as.

    Raises:
        UserError: Its channels or, of a ViT, its image size differ.
    """
    channels, (height, width) = preprocess.channels, preprocess.shape
    name = type(preprocess).__name__
    require(
        encoder.in_channels == channels,
        f"{name} gives {channels} planes, but the encoder's in_channels differs; set it.",
    )
    if isinstance(encoder, ViTConfig):
        require(
            encoder.image_size == (height, width),
            f"{name} lays signals out as {height} x {width}, but the encoder's image_size is {encoder.image_size}; "
            f"set it to ({height}, {width}).",
        )


def square_size(encoder: ViTConfig) -> int:
    """Return the side of the encoder's images.

    Raises:
        UserError: They are not square.
    """
    size = encoder.image_size
    height, width = (size, size) if isinstance(size, int) else size
    if height != width:
        raise UserError(f"Training images are square, but the encoder's image_size is {height}x{width}.")
    return height
