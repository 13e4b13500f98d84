"""Import folders of Hugging Face's transformers: config.json beside safetensors, in one file or in several."""

from pathlib import Path
from typing import Any

from torch import Tensor

from jepakit.hub.foreign import Renaming, read_foreign
from jepakit.hub.ijepa import encoder_in_huggingface, huggingface_encoder, take_table
from jepakit.hub.imported import Imported
from jepakit.methods import EncoderOnlyConfig
from jepakit.storage import read_object
from jepakit.types import UserError
from jepakit.views import IMAGENET_MEAN, IMAGENET_STD, Preprocess

KINDS = ("ijepa",)
"""Values of model_type that are imported."""
WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
_NOT_OF_THE_ENCODER = ("pooler.", "embeddings.mask_token", "classifier.")
_BECAUSE = "the sizes in its config.json"


def import_huggingface(folder: Path) -> Imported:
    """Import a folder of transformers', in eval mode.

    Args:
        folder: It holds config.json and safetensors.

    Raises:
        UserError: The model is of another kind, there are no weights, or a setting or a weight does not fit; the
            sentence names it.
    """
    settings = read_object(folder / "config.json")
    kind = settings.get("model_type")
    if kind not in KINDS:
        raise UserError(
            f"{folder} holds a model of Hugging Face's kind {kind!r}, which is not imported; {', '.join(KINDS)} is."
        )
    weights, files = read_weights(folder)
    prefix = f"{kind}." if any(name.startswith(f"{kind}.") for name in weights) else ""
    own = {name.removeprefix(prefix): weight for name, weight in weights.items() if name.startswith(prefix)}
    rest = [name for name in weights if not name.startswith(prefix)]
    left_out = [name for name in own if name.startswith(_NOT_OF_THE_ENCODER)]
    source = Renaming({name: own[name] for name in own if name not in left_out}, folder, prefix)
    source.left |= {name: weights[name] for name in rest if not name.startswith(_NOT_OF_THE_ENCODER)}
    method = _encoder(source, settings, folder)
    left_out = [prefix + name for name in left_out] + [n for n in rest if n.startswith(_NOT_OF_THE_ENCODER)]
    return Imported(method.eval(), "Hugging Face's folder of an I-JEPA", files, "the only one", left_out)


def _encoder(source: Renaming, settings: dict[str, Any], folder: Path) -> Any:
    """Build the encoder from the names of either generation."""
    described = encoder_in_huggingface(settings, folder / "config.json")
    method = EncoderOnlyConfig(encoder=described, preprocess=read_preprocess(folder)).build(seed=0, num_steps=1)
    on_disk = not any(name.startswith("layers.") for name in source.left)
    source.follow(huggingface_encoder(described, on_disk), method.state_dict(), _BECAUSE)
    take_table(source, "embeddings.position_embeddings", described.grid, described.dim)
    source.fill(method)
    return method


def read_weights(folder: Path) -> tuple[dict[str, Tensor], list[Path]]:
    """Return the weights of a folder and the files that hold them.

    Raises:
        UserError: There are none, or a file that the index names is missing.
    """
    if (folder / WEIGHTS).is_file():
        return dict(read_foreign(folder / WEIGHTS)), [folder / WEIGHTS]
    if not (folder / INDEX).is_file():
        raise UserError(f"{folder} has a config.json but no weights: neither {WEIGHTS} nor {INDEX} is there.")
    index = read_object(folder / INDEX).get("weight_map")
    names = sorted({str(name) for name in index.values()}) if isinstance(index, dict) else []
    weights: dict[str, Tensor] = {}
    for name in names:
        if Path(name).name != name or not (folder / name).is_file():
            raise UserError(f"{folder / INDEX} names the file {name!r}, which is not in the folder.")
        weights |= read_foreign(folder / name)
    return weights, [folder / name for name in names]


def read_preprocess(folder: Path) -> Preprocess:
    """Return how the folder normalises images: as preprocessor_config.json says, else by ImageNet's constants.

    Raises:
        UserError: It does not scale pixels to [0, 1] first.
    """
    path = folder / "preprocessor_config.json"
    if not path.is_file():
        return Preprocess(image_size=1, mean=IMAGENET_MEAN, std=IMAGENET_STD)
    settings = read_object(path)
    if not settings.get("do_rescale", True):
        raise UserError(f"{path} says do_rescale=false, but jepakit always scales pixels to [0, 1].")
    if not settings.get("do_normalize", True):
        return Preprocess(image_size=1, mean=(0.0,), std=(1.0,))
    mean, std = (tuple(settings.get(f"image_{name}", (0.5,))) for name in ("mean", "std"))
    return Preprocess(image_size=1, mean=mean, std=std)
