"""V-JEPA and V-JEPA 2 of Meta's and of Hugging Face's are the same functions here, and go back and forth bit for bit."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from released_files import (
    DIM,
    GRID,
    MOMENTS,
    PATCH,
    TUBELET,
    filled,
    probe_file,
    saved,
    vjepa_file,
    vjepa_of_huggingface,
)
from safetensors.torch import load_file, save_file

import jepakit
from jepakit.hub import import_released, load
from jepakit.hub.exported import export_huggingface
from jepakit.hub.vit_names import Untold
from jepakit.nn import ClassifierConfig
from jepakit.nn.position import sincos_table
from jepakit.types import UserError

SIDE, FRAMES = GRID * PATCH, MOMENTS * TUBELET
NEAR = {"rtol": 0.0, "atol": 1e-5}


def clips(frames: int = FRAMES, side: int = SIDE) -> torch.Tensor:
    return torch.randn(2, frames, 3, side, side)


@pytest.mark.parametrize("implementation", ["sdpa", "eager"])
@pytest.mark.parametrize("head_dim", [24, 32, 64, 80])
def test_tokens_of_clips_are_those_of_transformers(head_dim: int, implementation: str, tmp_path: Path) -> None:
    theirs = vjepa_of_huggingface(hidden_size=2 * head_dim, attn_implementation=implementation)
    theirs.save_pretrained(tmp_path)
    x = clips()
    with torch.no_grad():
        expected = theirs(x, skip_predictor=True).last_hidden_state
    torch.testing.assert_close(load(tmp_path).encode(x, tokens=True), expected, **NEAR)


@pytest.mark.parametrize("frames", [1, 2, 4, 12])
def test_clips_of_other_lengths_are_those_of_transformers(frames: int, tmp_path: Path) -> None:
    theirs = vjepa_of_huggingface()
    theirs.save_pretrained(tmp_path)
    x = clips(frames)
    with torch.no_grad():
        expected = theirs(x, skip_predictor=True).last_hidden_state
    torch.testing.assert_close(load(tmp_path).encode(x, tokens=True), expected, **NEAR)


@pytest.mark.parametrize("head_dim", [24, 32, 64, 80])
def test_predictions_are_those_of_transformers(head_dim: int, tmp_path: Path) -> None:
    theirs = vjepa_of_huggingface(pred_hidden_size=2 * head_dim)
    theirs.save_pretrained(tmp_path)
    model, x, n = load(tmp_path), clips(), MOMENTS * GRID**2
    order = torch.stack([torch.randperm(n) for _ in range(2)])
    every = torch.arange(n).expand(2, -1)
    for context, target in ((every, every), (order[:, :70], order[:, 70:100]), (order[:, :5], order[:, -3:])):
        with torch.no_grad():
            expected = theirs(x, context_mask=[context], target_mask=[target]).predictor_output.last_hidden_state
            z = model.encoder(x).gather(1, context[..., None].expand(-1, -1, DIM))
            found = model.predictor(z, context, target[:, None], kind=model.config.mask_kind)[:, 0]
        torch.testing.assert_close(found, expected, **NEAR)


def test_an_energy_is_asked_of_what_was_released(tmp_path: Path) -> None:
    vjepa_of_huggingface().save_pretrained(tmp_path)
    energy = load(tmp_path).energy(clips())
    assert energy.shape == (2,)
    assert bool((energy > 0).all())


def test_scores_are_those_of_transformers_and_go_back(tmp_path: Path) -> None:
    theirs = vjepa_of_huggingface("VJEPA2ForVideoClassification", id2label={0: "left", 1: "right", 2: "up"})
    theirs.save_pretrained(tmp_path / "theirs")
    x = clips()
    model = load(tmp_path / "theirs")
    with torch.no_grad():
        torch.testing.assert_close(model.classify(x), theirs(x).logits, **NEAR)
    assert model.config.labels == ("left", "right", "up")
    jepakit.export(tmp_path / "theirs", tmp_path / "back")
    same_weights(theirs, type(theirs).from_pretrained(tmp_path / "back"))


def same_weights(first: Any, second: Any) -> None:
    one, other = first.state_dict(), second.state_dict()
    assert one.keys() == other.keys()
    assert all(torch.equal(weight, other[name]) for name, weight in one.items())


@pytest.mark.parametrize(("dim", "mlp_dim"), [(48, 192), (56, 115)])  # int(56 * (115 / 56)) is 114
def test_transformers_loads_clips_that_are_exported(dim: int, mlp_dim: int, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers", reason="transformers not installed")
    theirs = vjepa_of_huggingface(hidden_size=dim, mlp_ratio=(mlp_dim + 0.5) / dim)
    theirs.save_pretrained(tmp_path / "theirs")
    jepakit.import_checkpoint(tmp_path / "theirs", tmp_path / "ours")
    jepakit.export(tmp_path / "ours", tmp_path / "back")
    again, report = transformers.VJEPA2Model.from_pretrained(tmp_path / "back", output_loading_info=True)
    assert not any(report[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    same_weights(theirs, again)
    said = json.loads((tmp_path / "back/video_preprocessor_config.json").read_text())  # reading it takes torchvision
    assert (said["image_mean"], said["crop_size"]["height"]) == ([0.485, 0.456, 0.406], SIDE)


def test_names_of_early_conversions_are_read(tmp_path: Path) -> None:
    theirs = vjepa_of_huggingface()
    theirs.save_pretrained(tmp_path)
    x = clips()
    z = load(tmp_path).encode(x)
    weights = load_file(tmp_path / "model.safetensors")
    early = {name.replace(".attention.", ".attention.attention."): weight for name, weight in weights.items()}
    assert early.keys() != weights.keys()
    save_file(early, tmp_path / "model.safetensors", {"format": "pt"})
    assert torch.equal(load(tmp_path).encode(x), z)


def test_a_rounded_ratio_of_the_mlp_is_understood_and_another_refused(tmp_path: Path) -> None:
    vjepa_of_huggingface(hidden_size=44, mlp_ratio=48 / 11).save_pretrained(tmp_path)
    settings = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(settings | {"mlp_ratio": 4.363636}))
    assert load(tmp_path).config.encoder.mlp_dim == 192  # int(44 * 4.363636) is 191
    (tmp_path / "config.json").write_text(json.dumps(settings | {"mlp_ratio": 4.0}))
    with pytest.raises(
        UserError,
        match="says mlp_ratio=4.0, 176 numbers inside each MLP, but 'encoder.layer.0.mlp.fc1.weight' has 192",
    ):
        load(tmp_path)


def rewritten(held: dict[str, Any], part: str = "target_encoder") -> dict[str, torch.Tensor]:
    """Return Meta's encoder and predictor under the names of Hugging Face, written out by hand."""
    state: dict[str, torch.Tensor] = {}
    for name, weight in held[part].items():
        name = name.removeprefix("module.backbone.")
        if name.startswith("patch_embed.proj"):
            state[name.replace("patch_embed.proj", "encoder.embeddings.patch_embeddings.proj")] = weight
        elif name.startswith("norm."):
            state[f"encoder.layer{name}"] = weight
        else:
            state |= block_of(name.replace("blocks.", "encoder.layer."), weight)
    tokens = []
    for name, weight in held["predictor"].items():
        name = name.removeprefix("module.backbone.")
        if name.startswith("mask_tokens"):
            tokens.append(weight)
        elif "predictor_embed" in name:
            state[name.replace("predictor_embed", "predictor.embeddings.predictor_embeddings")] = weight
        elif "predictor_norm" in name:
            state[name.replace("predictor_norm", "predictor.layernorm")] = weight
        elif "predictor_proj" in name:
            state[name.replace("predictor_proj", "predictor.proj")] = weight
        else:
            state |= block_of(name.replace("predictor_blocks.", "predictor.layer."), weight)
    return state | {"predictor.embeddings.mask_tokens": torch.stack(tokens)}


