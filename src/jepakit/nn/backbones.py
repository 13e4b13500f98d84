"""Describe anyone's backbone in a method's configuration, so that a run with it can be written down and loaded again.

    LeJEPAConfig(encoder=TimmConfig(name="convnext_atto"), ...)
    VICRegConfig(encoder=HuggingFaceConfig(config={"model_type": "dinov2", "hidden_size": 384, ...}), ...)

Any other module: a subclass of `BackboneConfig` whose `build` adapts it. All of them see whole images, so they serve
the methods that encode whole views.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from jepakit.nn.adapters import AdaptedEncoder, adapt, timm_encoder
from jepakit.types import UserError


@dataclass(frozen=True, kw_only=True)
class BackboneConfig(ABC):
    """Describe a backbone that is not ours; make a frozen dataclass of it, imported wherever a run of it is loaded.

    Args:
        in_channels: Channels of the images.

    Example:
        >>> from torch import nn
        >>> @dataclass(frozen=True, kw_only=True)
        ... class PatchesConfig(BackboneConfig):
        ...     width: int = 8
        ...
        ...     def build(self) -> AdaptedEncoder:
        ...         return adapt(nn.Conv2d(self.in_channels, self.width, 4, stride=4), embedding_dim=self.width)
        >>> PatchesConfig(width=16).build().embedding_dim
        16
    """

    in_channels: int = 3

    @abstractmethod
    def build(self) -> AdaptedEncoder:
        """Build the backbone with fresh weights and adapt it."""


@dataclass(frozen=True, kw_only=True)
class TimmConfig(BackboneConfig):
    """Describe a timm model with fresh weights.

    Args:
        name: timm's name of the model.
        arguments: More named arguments of `timm.create_model`, e.g. `{"img_size": 96}`.
    """

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def build(self) -> AdaptedEncoder:
        """Build the model.

        Raises:
            UserError: timm cannot be imported or does not know the name.
        """
        return timm_encoder(self.name, in_channels=self.in_channels, arguments=self.arguments)


@dataclass(frozen=True, kw_only=True)
class HuggingFaceConfig(BackboneConfig):
    """Describe a model of Hugging Face's transformers with fresh weights.

    Args:
        config: The model's own configuration; `model_type` names its kind, `in_channels` becomes its `num_channels`.
        arguments: More named arguments of each call, e.g. `{"interpolate_pos_encoding": True}`.
    """

    config: Mapping[str, Any]
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def build(self) -> AdaptedEncoder:
        """Build the model.

        Raises:
            UserError: transformers is not installed, or the configuration is of no kind of model that it knows.
        """
        try:
            from transformers import AutoConfig, AutoModel
        except ImportError as error:
            raise UserError("Hugging Face models need transformers: pip install 'jepakit[hub]'.") from error
        settings = {"num_channels": self.in_channels, **self.config}
        kind = settings.pop("model_type", None)
        try:
            model = AutoModel.from_config(AutoConfig.for_model(kind, **settings))
        except (ValueError, KeyError) as error:
            raise UserError(
                f"transformers has no model of model_type {kind!r}: {str(error).splitlines()[0][:120]}"
            ) from error
        return adapt(model, arguments=self.arguments)
