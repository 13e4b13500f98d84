"""Import folders of Hugging Face's transformers: config.json beside safetensors, in one file or in several."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from jepakit.hub import ijepa, vjepa
from jepakit.hub.empty import build_empty
from jepakit.hub.foreign import Renaming, read_foreign
from jepakit.hub.imported import Imported
from jepakit.hub.layout import Layout, layer
from jepakit.hub.probes import classifier_in_huggingface, huggingface_probe
from jepakit.hub.vit_names import drop_table
from jepakit.methods import ReleasedConfig
from jepakit.nn import ClassifierConfig
from jepakit.storage import read_object
from jepakit.types import UserError
from jepakit.views import ClipPreprocess, Preprocess

KINDS = {"ijepa": "an I-JEPA", "vjepa2": "a V-JEPA 2"}
"""Values of model_type that are imported."""
WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
_UNUSED = ("pooler.dense.", "embeddings.mask_token")
"""What transformers adds to an I-JEPA on demand, and nobody trained."""
_BECAUSE = "the sizes in its config.json"


@dataclass(frozen=True)
class _Read:
    """Hold what was read: the configuration, and the layout of its weights."""

    config: ReleasedConfig
    layout: Layout


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
            f"{folder} holds a model of Hugging Face's kind {kind!r}, which is not imported; {', '.join(KINDS)} are."
        )
    weights, files = read_weights(folder)
    prefix = f"{kind}." if any(name.startswith(f"{kind}.") for name in weights) else ""
    own = {name.removeprefix(prefix): weight for name, weight in weights.items() if name.startswith(prefix)}
    unused = [name for name in own if name.startswith(_UNUSED)]
    source = Renaming({name: weight for name, weight in own.items() if name not in unused}, folder, prefix, _BECAUSE)
    task = Renaming(
        {name: weight for name, weight in weights.items() if not name.startswith(prefix)}, folder, "", _BECAUSE
    )
    read = (_ijepa if kind == "ijepa" else _vjepa)(source, task, settings, folder)
    method = build_empty(read.config)
    expected = method.state_dict()
    on_task = {ours: held for ours, held in read.layout.items() if ours.startswith("classifier.")}
    source.follow({o: held for o, held in read.layout.items() if o not in on_task}, expected)
    task.follow(on_task, expected)
    source.join(task)
    source.fill(method)
    left_out = [prefix + name for name in unused]
    return Imported(method, f"Hugging Face's folder of {KINDS[kind]}", files, "the only one", left_out)


def _ijepa(source: Renaming, task: Renaming, settings: Mapping[str, Any], folder: Path) -> _Read:
    """Describe an encoder of images, and how its weights are called in either generation of transformers."""
    described = ijepa.encoder_in_huggingface(settings, source, folder / "config.json")
    drop_table(source, "embeddings.position_embeddings", described, described.dim)
    on_disk = not any(name.startswith("layers.") for name in source.left)
    layout = ijepa.huggingface_encoder(described, on_disk)
    classifier = None
    if "classifier.weight" in task.left:
        num_classes = task.look("classifier.weight", 2).shape[0]
        classifier = ClassifierConfig(dim=described.dim, num_classes=num_classes, pooling="mean")
        layout |= layer("classifier.linear", "classifier")
    labels = _labels(settings) if classifier else ()
    preprocess = read_preprocess(folder)
    return _Read(ReleasedConfig(encoder=described, preprocess=preprocess, classifier=classifier, labels=labels), layout)


def _vjepa(source: Renaming, task: Renaming, settings: Mapping[str, Any], folder: Path) -> _Read:
    """Describe encoder and predictor of clips, perhaps with a probe, and how their weights are called."""
    source.left = {
        name.replace(vjepa.EARLY, "attention."): weight
        for name, weight in source.left.items()
        if not name.endswith("embeddings.position_embeddings")  # rotations stand for such tables
    }
    described = vjepa.encoder_in_huggingface(settings, source, folder / "config.json")
    predictor = vjepa.predictor_in_huggingface(settings, described)
    layout = vjepa.huggingface_encoder(described) | vjepa.huggingface_predictor(predictor)
    classifier = None
    if "classifier.weight" in task.left:
        classifier = classifier_in_huggingface(task, described)
        layout |= huggingface_probe(classifier)
    preprocess = ClipPreprocess(num_frames=1, frame=read_preprocess(folder))
    config = ReleasedConfig(
        encoder=described,
        preprocess=preprocess,
        predictor=predictor,
        masks=vjepa.MASKS,
        mask_kind=vjepa.MASK_KIND_2 % predictor.num_mask_tokens,
        classifier=classifier,
        labels=_labels(settings) if classifier else (),
    )
    return _Read(config, layout)


def _labels(settings: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of classes in their order; none where config.json does not tell them."""
    names = settings.get("id2label")
    if not isinstance(names, dict) or sorted(names) != sorted(map(str, range(len(names)))):
        return ()
    return tuple(str(names[str(number)]) for number in range(len(names)))


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
    """Return how the folder normalises images: as its preprocessor's configuration says, else by ImageNet's constants.

    Raises:
        UserError: It does not scale pixels to [0, 1] first.
    """
    paths = [folder / name for name in ("video_preprocessor_config.json", "preprocessor_config.json")]
    path = next((path for path in paths if path.is_file()), None)
    if path is None:
        return ijepa.IMAGENET
    settings = read_object(path)
    if not settings.get("do_rescale", True):
        raise UserError(f"{path} says do_rescale=false, but jepakit always scales pixels to [0, 1].")
    if not settings.get("do_normalize", True):
        return Preprocess(image_size=1, mean=(0.0,), std=(1.0,))
    mean, std = (tuple(settings.get(f"image_{name}", (0.5,))) for name in ("mean", "std"))
    return Preprocess(image_size=1, mean=mean, std=std)