def block_of(name: str, weight: torch.Tensor) -> dict[str, torch.Tensor]:
    if "attn.qkv" not in name:
        return {name.replace("attn.proj", "attention.proj"): weight}
    thirds = zip(("query", "key", "value"), weight.chunk(3), strict=True)
    return {name.replace("attn.qkv", f"attention.{part}"): piece for part, piece in thirds}


def test_meta_s_v_jepa_2_is_the_function_that_transformers_computes(tmp_path: Path) -> None:
    held = vjepa_file(2)
    untold = Untold(num_heads=2, image_size=SIDE, num_frames=FRAMES)
    model = import_released(saved(tmp_path / "vit.pt", held), untold).method
    assert (type(model).__name__, model.config.mask_tokens, model.config.mask_kinds) == ("VJEPA", 10, (1, 1))
    theirs = vjepa_of_huggingface(pred_hidden_size=72, pred_num_attention_heads=12)
    theirs.load_state_dict(rewritten(held))
    x, order = clips(), torch.randperm(MOMENTS * GRID**2)
    context, target = order[:90].expand(2, -1), order[90:130].expand(2, -1)
    with torch.no_grad():
        output = theirs(x, context_mask=[context], target_mask=[target])
        torch.testing.assert_close(model.encode(x, tokens=True), output.last_hidden_state, rtol=0, atol=5e-5)
        seen = output.last_hidden_state.gather(1, context[..., None].expand(-1, -1, DIM))
        found = model.predictor(seen, context, target[:, None], kind=1)[:, 0]
    torch.testing.assert_close(found, output.predictor_output.last_hidden_state, rtol=0, atol=5e-5)


