"""Let the parts of a method's configuration agree, so that a size or a number of channels is said once."""

from dataclasses import replace
from typing import Any

from jepakit.nn import BackboneConfig, ConvNetConfig, ResNet9Config, ResNetConfig, ViTConfig
from jepakit.types import UserError
from jepakit.views import Augment, Preprocess

EncoderConfig = ViTConfig | ResNetConfig | ResNet9Config | ConvNetConfig | BackboneConfig


def settle(config: Any, encoder: EncoderConfig, preprocess: Preprocess, **views: Augment) -> None:
    """Set, in a frozen config, the channels and normalisation of preprocessing and views to what the encoder takes.

    Args:
        config: The configuration that is being made; its `preprocess` and the named views are replaced.
        encoder: Decides the channels, and a ViT the image size of `preprocess`.
        preprocess: Decides the normalisation.
        views: Views to settle, by field name.

    Raises:
        UserError: The encoder's images are not square, or it is of a class that could not be loaded again.
    """
    if not isinstance(encoder, EncoderConfig):
        raise UserError(
            f"an encoder of type {type(encoder).__name__} cannot be written down and loaded again; give a ViTConfig, "
            "ResNetConfig, ConvNetConfig, TimmConfig or HuggingFaceConfig, or a subclass of jepakit.nn.BackboneConfig."
        )
    if isinstance(encoder, ViTConfig):
        preprocess = replace(preprocess, image_size=square_size(encoder))
    preprocess = replace(preprocess, channels=encoder.in_channels)
    object.__setattr__(config, "preprocess", preprocess)
    for name, augment in views.items():
        object.__setattr__(config, name, match(augment, preprocess))


def match(augment: Augment, preprocess: Preprocess) -> Augment:
    """Return the views with the channels and the normalisation of `preprocess`; their size stays their own."""
    return replace(augment, channels=preprocess.channels, mean=preprocess.mean, std=preprocess.std)


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
