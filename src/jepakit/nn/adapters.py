"""Use anyone's backbone as an encoder: plain modules, Hugging Face models, timm models.

An encoder maps (b, c, h, w) to tokens (b, n, d) and has `embedding_dim`. Backbones return vectors, tokens with or
without class and register tokens in front, feature maps with channels first or last, or records with
`last_hidden_state`; `adapt` turns each into tokens. timm is imported here, in one function, and nowhere else.
"""

from collections.abc import Mapping
from typing import Any

from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor, nn

from jepakit.nn.batchnorm import convert_batchnorm
from jepakit.types import UserError


class AdaptedEncoder(nn.Module):
    """Wrap a backbone so that it can be called as an encoder; built by `adapt`.

    Attributes:
        embedding_dim: Width of a token.
        module: The backbone itself.
    """

    def __init__(
        self,
        module: nn.Module,
        embedding_dim: int,
        num_prefix_tokens: int | None,
        keep_prefix: bool,
        channels_last: bool,
        arguments: Mapping[str, Any],
    ):
        super().__init__()
        self.module = module
        self.embedding_dim = embedding_dim
        self.num_prefix_tokens = num_prefix_tokens
        self.keep_prefix = keep_prefix
        self.channels_last = channels_last
        self.arguments = dict(arguments)

    def forward(
        self, x: Float[Tensor, "b c h w"], context_idx: Int[Tensor, "b k"] | None = None
    ) -> Float[Tensor, "b n d"]:
        """Return the backbone's tokens; a vector becomes one token, a feature map its places row by row.

        Raises:
            UserError: If `context_idx` is given, or the output is of no known form or of another width.
        """
        if context_idx is not None:
            raise UserError(
                f"an adapted {type(self.module).__name__} sees whole images and cannot encode a part of their patches; "
                "use jepakit.nn.ViT for methods that hide patches, or a method that encodes whole views."
            )
        features = _tensor_of(_call(self.module, x, self.arguments))
        if features.ndim == 4:
            pattern = "b h w d -> b (h w) d" if self.channels_last else "b d h w -> b (h w) d"
            tokens = rearrange(features, pattern)
        elif features.ndim == 3:
            tokens = features if self.keep_prefix else features[:, self._count_prefix(features, x) :]
        else:
            tokens = features[:, None]
        if tokens.shape[-1] != self.embedding_dim:
            raise UserError(
                f"{type(self.module).__name__} returned {tuple(features.shape)}, which does not fit "
                f"embedding_dim={self.embedding_dim}; pass the right one, or channels_last=True for (b, h, w, d) maps."
            )
        return tokens

    def _count_prefix(self, features: Tensor, x: Tensor) -> int:
        """Return how many tokens stand before those of the patches: as told, or what exceeds the number of patches."""
        if self.num_prefix_tokens is not None:
            return self.num_prefix_tokens
        patch_size = getattr(getattr(self.module, "config", None), "patch_size", None)
        if patch_size is None:
            return 0
        height, width = (patch_size, patch_size) if isinstance(patch_size, int) else patch_size
        return max(0, features.shape[1] - (x.shape[2] // height) * (x.shape[3] // width))


def adapt(
    module: nn.Module,
    embedding_dim: int | None = None,
    num_prefix_tokens: int | None = None,
    keep_prefix: bool = False,
    channels_last: bool | None = None,
    arguments: Mapping[str, Any] | None = None,
) -> AdaptedEncoder:
    """Wrap a module, a timm model or a Hugging Face model as an encoder; its BatchNorms become exact over processes.

    Args:
        module: Returns (b, d), (b, n, d), (b, d, h, w), (b, h, w, d) or a record with `last_hidden_state` of one of
            these forms. Where it has timm's `forward_features`, that is called.
        embedding_dim: Width of the tokens; read from the module (`embedding_dim`, timm's `num_features`, Hugging Face's
            `config.hidden_size` or `hidden_sizes`) where it is not given.
        num_prefix_tokens: Class and register tokens before the patches; by default timm's own number, or for Hugging
            Face what the output has beyond the image's patches.
        keep_prefix: Whether to keep those tokens.
        channels_last: Whether feature maps are (b, h, w, d); by default what timm's `output_fmt` says, else no.
        arguments: More named arguments of each call, e.g. `{"interpolate_pos_encoding": True}`.

    Raises:
        UserError: If the width is not given and cannot be read.

    Example:
        >>> import torch
        >>> encoder = adapt(nn.Sequential(nn.Conv2d(3, 8, 4, stride=4)), embedding_dim=8)
        >>> encoder(torch.zeros(2, 3, 16, 16)).shape
        torch.Size([2, 16, 8])
    """
    width = _read_width(module) if embedding_dim is None else embedding_dim
    if width is None:
        raise UserError(f"cannot tell the width of {type(module).__name__}'s output; pass embedding_dim to adapt.")
    module = convert_batchnorm(module)
    if num_prefix_tokens is None and isinstance(getattr(module, "num_prefix_tokens", None), int):
        num_prefix_tokens = int(module.num_prefix_tokens)  # type: ignore[arg-type]
    if channels_last is None:
        channels_last = str(getattr(module, "output_fmt", "NCHW")).endswith("NHWC")
    return AdaptedEncoder(module, width, num_prefix_tokens, keep_prefix, channels_last, arguments or {})


def timm_encoder(
    name: str, pretrained: bool = False, in_channels: int = 3, arguments: Mapping[str, Any] | None = None
) -> AdaptedEncoder:
    """Build a timm model by its name as an encoder.

    Args:
        name: timm's name of the model, e.g. "vit_small_patch16_224".
        pretrained: Whether to download its weights.
        in_channels: Channels of the images.
        arguments: More named arguments of `timm.create_model`, e.g. `{"img_size": 96}`.

    Raises:
        UserError: If timm cannot be imported or does not know the name.
    """
    try:
        import timm
    except (ImportError, RuntimeError) as error:  # RuntimeError: a torchvision that does not fit the installed torch
        raise UserError(
            f"timm cannot be imported ({error}); install it with pip install 'jepakit[timm]', with a torchvision that "
            "fits your torch."
        ) from error
    if not timm.is_model(name):
        raise UserError(f"timm knows no model named {name!r}; timm.list_models() lists its names.")
    return adapt(
        timm.create_model(name, pretrained=pretrained, num_classes=0, in_chans=in_channels, **(arguments or {}))
    )


def _call(module: nn.Module, x: Tensor, arguments: Mapping[str, Any]) -> Any:
    features = getattr(module, "forward_features", None)
    return features(x, **arguments) if callable(features) else module(x, **arguments)


def _tensor_of(output: Any) -> Tensor:
    features = getattr(output, "last_hidden_state", output)
    if not isinstance(features, Tensor) or features.ndim not in (2, 3, 4):
        shape = f"of shape {tuple(features.shape)}" if isinstance(features, Tensor) else ""
        raise UserError(
            f"the backbone returned a {type(features).__name__} {shape}, which cannot be read as tokens; wrap it in a "
            "module that returns (b, d), (b, n, d) or (b, d, h, w)."
        )
    return features


def _read_width(module: nn.Module) -> int | None:
    config = getattr(module, "config", None)
    sizes = getattr(config, "hidden_sizes", None)
    known = (
        getattr(module, "embedding_dim", None),
        getattr(module, "num_features", None),
        getattr(config, "hidden_size", None),
        sizes[-1] if sizes else None,
    )
    return next((width for width in known if isinstance(width, int)), None)