@pytest.mark.parametrize("generation", [1, 2])
@pytest.mark.parametrize("branch", ["encoder", "target_encoder"])
def test_meta_s_names_of_clips_go_round_bit_for_bit(generation: int, branch: str, tmp_path: Path) -> None:
    held = vjepa_file(generation)
    path = saved(tmp_path / "jepa.pth.tar", held)
    sizes = {"image_size": SIDE, "num_frames": FRAMES}
    jepakit.import_checkpoint(path, tmp_path / "ours", num_heads=2, branch=branch, **sizes)
    jepakit.export(tmp_path / "ours", tmp_path / "again.pth.tar", to="meta")
    again = torch.load(tmp_path / "again.pth.tar", weights_only=True)
    for part, source in (("encoder", branch), ("target_encoder", "target_encoder"), ("predictor", "predictor")):
        assert again[part].keys() == held[source].keys()
        for name, weight in held[source].items():
            torch.testing.assert_close(again[part][name], weight, rtol=0, atol=1e-7 if "pos_embed" in name else 0)
    assert load(tmp_path / "ours").energy(clips()).isfinite().all()


def test_v_jepa_s_table_tells_moments_rows_and_columns(tmp_path: Path) -> None:
    held = vjepa_file(1)
    model = import_released(saved(tmp_path / "jepa.pth.tar", held), Untold(num_heads=2)).method
    config = model.config.encoder
    assert (config.grid, config.num_frames, config.image_size) == ((MOMENTS, GRID, GRID), FRAMES, (SIDE, SIDE))
    assert (model.config.mask_tokens, model.config.mask_kinds) == (2, (0, 1))
    x = clips()
    patches = torch.nn.functional.conv3d(
        x.transpose(1, 2), *(held["target_encoder"][f"module.backbone.patch_embed.proj.{part}"] for part in ("weight", "bias")),
        stride=(TUBELET, PATCH, PATCH),
    ).flatten(2).mT + held["target_encoder"]["module.backbone.pos_embed"]  # fmt: skip
    tokens, _ = model.encoder._embed(x, None)
    torch.testing.assert_close(tokens, patches, rtol=1e-5, atol=1e-5)
    held["target_encoder"]["module.backbone.pos_embed"] += 1
    with pytest.raises(UserError, match=r"'module.backbone.pos_embed' is not the table of sines and cosines"):
        import_released(saved(tmp_path / "jepa.pth.tar", held), Untold(num_heads=2))


def test_an_unused_table_of_v_jepa_2_is_ignored(tmp_path: Path) -> None:
    held = vjepa_file(2)
    x = clips()
    z = import_released(saved(tmp_path / "a.pt", held), Untold(num_heads=2)).method.encode(x)
    held["target_encoder"]["module.backbone.pos_embed"] = sincos_table((4, 7, 7), DIM)[None]
    assert torch.equal(import_released(saved(tmp_path / "a.pt", held), Untold(num_heads=2)).method.encode(x), z)


def test_other_sizes_count_patches_on_as_meta_s_code_does(tmp_path: Path) -> None:
    """A token's rotation is of its own row and column, so that a crop has the same rotations as the whole."""
    model = import_released(saved(tmp_path / "a.pt", vjepa_file(2)), Untold(num_heads=2)).method.encoder
    small, large = model._positions_for((MOMENTS, 3, 5)), model._positions_for((MOMENTS, 9, 9))
    torch.testing.assert_close(
        small.unflatten(1, (MOMENTS, 3, 5)), large.unflatten(1, (MOMENTS, 9, 9))[:, :, :3, :5], rtol=0, atol=0
    )


def test_half_precision_becomes_float32(tmp_path: Path) -> None:
    theirs = vjepa_of_huggingface().to(torch.bfloat16)
    theirs.save_pretrained(tmp_path)
    model = load(tmp_path)
    assert {weight.dtype for weight in model.state_dict().values()} == {torch.float32}
    weight = theirs.encoder.layer[0].mlp.fc1.weight
    assert torch.equal(model.encoder.blocks[0].mlp.fc1.weight, weight.float())


def test_clips_that_hugging_face_does_not_compute_are_refused(tmp_path: Path) -> None:
    first = import_released(saved(tmp_path / "jepa.pt", vjepa_file(1)), Untold(num_heads=2)).method
    held = vjepa_file(2)
    alone = import_released(saved(tmp_path / "alone.pt", {"encoder": held["encoder"]}), Untold(num_heads=2)).method
    with pytest.raises(UserError, match="Hugging Face has V-JEPA 2 alone, whose positions are rotations"):
        export_huggingface(first, tmp_path / "out")
    with pytest.raises(UserError, match="holds a predictor, which this model lacks"):
        export_huggingface(alone, tmp_path / "out")
    probe = import_released(saved(tmp_path / "p.pt", probe_file(2)), encoder=alone).method
    probe.predictor = import_released(saved(tmp_path / "b.pt", held), Untold(num_heads=2)).method.predictor
    with pytest.raises(UserError, match=r"norms with 1e-6; this one has 16 heads \(the encoder 2\) and 1e-05"):
        export_huggingface(probe, tmp_path / "out")
    with pytest.raises(UserError, match="tells image_size 28, not 32"):
        import_released(tmp_path / "jepa.pt", Untold(num_heads=2, image_size=32))


