"""I-JEPA of Meta's and of Hugging Face's is the same function here, and goes back and forth bit for bit."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from released_files import GRID, PATCH, ijepa_file, ijepa_of_huggingface, saved
from safetensors.torch import load_file, save_file
from small_methods import build

import jepakit
from jepakit.hub import import_released, load
from jepakit.hub.vit_names import Untold
from jepakit.types import ImageBatch, UserError

SIDE = GRID * PATCH
NEAR = {"rtol": 0.0, "atol": 1e-5}


def tokens_of(model: Any, x: torch.Tensor, **arguments: Any) -> torch.Tensor:
    with torch.no_grad():
        return model(x, **arguments).last_hidden_state


@pytest.mark.parametrize("head_dim", [24, 32, 64, 80])
def test_tokens_are_those_of_transformers(head_dim: int, tmp_path: Path) -> None:
    theirs = ijepa_of_huggingface(hidden_size=2 * head_dim)
    theirs.save_pretrained(tmp_path)
    x = torch.randn(2, 3, SIDE, SIDE)
    torch.testing.assert_close(load(tmp_path).encode(x, tokens=True), tokens_of(theirs, x), **NEAR)


@pytest.mark.parametrize("grid", [4, 7, 10])
@pytest.mark.parametrize("scale", [(1.0, 1.0), (1.5, 1.5), (1.0, 1.5), (2.0, 0.5)])
def test_tokens_at_other_sizes_are_those_of_transformers(grid: int, scale: tuple[float, float], tmp_path: Path) -> None:
    theirs = ijepa_of_huggingface(image_size=grid * PATCH)
    theirs.save_pretrained(tmp_path)
    x = torch.randn(2, 3, *(int(grid * s) * PATCH for s in scale))
    expected = tokens_of(theirs, x, interpolate_pos_encoding=True)
    torch.testing.assert_close(load(tmp_path).encode(x, tokens=True), expected, **NEAR)


def test_both_generations_of_names_are_read(tmp_path: Path) -> None:
    theirs = ijepa_of_huggingface()
    theirs.save_pretrained(tmp_path / "disk")
    theirs.config.save_pretrained(tmp_path / "memory")
    save_file(theirs.state_dict(), tmp_path / "memory/model.safetensors")
    names = [set(load_file(tmp_path / kind / "model.safetensors")) for kind in ("disk", "memory")]
    assert "encoder.layer.0.attention.attention.query.weight" in names[0]
    assert "layers.0.attention.q_proj.weight" in names[1]
    x = torch.randn(2, 3, SIDE, SIDE)
    assert torch.equal(load(tmp_path / "disk").encode(x), load(tmp_path / "memory").encode(x))


def test_shards_are_read_together(tmp_path: Path) -> None:
    theirs = ijepa_of_huggingface()
    theirs.save_pretrained(tmp_path, max_shard_size="50KB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 1
    x = torch.randn(1, 3, SIDE, SIDE)
    model = load(tmp_path)
    torch.testing.assert_close(model.encode(x, tokens=True), tokens_of(theirs, x), **NEAR)
    assert len(model.description["imported"]["files"]) > 1
    next(tmp_path.glob("*-00001-*.safetensors")).unlink()
    with pytest.raises(
        UserError, match=r"index\.json names the file 'model-00001-of-\d+\.safetensors', which is not in"
    ):
        load(tmp_path)


def test_a_task_s_classifier_comes_too_and_goes_back(tmp_path: Path) -> None:
    theirs = ijepa_of_huggingface("IJepaForImageClassification", id2label={0: "cat", 1: "dog", 2: "fox"})
    theirs.save_pretrained(tmp_path / "theirs")
    model = load(tmp_path / "theirs")
    x = torch.randn(2, 3, SIDE, SIDE)
    with torch.no_grad():
        torch.testing.assert_close(model.classify(x), theirs(x).logits, **NEAR)
    assert model.config.labels == ("cat", "dog", "fox")
    torch.testing.assert_close(model.encode(x, tokens=True), tokens_of(theirs.ijepa, x), **NEAR)
    jepakit.export(tmp_path / "theirs", tmp_path / "back")
    again = type(theirs).from_pretrained(tmp_path / "back").eval()
    with torch.no_grad():
        assert torch.equal(again(x).logits, theirs(x).logits)
    assert again.config.id2label == {0: "cat", 1: "dog", 2: "fox"}


def test_a_table_that_was_changed_stays_a_weight(tmp_path: Path) -> None:
    theirs = ijepa_of_huggingface()
    with torch.no_grad():
        theirs.embeddings.position_embeddings.add_(0.1 * torch.randn(1, GRID**2, 48))
    theirs.save_pretrained(tmp_path / "theirs")
    model = load(tmp_path / "theirs")
    assert model.config.encoder.positions == "stored"
    for side in (SIDE, SIDE + 3 * PATCH):
        x = torch.randn(2, 3, side, side)
        expected = tokens_of(theirs, x, interpolate_pos_encoding=True)
        torch.testing.assert_close(model.encode(x, tokens=True), expected, **NEAR)
    jepakit.export(tmp_path / "theirs", tmp_path / "back")
    again = load_file(tmp_path / "back/model.safetensors")["embeddings.position_embeddings"]
    assert torch.equal(again, theirs.embeddings.position_embeddings)


@pytest.mark.parametrize("part", ["target_encoder", "predictor"])
def test_a_changed_table_of_meta_s_goes_round_too(part: str, tmp_path: Path) -> None:
    held = ijepa_file()
    name = {"target_encoder": "module.pos_embed", "predictor": "module.predictor_pos_embed"}[part]
    held[part][name] = held[part][name] + 0.1
    import_with_heads(saved(tmp_path / "ijepa.pth.tar", held), tmp_path / "ours", 2)
    jepakit.export(tmp_path / "ours", tmp_path / "again.pth.tar", to="meta")
    again = torch.load(tmp_path / "again.pth.tar", weights_only=True)
    assert torch.equal(again[part][name], held[part][name])


def test_an_encoder_alone_says_what_it_cannot(tmp_path: Path) -> None:
    ijepa_of_huggingface().save_pretrained(tmp_path)
    model = load(tmp_path)
    with pytest.raises(UserError, match="an encoder alone and has no predictor, so it gives no energy"):
        model.energy(torch.zeros(1, 3, SIDE, SIDE))
    with pytest.raises(UserError, match="no moving average, so it cannot be trained as it is"):
        model.predict(ImageBatch(torch.zeros(1, 3, SIDE, SIDE, dtype=torch.uint8), torch.arange(1)), 0)
    with pytest.raises(UserError, match="This model has no classifier"):
        model.classify(torch.zeros(1, 3, SIDE, SIDE))


def test_the_normalisation_is_the_folder_s(tmp_path: Path) -> None:
    ijepa_of_huggingface().save_pretrained(tmp_path)
    assert load(tmp_path).preprocess.mean == (0.485, 0.456, 0.406)
    said = {"image_mean": [0.1, 0.2, 0.3], "image_std": [1.0, 2.0, 3.0]}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(said))
    assert load(tmp_path).preprocess.mean == (0.1, 0.2, 0.3)
    assert load(tmp_path).preprocess.std == (1.0, 2.0, 3.0)
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({"do_normalize": False}))
    assert load(tmp_path).preprocess.std == (1.0,)
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({"do_rescale": False}))
    with pytest.raises(UserError, match="do_rescale=false"):
        load(tmp_path)


def test_meta_s_file_is_the_model_that_it_was(tmp_path: Path) -> None:
    """Meta's encoder under Hugging Face's names gives the tokens that the imported one gives."""
    held = ijepa_file()
    path = saved(tmp_path / "ijepa.pth.tar", held)
    x = torch.randn(2, 3, SIDE, SIDE)
    model = import_with_heads(path, tmp_path / "ours", 2)
    theirs = ijepa_of_huggingface()
    state = theirs.state_dict()
    for name, weight in held["target_encoder"].items():
        put(state, name.removeprefix("module."), weight)
    theirs.load_state_dict(state)
    torch.testing.assert_close(model.encode(x, tokens=True), tokens_of(theirs, x), **NEAR)


def put(state: dict[str, torch.Tensor], name: str, weight: torch.Tensor) -> None:
    """Put one of Meta's weights into transformers' state."""
    renames = {
        "blocks.": "layers.",
        "norm1": "layernorm_before",
        "norm2": "layernorm_after",
        "attn.proj": "attention.o_proj",
    }
    whole = {
        "pos_embed": "embeddings.position_embeddings",
        "norm.weight": "layernorm.weight",
        "norm.bias": "layernorm.bias",
    }
    if name in whole:
        state[whole[name]] = weight
    elif name.startswith("patch_embed.proj"):
        state[name.replace("patch_embed.proj", "embeddings.patch_embeddings.projection")] = weight
    elif "attn.qkv" in name:
        for part, piece in zip("qkv", weight.chunk(3), strict=True):
            state[name.replace("blocks.", "layers.").replace("attn.qkv", f"attention.{part}_proj")] = piece
    else:
        for ours, theirs in renames.items():
            name = name.replace(ours, theirs)
        assert name in state, name
        state[name] = weight


def import_with_heads(path: Path, out: Path, num_heads: int, **options: Any) -> Any:
    jepakit.import_checkpoint(path, out, num_heads=num_heads, **options)
    return load(out)


def test_the_branch_is_chosen_and_recorded(tmp_path: Path) -> None:
    held = ijepa_file()
    path = saved(tmp_path / "ijepa.pth.tar", held)
    average = import_with_heads(path, tmp_path / "average", 2)
    online = import_with_heads(path, tmp_path / "online", 2, branch="encoder")
    name = "module.norm.weight"
    assert torch.equal(average.encoder.norm.weight, held["target_encoder"][name])
    assert torch.equal(average.target.encoder.norm.weight, held["target_encoder"][name])
    assert torch.equal(online.encoder.norm.weight, held["encoder"][name])
    assert torch.equal(online.target.encoder.norm.weight, held["target_encoder"][name])
    assert average.description["imported"]["branch"] == "target_encoder"
    assert "encoder" in average.description["imported"]["left_out"]
    assert online.description["imported"]["branch"] == "encoder"
    assert online.description["imported"]["left_out"] == [
        "opt",
        "scaler",
        "epoch",
        "loss",
        "batch_size",
        "world_size",
        "lr",
    ]
    assert online.description["imported"]["sha256"] == {path.name: hashlib.sha256(path.read_bytes()).hexdigest()}
    assert online.energy(torch.randn(2, 3, SIDE, SIDE)).isfinite().all()
    with pytest.raises(UserError, match="has no 'ema_encoder'; of encoders it has 'target_encoder' and 'encoder'"):
        import_with_heads(path, tmp_path / "none", 2, branch="ema_encoder")


def test_the_average_and_the_encoder_are_two(tmp_path: Path) -> None:
    """Both begin as the average, and training one must not move the other."""
    model = import_released(saved(tmp_path / "ijepa.pth.tar", ijepa_file()), Untold(num_heads=2)).method
    with torch.no_grad():
        model.encoder.norm.weight.add_(1)
    assert torch.equal(model.encoder.norm.weight, model.target.encoder.norm.weight + 1)


def test_meta_s_names_go_round_bit_for_bit(tmp_path: Path) -> None:
    held = ijepa_file()
    path = saved(tmp_path / "ijepa.pth.tar", held)
    import_with_heads(path, tmp_path / "ours", 2, branch="encoder")
    jepakit.export(tmp_path / "ours", tmp_path / "again.pth.tar", to="meta")
    again = torch.load(tmp_path / "again.pth.tar", weights_only=True)
    for part in ("encoder", "target_encoder", "predictor"):
        assert again[part].keys() == held[part].keys()
        for name, weight in held[part].items():
            torch.testing.assert_close(again[part][name], weight, rtol=0, atol=1e-7 if "pos_embed" in name else 0)
    second = import_with_heads(tmp_path / "again.pth.tar", tmp_path / "twice", 2, branch="encoder")
    first = load(tmp_path / "ours").state_dict()
    assert all(torch.equal(weight, first[name]) for name, weight in second.state_dict().items())


def test_transformers_loads_what_is_exported(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers", reason="transformers not installed")
    first = ijepa_of_huggingface()
    first.save_pretrained(tmp_path / "theirs")
    jepakit.import_checkpoint(tmp_path / "theirs", tmp_path / "ours")
    jepakit.export(tmp_path / "ours", tmp_path / "back")
    again, report = transformers.IJepaModel.from_pretrained(tmp_path / "back", output_loading_info=True)
    assert not any(report[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    for name, weight in first.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], weight, rtol=0, atol=1e-7 if "position" in name else 0)
    processor = transformers.AutoImageProcessor.from_pretrained(tmp_path / "back")
    assert tuple(processor.image_mean) == (0.485, 0.456, 0.406)
    written, read = (load_file(tmp_path / kind / "model.safetensors") for kind in ("back", "theirs"))
    assert written.keys() == read.keys()


def test_a_run_of_ours_is_exported(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers", reason="transformers not installed")
    method = build("ijepa").eval()
    method.save_pretrained(tmp_path / "ours")
    jepakit.export(tmp_path / "ours", tmp_path / "hf", to="hf")
    theirs = transformers.IJepaModel.from_pretrained(tmp_path / "hf").eval()
    x = torch.randn(2, 3, 16, 16)
    with torch.no_grad():
        torch.testing.assert_close(tokens_of(theirs, x), method.encode(x, tokens=True), **NEAR)
