"""What does not fit is refused in one sentence that names it; nothing in a file is ever run."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from released_files import GRID, PATCH, behind, ijepa_encoder, ijepa_file, ijepa_of_huggingface, saved
from safetensors.torch import load_file, save_file
from small_methods import build

import jepakit
from jepakit.hub import import_released, load
from jepakit.hub.foreign import read_foreign
from jepakit.hub.meta import import_meta
from jepakit.hub.vit_names import Untold
from jepakit.types import UserError

Change = Callable[[dict[str, Any]], Any]
META: list[tuple[str, Change, str]] = [
    ("missing", lambda f: f["target_encoder"].pop("module.blocks.1.attn.qkv.bias"), r"\(target_encoder\) has no 'module.blocks.1.attn.qkv.bias'"),
    ("missing in the predictor", lambda f: f["predictor"].pop("module.predictor_norm.weight"), r"\(predictor\) has no 'module.predictor_norm.weight'"),
    ("extra", lambda f: f["target_encoder"].update({"module.cls_token": torch.ones(1)}), "weights of another architecture: module.cls_token"),
    ("extra in the predictor", lambda f: f["predictor"].update({"module.gate.weight": torch.ones(1)}), "another architecture: module.gate.weight"),
    ("misshapen", lambda f: f["target_encoder"].update({"module.blocks.0.norm1.bias": torch.ones(47)}), r"'module.blocks.0.norm1.bias' has shape \(47,\), where the sizes of the others ask for \(48,\)"),
    ("another predictor table", lambda f: f["predictor"].update({"module.predictor_pos_embed": torch.zeros(1, 9, 24)}), r"'module.predictor_pos_embed' has shape \(1, 9, 24\)"),
    ("no square", lambda f: f["target_encoder"].update({"module.pos_embed": torch.zeros(1, 50, 48)}), "'module.pos_embed' has 50 places, which are no square"),
    ("no tensor", lambda f: f["target_encoder"].update({"module.depth": 3}), "'module.depth' in 'target_encoder' holds a int, not a tensor"),
    ("mixed names", lambda f: f["target_encoder"].update({"norm.gain": torch.ones(1)}), "'norm.gain' in 'target_encoder' does not begin with 'module.'"),
    ("2.1", lambda f: f["target_encoder"].update({"module.norms_block.0.weight": torch.ones(48)}), "holds a V-JEPA 2.1"),
    ("no encoder", lambda f: [f.pop(name) for name in ("encoder", "target_encoder")], "no 'encoder' and no 'target_encoder', so it is no file of Meta's; it has 'predictor', 'opt'"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "sentence"), [case[1:] for case in META], ids=[case[0] for case in META])
def test_a_file_of_meta_s_that_does_not_fit(change: Change, sentence: str, tmp_path: Path) -> None:
    held = ijepa_file()
    change(held)
    with pytest.raises(UserError, match=sentence):
        import_released(saved(tmp_path / "file.pth.tar", held), Untold(num_heads=2))


def test_heads_that_cannot_be_known_are_asked_for(tmp_path: Path) -> None:
    path = saved(tmp_path / "file.pth.tar", ijepa_file())
    with pytest.raises(UserError, match=r"width 48, of which the number of heads is not known.*--num-heads N"):
        load(path)
    with pytest.raises(UserError, match="not divisible by num_heads=5"):
        import_released(path, Untold(num_heads=5))


def test_prefixes_of_every_wrapper_are_taken_away(tmp_path: Path) -> None:
    plain = ijepa_encoder()
    x = torch.randn(1, 3, GRID * PATCH, GRID * PATCH)
    found = []
    for prefix in ("", "module.", "module.backbone.", "module.module.backbone."):
        path = saved(tmp_path / "file.pt", {"encoder": behind(prefix, plain)})
        imported = import_released(path, Untold(num_heads=2))
        assert (type(imported.method).__name__, imported.branch) == ("Released", "encoder")
        found.append(imported.method.encode(x))
    assert all(torch.equal(z, found[0]) for z in found)


def shrunk(settings: dict[str, Any], **changes: Any) -> None:
    settings.update(changes)


FOLDER: list[tuple[str, dict[str, Any], Callable[[dict[str, Any]], Any], str]] = [
    ("missing", {}, lambda w: w.pop("encoder.layer.1.output.dense.bias"), "has no 'encoder.layer.1.output.dense.bias'"),
    ("extra", {}, lambda w: w.update({"encoder.layer.0.lora.weight": torch.ones(1)}), "another architecture: encoder.layer.0.lora.weight"),
    ("misshapen", {}, lambda w: w.update({"layernorm.bias": torch.ones(3)}), r"'layernorm.bias' has shape \(3,\), where the sizes in its config.json ask for \(48,\)"),
    ("misshapen piece", {}, lambda w: w.update({"encoder.layer.0.attention.attention.key.weight": torch.ones(48, 47)}), r"attention.key.weight' has shape \(48, 47\)"),
    ("too few layers said", {"num_hidden_layers": 1}, lambda w: None, "another architecture: encoder.layer.1"),
    ("too many layers said", {"num_hidden_layers": 3}, lambda w: None, r"has no 'encoder.layer.2"),
    ("another width said", {"hidden_size": 64}, lambda w: None, r"position_embeddings' has shape \(1, 49, 48\), where the sizes in its config.json ask for \(1, 49, 64\)"),
    ("another patch said", {"patch_size": 7}, lambda w: None, r"where the sizes in its config.json ask for \(1, 16, 48\)"),
    ("another size said", {"image_size": 32}, lambda w: None, r"'embeddings.position_embeddings' has shape \(1, 49, 48\)"),
    ("another activation", {"hidden_act": "gelu_new"}, lambda w: None, "config.json says hidden_act='gelu_new', but only 'gelu' is imported"),
    ("another eps", {"layer_norm_eps": 1e-12}, lambda w: None, "config.json says layer_norm_eps=1e-12, but only 1e-06 is"),
    ("no bias said", {"qkv_bias": False}, lambda w: None, "another architecture: encoder.layer.0.attention.attention.key.bias"),
    ("another kind", {"model_type": "bert"}, lambda w: None, "Hugging Face's kind 'bert', which is not imported; ijepa, vjepa2 are"),
]  # fmt: skip


@pytest.mark.parametrize(("settings", "change", "sentence"), [c[1:] for c in FOLDER], ids=[c[0] for c in FOLDER])
def test_a_folder_of_hugging_face_s_that_does_not_fit(
    settings: dict[str, Any], change: Change, sentence: str, tmp_path: Path
) -> None:
    ijepa_of_huggingface().save_pretrained(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    change(weights)
    save_file(weights, tmp_path / "model.safetensors", {"format": "pt"})
    said = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(said | settings))
    with pytest.raises(UserError, match=sentence):
        load(tmp_path)


def test_a_folder_without_weights_or_with_files_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "ijepa"}))
    with pytest.raises(UserError, match=r"has a config\.json but no weights: neither model\.safetensors nor"):
        load(tmp_path)
    index = {"weight_map": {"layernorm.bias": "../elsewhere.safetensors"}}
    save_file({"a": torch.ones(1)}, tmp_path.parent / "elsewhere.safetensors")
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(UserError, match=r"names the file '\.\./elsewhere\.safetensors', which is not in the folder"):
        load(tmp_path)


class Trap:
    """Would write a file when unpickled."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self) -> Any:
        return (Path.touch, (self.path,))