def test_an_action_conditioned_predictor_is_left_out(tmp_path: Path) -> None:
    held = vjepa_file(2)
    held["predictor"] = {"module.action_encoder.weight": torch.ones(4, 7)}
    imported = import_released(saved(tmp_path / "ac.pt", held), Untold(num_heads=2))
    assert type(imported.method).__name__ == "Released"
    assert "predictor" in imported.left_out


@pytest.mark.parametrize(("generation", "depth"), [(1, 0), (2, 3)])
def test_a_probe_of_meta_s_is_put_onto_an_encoder(generation: int, depth: int, tmp_path: Path) -> None:
    encoder = tmp_path / "encoder"
    jepakit.import_checkpoint(saved(tmp_path / "vit.pt", vjepa_file(2)), encoder, num_heads=2)
    held = probe_file(generation)
    path = saved(tmp_path / "probe.pt", held)
    with pytest.raises(UserError, match="holds a probe, which needs the encoder that it was trained on"):
        load(path)
    jepakit.import_checkpoint(path, tmp_path / "ours", encoder=encoder)
    model = load(tmp_path / "ours")
    probe = model.classifier.config
    assert (probe.depth, probe.num_heads, probe.norm_eps, probe.num_classes) == (depth, 16, 1e-5, 5)
    x = clips()
    assert torch.equal(model.encode(x), load(encoder).encode(x))
    weights = held["classifiers"][0] if generation == 2 else held["classifier"]
    assert torch.equal(model.classifier.linear.weight, weights["module.linear.weight"])
    assert torch.equal(
        model.classifier.pooler.xattn.kv.bias, weights["module.pooler.cross_attention_block.xattn.kv.bias"]
    )
    assert model.classify(x).shape == (2, 5)
    wide = saved(tmp_path / "wide.pt", probe_file(generation, dim=64))
    with pytest.raises(UserError, match="a probe of tokens of width 64, but the encoder gives 48"):
        jepakit.import_checkpoint(wide, tmp_path / "wide", encoder=encoder)


def test_a_probe_is_the_function_of_transformers_pooler() -> None:
    """Meta's probe under Hugging Face's names scores the same, but for the epsilon of its norms."""
    pytest.importorskip("transformers", reason="transformers not installed")
    theirs = vjepa_of_huggingface("VJEPA2ForVideoClassification", num_attention_heads=16)
    config = ClassifierConfig(dim=DIM, num_classes=2, depth=3, norm_eps=1e-5)
    ours = filled(config.build())
    state = ours.state_dict()
    for name, weight in state.items():
        place = {
            "pooler.query_token": "pooler.query_tokens",
            "linear.weight": "classifier.weight",
            "linear.bias": "classifier.bias",
        }.get(name)
        if place is not None:
            theirs.get_parameter(place).data = weight
        elif "qkv" in name or "xattn.kv" in name:
            parts = "qkv" if "qkv" in name else "kv"
            for part, piece in zip(parts, weight.chunk(len(parts)), strict=True):
                theirs.get_parameter(theirs_of(name, part)).data = piece
        else:
            theirs.get_parameter(theirs_of(name, "q")).data = weight
    tokens = torch.randn(3, 20, DIM)
    with torch.no_grad():
        expected = theirs.classifier(theirs.pooler(tokens))
        torch.testing.assert_close(ours(tokens), expected, rtol=0, atol=1e-3)
        for module in theirs.modules():
            if isinstance(module, torch.nn.LayerNorm):
                module.eps = 1e-5
        torch.testing.assert_close(ours(tokens), theirs.classifier(theirs.pooler(tokens)), **NEAR)


def theirs_of(name: str, part: str) -> str:
    """Return transformers' name of a part of our pooler."""
    if name.startswith("pooler.blocks."):
        name = name.replace("blocks", "self_attention_layers").replace("attn.qkv", f"self_attn.{part}_proj")
        name = name.replace("attn.proj", "self_attn.out_proj")
    else:
        name = name.replace("pooler.", "pooler.cross_attention_layer.")
        name = name.replace("xattn.kv", f"cross_attn.{part}_proj").replace("xattn.q", "cross_attn.q_proj")
    return name.replace("norm1", "layer_norm1").replace("norm2", "layer_norm2")
