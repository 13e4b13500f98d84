"""Training leaves a complete run, scored on the development split; scores on the test split are kept for good."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_runs import quick_rule, quick_scoring, tiny, write_images

from jepakit.commands import build_report, evaluate, running, scoring, train
from jepakit.data import Digits
from jepakit.evaluation import EvaluationConfig
from jepakit.hub import load
from jepakit.recipes import ImageData
from jepakit.recipes.pipeline import Trained
from jepakit.recipes.splits import open_sources, read_probing
from jepakit.storage import Run
from jepakit.training import TrainingResult
from jepakit.types import UserError


@pytest.fixture
def copied(tiny_run: Path, tmp_path: Path) -> Path:
    """Copy the shared run, to change it."""
    return Path(shutil.copytree(tiny_run, tmp_path / "run"))


def record(run: Path) -> Any:
    return json.loads((run / "evaluation.json").read_text())


def test_a_run_directory_is_complete(tiny_run: Path) -> None:
    files = {str(path.relative_to(tiny_run)) for path in tiny_run.rglob("*") if path.is_file()}
    assert files >= {
        "config.json",
        "env.json",
        "metrics.jsonl",
        "skipped.json",
        "evaluation.json",
        "report.html",
        "checkpoints/last/checkpoint.safetensors",
        "artifacts/features.npz",
        "artifacts/neighbours.npz",
        "artifacts/views.npz",
    }
    assert not any(path.endswith(".part") for path in files)
    env = json.loads((tiny_run / "env.json").read_text())
    assert env["torch"] == torch.__version__
    assert env["command"]


def test_every_arm_is_scored_by_every_probe_beside_its_floors(tiny_run: Path) -> None:
    evaluation = record(tiny_run)
    probes = {"ridge", "knn", "kshot_1", "kshot_5", "kshot_10"}
    floors = {"random init", "raw pixels", "augmented raw pixels", "chance"}
    cells = {(score["arm"], score["name"]) for score in evaluation["scores"]}
    assert cells == {(arm, probe) for arm in {"jepa"} | floors for probe in probes}
    assert {score["arm"] for score in evaluation["scores"] if score["is_floor"]} == floors
    assert all(0 <= s["low"] <= s["value"] <= s["high"] <= 1 for s in evaluation["scores"])
    assert {gain["name"] for gain in evaluation["gains"]} == probes
    assert evaluation["protocol"]["split"] == "dev"
    assert (evaluation["checkpoint"], evaluation["step"]) == ("last", 4)
    assert {curve["arm"] for curve in evaluation["robustness"]} == {"jepa", *floors} - {"chance"}


def test_the_command_asks_for_all_probes_and_corruptions(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[EvaluationConfig] = []

    def note(method: Any, probing: Any, config: EvaluationConfig) -> Any:
        asked.append(config)
        raise UserError("noted")

    monkeypatch.setattr(scoring, "score", note)
    with pytest.raises(UserError, match="noted"):
        evaluate(copied, final=True)
    assert asked[0].probes == ("ridge", "logistic", "knn", "kshot")
    assert set(asked[0].corruptions) == {"noise", "blur", "occlusion", "patch_drop"}
    assert (asked[0].split, asked[0].shots, asked[0].num_draws) == ("test", (1, 5, 10), 100)


def test_no_image_of_the_test_split_reaches_training() -> None:
    data = ImageData(train="digits", stored_size=8)
    sources = open_sources(data)
    assert sources.probe is not None
    assert sources.test is not None
    parts = [set(part.indices.tolist()) for part in (sources.train, sources.health, sources.test)]  # type: ignore[attr-defined]
    for i, part in enumerate(parts):
        assert all(not part & other for other in parts[i + 1 :])
    assert set.union(*parts) == set(range(len(Digits())))
    assert len(parts[2]) == round(0.3 * len(Digits()))


def test_final_scores_the_test_split_and_keeps_every_record(copied: Path) -> None:
    with quick_scoring():
        first = evaluate(copied, final=True, robustness=False, probes=("ridge", "knn"))
        assert "539 images of the test split" in (copied / "report.html").read_text()
        evaluate(copied, final=True, robustness=False, probes=("ridge",))
        dev = evaluate(copied, robustness=False, probes=("ridge",))
    assert first.protocol["split"] == "test"
    assert first.protocol["num_test"] == 539
    assert dev.protocol["split"] == "dev"
    assert dev.protocol["num_train"] + dev.protocol["num_test"] == 1797 - 539
    kept = [json.loads(line) for line in (copied / "final-records.jsonl").read_text().splitlines()]
    assert [r["protocol"]["split"] for r in kept] == ["test", "test"]
    assert kept[0]["scores"] == first.to_json()["scores"]
    assert record(copied)["protocol"]["split"] == "dev"


def test_labelled_images_are_decoded_by_as_many_workers_as_the_recipe_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def note(sources: Any, data: Any, channels: int, num_workers: int, *, final: bool) -> Any:
        asked.append(num_workers)
        return read_probing(sources, data, channels, 0, final=final)

    monkeypatch.setattr(scoring, "read_probing", note)
    with quick_scoring():
        train(tiny(num_steps=2, num_workers=1), tmp_path / "run")
        evaluate(tmp_path / "run", robustness=False)
    assert asked == [1, 1]


def test_scores_by_other_probes_stand_beside_earlier_ones(copied: Path) -> None:
    def cells(part: str, *key: str) -> list[tuple[Any, ...]]:
        return [tuple(cell[name] for name in key) for cell in record(copied)[part]]

    whole = record(copied)
    part = {"scores": ("arm", "name"), "gains": ("arm", "name"), "robustness": ("arm", "probe", "kind")}
    before = {name: cells(name, *key) for name, key in part.items()}
    path = copied / "evaluation.json"
    earlier = whole | {
        name: [c for c in whole[name] if "ridge" not in (c.get("name"), c.get("probe"))] for name in part
    }
    earlier["protocol"] = whole["protocol"] | {"tried": {"knn": 1}}
    path.write_text(json.dumps(earlier))
    with quick_scoring(quick_rule):
        evaluate(copied, robustness=False, probes=("ridge",))
        evaluate(copied, robustness=True, probes=("ridge",))
        for name, key in part.items():
            assert sorted(cells(name, *key)) == sorted(before[name])  # each once
        protocol = record(copied)["protocol"]
        assert protocol["tried"].keys() == {"knn", "ridge"}
        assert protocol["statement"] == whole["protocol"]["statement"]
        evaluate(copied, robustness=False, probes=("knn",))
        assert len(cells("robustness", "arm")) == len(before["robustness"])
        assert record(copied)["protocol"]["statement"] == whole["protocol"]["statement"]
        path.write_text(json.dumps(record(copied) | {"step": 3}))
        evaluate(copied, robustness=False, probes=("knn",))
        assert {name for (name,) in cells("scores", "name")} == {"knn"}  # those were of other weights
        path.write_text(json.dumps(record(copied) | {"protocol": protocol | {"split": "test"}}))
        evaluate(copied, robustness=False, probes=("ridge",))
        assert {name for (name,) in cells("scores", "name")} == {"ridge"}
        path.write_text("half a rec")
        evaluate(copied, robustness=False, probes=("knn",))
        assert {name for (name,) in cells("scores", "name")} == {"knn"}


def test_evaluating_reads_the_weights_of_the_run(copied: Path) -> None:
    with quick_scoring(quick_rule):
        again = evaluate(copied)
    assert again.to_json()["scores"] == record(copied)["scores"]
    stored = {(s["arm"], s["name"]): s["value"] for s in record(copied)["scores"]}
    model = load(copied)
    with torch.no_grad():
        for parameter in model.method.encoder.parameters():
            parameter.zero_()
    Run(copied).save_checkpoint({f"model.{k}": v for k, v in model.method.state_dict().items()}, {"step": 4})
    with quick_scoring():
        zeroed = evaluate(copied, robustness=False, probes=("ridge",))
    broken = {(s.arm, s.name): s.value for s in zeroed.scores}
    assert broken["jepa", "ridge"] < 0.2 < stored["jepa", "ridge"]
    assert broken["random init", "ridge"] == stored["random init", "ridge"]


def test_the_same_command_again_does_nothing_twice(
    copied: Path, tiny_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("scored or drawn twice")

    monkeypatch.setattr(scoring, "score", refuse)
    monkeypatch.setattr(running, "save_pictures", refuse)
    trained = train(tiny(), copied)
    assert trained.result.step == 4
    assert record(copied) == record(tiny_run)
    checkpoint = "checkpoints/last/checkpoint.safetensors"
    assert (copied / checkpoint).read_bytes() == (tiny_run / checkpoint).read_bytes()


def test_scores_on_the_test_split_survive_the_same_training_command(copied: Path) -> None:
    with quick_scoring():
        evaluate(copied, final=True, robustness=False, probes=("ridge",))
        before = record(copied)
        train(tiny(), copied)
    assert record(copied) == before


def test_scores_of_an_earlier_step_are_made_anew(copied: Path) -> None:
    stale = record(copied) | {"step": 2}
    (copied / "evaluation.json").write_text(json.dumps(stale))
    with quick_scoring():
        train(tiny(), copied)
    assert record(copied)["step"] == 4


def test_the_report_is_written_although_scoring_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise UserError("no scores today")

    monkeypatch.setattr(running, "evaluate_method", fail)
    with pytest.raises(UserError, match="no scores today"):
        train(tiny(num_steps=2), tmp_path / "run")
    assert (tmp_path / "run/report.html").exists()


def test_of_several_processes_one_scores_and_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("every process writes the same files")

    trained = Trained(None, TrainingResult(4, 1.0, None), open_sources(tiny().data), is_main=False)
    monkeypatch.setattr(running, "run_recipe", lambda *_: trained)
    monkeypatch.setattr(running, "finish", refuse)
    assert train(tiny(), tmp_path / "run") is trained


def test_a_run_that_cannot_begin_leaves_no_configuration_behind(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="A batch of 5000"):
        train(tiny(batch_size=5000), tmp_path / "run")
    assert not (tmp_path / "run/config.json").exists()
    with quick_scoring():
        train(tiny(num_steps=2), tmp_path / "run")
    assert record(tmp_path / "run")["step"] == 2


def test_a_folder_without_labels_trains_and_says_that_it_cannot_be_scored(tmp_path: Path) -> None:
    paths = write_images(tmp_path / "images", per_class=8)
    for path in paths:
        path.rename(tmp_path / "images" / f"{path.parent.name}-{path.name}")
        if not any(path.parent.iterdir()):
            path.parent.rmdir()
    data = ImageData(train=str(tmp_path / "images"), stored_size=8)
    train(tiny(data=data, batch_size=8), tmp_path / "run")
    assert not (tmp_path / "run/evaluation.json").exists()
    assert "jepakit evaluate" in (tmp_path / "run/report.html").read_text()
    with pytest.raises(UserError, match=r"has no labels to probe by.*--data\.probe"):
        evaluate(tmp_path / "run")


def test_files_that_cannot_be_read_are_named_whichever_part_they_fell_into(tmp_path: Path) -> None:
    paths = write_images(tmp_path / "images", per_class=40)
    broken = {str(path.relative_to(tmp_path / "images")) for path in paths[::7]}
    for name in broken:
        (tmp_path / "images" / name).write_bytes(b"")
    data = ImageData(train=str(tmp_path / "images"), stored_size=8)
    with quick_scoring():
        train(tiny(data=data, batch_size=8), tmp_path / "run")
        sources = open_sources(data)
        assert sources.test is not None
        in_test = {sources.test.name(i) for i in range(len(sources.test))} & broken
        trained_on = {skip["name"] for skip in json.loads((tmp_path / "run/skipped.json").read_text())}
        assert in_test
        assert trained_on == broken - in_test
        evaluate(tmp_path / "run", final=True, robustness=False)
    skipped = json.loads((tmp_path / "run/skipped.json").read_text())
    assert sorted(skip["name"] for skip in skipped) == sorted(broken)
    assert all(skip["reason"] == "the file is empty" for skip in skipped)
    page = (tmp_path / "run/report.html").read_text()
    assert all(name in page for name in broken)


def test_a_broken_file_moves_no_image_across_the_border_of_the_test_split(tmp_path: Path) -> None:
    paths = write_images(tmp_path / "images", per_class=30)
    data = ImageData(train=str(tmp_path / "images"), stored_size=8)
    whole = read_probing(open_sources(data), data, 1, 0, final=True)
    paths[0].write_bytes(b"")
    sources = open_sources(data)
    less = read_probing(sources, data, 1, 0, final=True)
    assert whole is not None
    assert less is not None
    assert len(less.train) + len(less.test) == len(paths) - 1
    rows = {image.numpy().tobytes() for image in less.test.content}
    assert rows <= {image.numpy().tobytes() for image in whole.test.content}
    learnt = {np.asarray(sources.train.read(i)).tobytes() for i in range(len(sources.train)) if sources.train.name(i)
              != str(paths[0].relative_to(tmp_path / "images"))}  # fmt: skip
    assert not rows & learnt


def test_rebuilding_a_report_needs_a_run(tiny_run: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(tiny_run, tmp_path / "run"))
    (copy / "report.html").unlink()
    assert build_report(copy) == copy / "report.html"
    assert (copy / "report.html").exists()
    with pytest.raises(UserError, match=r"has no config\.json"):
        build_report(tmp_path)


def test_an_unknown_checkpoint_is_refused(tiny_run: Path) -> None:
    with pytest.raises(UserError, match="'last' and 'healthy', not 'best'"):
        evaluate(tiny_run, checkpoint="best")