def test_a_file_that_would_run_code_is_refused_and_nothing_runs(tmp_path: Path) -> None:
    path = saved(tmp_path / "file.pth.tar", ijepa_file() | {"epoch": Trap(tmp_path / "ran")})
    with pytest.raises(UserError, match=r"file\.pth\.tar .*would have to be executed"):
        load(path)
    assert not (tmp_path / "ran").exists()
    torch.load(path, weights_only=False)
    assert (tmp_path / "ran").exists()  # the trap works where it is let


@pytest.mark.parametrize("form", ["file.pth.tar", "file.safetensors"])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_a_file_that_was_cut_short_is_one_sentence(form: str, share: float, tmp_path: Path) -> None:
    path = tmp_path / form
    if form.endswith("tar"):
        saved(path, ijepa_file())
    else:
        save_file(ijepa_encoder(), path)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(UserError, match=r"file\.\w+(\.tar)? is damaged or") as refused:
        load(path)
    assert "\n" not in str(refused.value)


def test_a_mapped_file_stays_as_it_was(tmp_path: Path) -> None:
    path = saved(tmp_path / "file.pth.tar", ijepa_file())
    before = path.read_bytes()
    model = import_released(path, Untold(num_heads=2), branch="encoder").method
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1)
    assert path.read_bytes() == before


