"""Know the attentive probes of V-JEPA and V-JEPA 2: Meta's files, and what Hugging Face puts on its encoders.

    V-JEPA      {"classifier": weights, ...}      one query looks at the tokens at once
    V-JEPA 2    {"classifiers": [weights], ...}   after three blocks of self-attention

A file holds a probe alone, so it is imported onto an encoder.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jepakit.hub.foreign import Renaming
from jepakit.hub.layout import BlockNames, Held, Layout, blocks, layer
from jepakit.hub.vit_names import META_BLOCK, part_of
from jepakit.nn import ClassifierConfig, ViTConfig
from jepakit.types import UserError

_META_EPS = 1e-5  # torch's default, which Meta's probes keep
_UNUSED = "pooler.cross_attention_block.xattn.proj."  # held by V-JEPA's probes, and never used by their code

_BLOCK_IN_HUGGINGFACE: BlockNames = {
    "norm1": "layer_norm1",
    "attn.qkv": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    "attn.proj": "self_attn.out_proj",
    "norm2": "layer_norm2",
    "mlp.fc1": "mlp.fc1",
    "mlp.fc2": "mlp.fc2",
}


def meta_probe(config: ClassifierConfig) -> Layout:
    """Return how Meta holds a probe."""
    theirs, ours = "pooler.cross_attention_block", "classifier.pooler"
    layout: Layout = {f"{ours}.query_token": Held(("pooler.query_tokens",))}
    layout |= blocks(f"{ours}.blocks.", "pooler.blocks.", config.depth, META_BLOCK)
    for part in ("norm1", "norm2", "xattn.q", "xattn.kv", "mlp.fc1", "mlp.fc2"):
        layout |= layer(f"{ours}.{part}", f"{theirs}.{part}")
    return layout | layer("classifier.linear", "linear")


def huggingface_probe(config: ClassifierConfig) -> Layout:
    """Return how Hugging Face holds the attentive probe of `VJEPA2ForVideoClassification`."""
    theirs, ours = "pooler.cross_attention_layer", "classifier.pooler"
    layout: Layout = {f"{ours}.query_token": Held(("pooler.query_tokens",))}
    layout |= blocks(f"{ours}.blocks.", "pooler.self_attention_layers.", config.depth, _BLOCK_IN_HUGGINGFACE)
    layout |= layer(f"{ours}.norm1", f"{theirs}.layer_norm1") | layer(f"{ours}.norm2", f"{theirs}.layer_norm2")
    layout |= layer(f"{ours}.xattn.q", f"{theirs}.cross_attn.q_proj")
    layout |= layer(f"{ours}.xattn.kv", f"{theirs}.cross_attn.k_proj", f"{theirs}.cross_attn.v_proj")
    layout |= layer(f"{ours}.mlp.fc1", f"{theirs}.mlp.fc1") | layer(f"{ours}.mlp.fc2", f"{theirs}.mlp.fc2")
    return layout | layer("classifier.linear", "classifier")


def probe_in_meta(held: Mapping[str, Any], path: Path, num_heads: int | None) -> tuple[ClassifierConfig, Renaming]:
    """Read a probe of Meta's; of the several that V-JEPA 2 trains together the shipped files hold the best, first.

    Args:
        held: What the file holds.
        path: The file.
        num_heads: Heads of its attention, which weights do not tell; None for 16, as in Meta's.

    Raises:
        UserError: There is none, or it names several kinds of things, as probes of EPIC-Kitchens do.
    """
    found = held.get("classifiers")
    if isinstance(found, list) and found and isinstance(found[0], dict):
        source = part_of({"classifiers[0]": found[0]}, "classifiers[0]", path)
    else:
        source = part_of(held, "classifier", path)
    source.drop(_UNUSED)
    if any(name.startswith("verb_classifier") for name in source.left):
        raise UserError(f"{path} holds a probe of verbs, nouns and actions with three queries, which is not imported.")
    classes = source.look("linear.weight", 2)
    config = ClassifierConfig(
        dim=classes.shape[1],
        num_classes=classes.shape[0],
        num_heads=num_heads or 16,
        depth=source.count("pooler.blocks."),
        norm_eps=_META_EPS,
    )
    return config, source


def is_probe(held: Mapping[str, Any]) -> bool:
    """Return whether a file of Meta's holds a probe."""
    return isinstance(held.get("classifier"), dict) or isinstance(held.get("classifiers"), list)


def classifier_in_huggingface(source: Renaming, encoder: ViTConfig) -> ClassifierConfig:
    """Read the sizes of Hugging Face's probe from its weights; it has the encoder's heads.

    Raises:
        UserError: A weight is missing or misshapen.
    """
    return ClassifierConfig(
        dim=encoder.dim,
        num_classes=source.look("classifier.weight", 2).shape[0],
        num_heads=encoder.num_heads,
        depth=source.count("pooler.self_attention_layers."),
    )
