"""Whatever wrote a model, loading it gives the same numbers; what is no model is one sentence."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from small_clips import CLIPS
from small_methods import CONFIGS, ENCODERS, build
from small_worlds import WORLDS

from jepakit.hub import METHOD_CONFIGS, build_method, load
from jepakit.storage import Run, config_to_dict
from jepakit.types import UserError


def test_a_run_gives_the_weights_of_its_last_checkpoint(tiny_run: Path) -> None:
    model = load(tiny_run)
    saved = Run(tiny_run).load_checkpoint()
    assert saved is not None
    for name, tensor in model.method.state_dict().items():
        assert torch.equal(tensor, saved[0][f"model.{name}"]), name
    assert not model.training
    assert (model.description["step"], model.description["checkpoint"]) == (4, "last")
    assert model.description["recipe"] == "digits-transform"


def test_the_healthy_checkpoint_is_another_file(tiny_vit_run: Path, tmp_path: Path) -> None:
    run = Run(shutil.copytree(tiny_vit_run, tmp_path / "run"))
    shutil.rmtree(run.file("checkpoints/healthy"), ignore_errors=True)
    for verdict, why in (
        ({}, "its health was not measured so far"),
        ({"verdict": {"healthy": False}}, "no verdict was better than collapse"),
        ({"verdict": {"healthy": True}}, "it was saved once, but its file is gone"),
    ):
        run.file("metrics.jsonl").write_text(json.dumps({"kind": "health", "step": 4} | verdict) + "\n")
        with pytest.raises(UserError, match=f"no checkpoint 'healthy': {why}"):
            load(run.path, checkpoint="healthy")
    run.mark_healthy()
    last = load(run.path)
    changed = {f"model.{name}": tensor + 1 for name, tensor in last.method.state_dict().items()}
    run.save_checkpoint(changed, {"step": 9})
    healthy = load(run.path, checkpoint="healthy")
    assert torch.equal(healthy.encoder.norm.weight, last.encoder.norm.weight)
    assert torch.equal(load(run.path).encoder.norm.weight, last.encoder.norm.weight + 1)


@pytest.mark.parametrize("name", list(CONFIGS))
def test_a_saved_method_is_loaded_without_naming_its_class(name: str, tmp_path: Path) -> None:
    method = build(name).eval()
    method.save_pretrained(tmp_path)
    x = torch.randn(2, 3, 16, 16)
    model = load(tmp_path)
    assert type(model.method) is type(method)
    assert torch.equal(model.encode(x), method.encode(x))


def test_every_method_has_its_row_in_the_table() -> None:
    configs = [*CONFIGS.values(), *ENCODERS.values(), *CLIPS.values(), *WORLDS.values()]
    assert {type(config).__name__ for config in configs} == METHOD_CONFIGS.keys()
    for config in configs:
        assert build_method(config_to_dict(config), seed=3, num_steps=7).config == config


def test_a_fresh_method_depends_on_its_seed_alone() -> None:
    description = config_to_dict(CONFIGS["ijepa"])
    one, two, other = (build_method(description, seed=seed, num_steps=5).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert not torch.equal(one["encoder.patch_embed.weight"], other["encoder.patch_embed.weight"])


def test_a_folder_that_is_not_there_or_holds_no_model(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist or is no folder"):
        load(tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"has no config\.json"):
        load(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(UserError, match="no checkpoint 'last': train it first"):
        load(tmp_path)


def test_a_model_of_another_library_is_no_crash(tmp_path: Path) -> None:
    build("ijepa").save_pretrained(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"hidden_size": 1280}))
    with pytest.raises(UserError, match=r"holds no jepakit model: its config\.json describes no method"):
        load(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "vit", "hidden_size": 1280}))
    with pytest.raises(UserError, match=r"a model of Hugging Face's kind 'vit', which is not imported"):
        load(tmp_path)


def test_weights_of_another_architecture_name_the_keys(tiny_vit_run: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(tiny_vit_run, tmp_path / "run"))
    config = json.loads((run / "config.json").read_text())
    config["method"]["encoder"]["depth"] = 2
    (run / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match=r"another architecture \(missing: encoder\.blocks\.1\."):
        load(run)
    config["method"]["encoder"] |= {"depth": 1, "dim": 8}
    (run / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match=r"of another shape: .*\(16,\) instead of \(8,\)"):
        load(run)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"class": "IJEPAConfg"}, "'IJEPAConfg', which this version does not have; did you mean IJEPAConfig?"),
        ({"class": "os.system"}, "'os.system', which this version does not have; known are"),
        ({"momentm": 0.5}, "IJEPAConfig has no setting 'momentm'; did you mean 'momentum'?"),
    ],
)
def test_a_configuration_that_this_version_does_not_know(change: dict[str, object], sentence: str) -> None:
    with pytest.raises(UserError) as error:
        build_method(config_to_dict(CONFIGS["ijepa"]) | change, seed=0, num_steps=1)
    assert sentence in str(error.value)


def test_a_damaged_checkpoint_is_one_sentence(tiny_vit_run: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(tiny_vit_run, tmp_path / "run"))
    path = Run(run).checkpoint_path()
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(UserError, match="is damaged or is no safetensors file"):
        load(run)