def test_nothing_is_copied_where_it_need_not_be(tmp_path: Path) -> None:
    """Weights of the file become the network's own, so that a large one is never in memory twice."""
    held = read_foreign(saved(tmp_path / "file.pth.tar", ijepa_file()))
    model = import_meta(held, tmp_path / "file.pth.tar", Untold(num_heads=2), "encoder").method
    for ours, part in ((model.encoder, "encoder"), (model.target.encoder, "target_encoder")):
        mapped = held[part]["module.blocks.1.attn.qkv.weight"]
        assert ours.blocks[1].attn.qkv.weight.data_ptr() == mapped.data_ptr()


def test_files_of_the_old_form_are_read_too(tmp_path: Path) -> None:
    torch.save({"a": torch.ones(3)}, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    assert torch.equal(read_foreign(tmp_path / "old.pt")["a"], torch.ones(3))


def test_numbers_of_numpy_beside_the_weights_are_read(tmp_path: Path) -> None:
    held = read_foreign(
        saved(tmp_path / "file.pt", {"loss": np.float64(0.5), "epoch": np.int64(3), "a": torch.ones(1)})
    )
    assert (held["loss"], held["epoch"]) == (0.5, 3)


def test_heads_follow_from_a_width_of_meta_s(tmp_path: Path) -> None:
    encoder = load(saved(tmp_path / "tiny.pt", {"encoder": ijepa_encoder(192, 1)}))
    assert encoder.config.encoder.num_heads == 3


def test_nothing_is_written_over(tmp_path: Path) -> None:
    path = saved(tmp_path / "file.pth.tar", ijepa_file())
    with pytest.raises(UserError, match=r"nowhere\.pt does not exist"):
        jepakit.import_checkpoint(tmp_path / "nowhere.pt", tmp_path / "out")
    with pytest.raises(UserError, match="holds files already"):
        jepakit.import_checkpoint(path, tmp_path, num_heads=2)
    with pytest.raises(UserError, match="is a file; give a folder"):
        jepakit.import_checkpoint(path, path, num_heads=2)


def test_what_a_form_cannot_hold_is_refused(tmp_path: Path) -> None:
    build("lejepa").save_pretrained(tmp_path / "conv")
    build("ijepa_whitened").save_pretrained(tmp_path / "cosine")
    build("ijepa_sigreg").save_pretrained(tmp_path / "sigreg")
    with pytest.raises(UserError, match="Hugging Face's models are ViTs, but this model's encoder is a ResNet"):
        jepakit.export(tmp_path / "conv", tmp_path / "out")
    with pytest.raises(UserError, match="have stem linear, but this encoder has 'cosine'"):
        jepakit.export(tmp_path / "cosine", tmp_path / "out")
    with pytest.raises(UserError, match="A IJEPASIGReg of these settings cannot be written as a file of Meta's"):
        jepakit.export(tmp_path / "sigreg", tmp_path / "out", to="meta")
    with pytest.raises(UserError, match="There is no form 'met'; did you mean 'meta'"):
        jepakit.export(tmp_path / "sigreg", tmp_path / "out", to="met")
    with pytest.raises(UserError, match="a model of jepakit's, which has no branches"):
        load(tmp_path / "sigreg", branch="encoder")
