"""The command line: exit statuses, one sentence for a user's mistake and no traceback, and no torch where none is due."""

import builtins
import contextlib
import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from tiny_runs import quick_rule, quick_scoring, tiny, write_images

import jepakit
from jepakit import cli
from jepakit.cli import run
from jepakit.hub import load
from jepakit.storage import Run, tensors
from jepakit.training import Trainer

OWN = """
from tiny_runs import tiny

def recipe():
    return tiny("digits-ijepa", health_every=2)

def fault():
    return 1 / 0
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Write a recipe file of one's own into the working directory and name it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(OWN)
    return "./mine.py:recipe"


def refused(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    """Run a command line that must be refused, and return its one sentence."""
    assert run([str(argument) for argument in arguments]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    lines = [line for line in told.err.splitlines() if line.startswith("jepakit: ")]
    assert len(lines) == 1
    assert "Traceback" not in told.err
    assert lines[0].endswith((".", "?"))
    return lines[0].removeprefix("jepakit: ")


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    told = capsys.readouterr().out
    assert all(f"  {name}" in told for name in cli.COMMANDS)
    assert cli.COMMANDS.keys() == cli.VERBS.keys()
    assert run([]) == 2
    assert run(["--version"]) == 0
    assert jepakit.__version__ in capsys.readouterr().out


@pytest.mark.parametrize("command", [name for name in cli.COMMANDS if name != "train"])
def test_every_command_explains_its_options(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([command, "--help"]) == 0
    told = capsys.readouterr().out
    assert f"usage: jepakit {command}" in told
    assert "show this help" in told


def test_a_recipe_s_settings_are_all_options(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["train", "--help"]) == 0
    assert "digits-ijepa" in capsys.readouterr().out
    assert run(["train", "digits-ijepa", "--help"]) == 0
    told = capsys.readouterr().out
    for option in ("--out", "--seed", "--training.learning-rate", "--method.encoder.depth", "--data.train"):
        assert option in told


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["trian", "digits-ijepa"], "There is no command 'trian'; did you mean 'train'?"),
        (["zzz"], "There is no command 'zzz'; jepakit --help lists them."),
        (["train"], "train needs a recipe first: digits-transform, "),
        (["train", "digits-ijeepa"], "There is no recipe 'digits-ijeepa'; did you mean 'digits-ijepa'?"),
        (["train", "no.py:recipe"], "no.py does not exist; give a recipe's name or path/to/file.py:function."),
        (["train", "digits-ijepa", "--training.num-stps", "3"], "train has no option '--training.num-stps'; did you mean "
         "'--training.num-steps'?"),
        (["train", "digits-ijepa", "--num_steps=3"], "train has no option '--num-steps'; did you mean "
         "'--training.num-steps'?"),
        (["train", "digits-ijepa", "--patch-siz", "4"], "did you mean '--method.encoder.patch-size'?"),
        (["train", "digits-ijepa", "--zzzzzzzz"], "train has no option '--zzzzzzzz'; jepakit train digits-ijepa --help "
         "lists them."),
        (["evaluate", "run", "--finl"], "evaluate has no option '--finl'; did you mean '--final'?"),
        (["train", "digits-ijepa", "--seed", "one"], "Error parsing --seed: invalid literal for int() with base 10: 'one'."),
        (["train", "digits-ijepa", "--training.schedule", "cos"], "invalid choice 'cos' for argument "
         "'--training.schedule'. Expected one of ('cosine', 'wsd')."),
        (["train", "digits-ijepa", "--method.encoder.patch-size", "3", "3"], "patches of 3x3 do not divide images of 8x8 "
         "pixels; change the patch size, or resize or crop the images."),
        (["train", "digits-ijepa", "--training.warmup-steps", "9000"], "exceed num_steps"),
        (["train", "digits-ijepa", "--training.device", "cuda"], "Device 'cuda' was asked for, but torch"),
        (["train", "small-pixels", "--data.train", "/no/where"], "'/no/where' does not exist; give a folder of images"),
        (["evaluate"], "evaluate needs RUN: jepakit evaluate RUN [--final]."),
        (["report"], "report needs RUN: jepakit report RUN."),
        (["agent"], "agent needs AGENT: jepakit agent AGENT [--out DIR]."),
        (["agent", "maze-agnt"], "There is no agent 'maze-agnt'; did you mean 'maze-agent'?"),
        (["experiment"], "experiment needs NAME: jepakit experiment NAME [--out DIR]."),
        (["experiment", "pixels-vs-embedings"], "There is no experiment 'pixels-vs-embedings'; did you mean "
         "'pixels-vs-embeddings'?"),
        (["experiment", "pixels-vs-embeddings", "--seeds", "1"], "An interval over seeds needs at least 2 of them, got 1"),
        (["experiment", "pixels-vs-embeddings", "--seds", "1"], "experiment has no option '--seds'; did you mean "
         "'--seeds'?"),
        (["embed", "run", "images"], "embed needs OUT: jepakit embed MODEL IMAGES OUT."),
        (["embed", "run"], "embed needs IMAGES and OUT: jepakit embed MODEL IMAGES OUT."),
        (["Train", "digits-ijepa"], "There is no command 'Train'; did you mean 'train'?"),
        (["train", "DIGITS-IJEPA"], "There is no recipe 'DIGITS-IJEPA'; did you mean 'digits-ijepa'?"),
        (["train", "./mine.py"], "as in ./mine.py:function."),
        (["train", "digits-ijepa", "--TRAINING.NUM-STEPS", "3"], "did you mean '--training.num-steps'?"),
        (["evaluate", "/no/where"], "/no/where does not exist or is no folder"),
        (["embed", "/no/where", "digits", "z.npy"], "/no/where does not exist or is no folder"),
        (["embed", "/no/where", "digits", "z.txt"], "Embeddings are written to a .npy or a .parquet file, got 'z.txt'."),
        (["compare", "/no/where"], "A comparison needs two different runs or more, got /no/where."),
        (["compare", "/no/where", "/no/other"], "/no/where is no run directory"),
        (["report", "/no/where"], "/no/where is no run directory: it has no config.json."),
    ],
)  # fmt: skip
def test_a_mistake_is_one_sentence(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    if "cuda" in arguments and torch.cuda.is_available():
        pytest.skip("no GPU missing")
    monkeypatch.chdir(tmp_path)
    assert sentence in refused(capsys, *arguments)
    assert list(tmp_path.iterdir()) == []  # what is refused leaves nothing behind


@pytest.mark.filterwarnings("default")
def test_what_should_be_known_is_a_sentence_without_a_place_in_the_code(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.csv").write_text("a,b\n1,x\n2,y\n")
    assert run(["train", "series-ijepa", "--data.train", "a.csv"]) == 2
    told = capsys.readouterr().err.splitlines()
    assert told[0] == "Note: a.csv: columns of text are left out: 'b'."
    assert len(told) == 2 and told[1].startswith("jepakit: A window of 192 moments does not fit")


def test_data_that_cannot_be_used_are_one_sentence(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    train = ("train", "small-pixels", "--out", tmp_path / "run", "--data.train")
    assert "No image in" in refused(capsys, *train, tmp_path / "empty")
    table = tmp_path / "table.parquet"
    pq.write_table(pa.table({"picture": [b"abc"], "kind": [1]}), table)
    assert "has no column 'image'; its columns are 'picture', 'kind'" in refused(
        capsys, *train, table, "--data.column", "image"
    )
    assert "has no column 'lable'" in refused(
        capsys, *train, table, "--data.column", "picture", "--data.labels", "lable"
    )
    (tmp_path / "file").write_text("")
    assert "is a single file" in refused(capsys, *train, tmp_path / "file")
    assert not (tmp_path / "run").exists()


def test_an_unreadable_place_is_one_sentence(capsys: pytest.CaptureFixture[str], own: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "file" in refused(capsys, "train", own, "--out", tmp_path / "file/run")


def test_a_recipe_of_one_s_own_trains_and_says_what_is_next(
    capsys: pytest.CaptureFixture[str], own: str, tmp_path: Path
) -> None:
    with quick_scoring():
        assert run(["train", own, "--out", "runs/mine", "--training.num-steps", "2"]) == 0
    told = capsys.readouterr()
    assert "Trained 2 steps" in told.out
    assert "jepakit evaluate runs/mine --final" in told.out
    assert "step 2/2" in told.err
    assert (tmp_path / "runs/mine/report.html").exists()
    assert json.loads((tmp_path / "runs/mine/config.json").read_text())["training"]["num_steps"] == 2


def test_another_configuration_in_the_same_place_is_refused(
    capsys: pytest.CaptureFixture[str], own: str, tmp_path: Path, tiny_vit_run: Path
) -> None:
    folder = shutil.copytree(tiny_vit_run, tmp_path / "run")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    sentence = refused(capsys, "train", own, "--out", folder, "--training.learning-rate", "0.5")
    assert "holds a run with another configuration" in sentence
    assert "training.learning_rate: 0.001 -> 0.5" in sentence
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_a_place_that_is_in_use_is_refused(capsys: pytest.CaptureFixture[str], own: str, tmp_path: Path) -> None:
    with Run(tmp_path / "run").locked():
        assert "run is in use by another process" in refused(capsys, "train", own, "--out", tmp_path / "run")


def test_a_place_with_other_files_is_refused(capsys: pytest.CaptureFixture[str], own: str, tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis/chapter.tex").write_text("")
    assert "holds other files (chapter.tex, ...)" in refused(capsys, "train", own, "--out", tmp_path / "thesis")


def test_a_checkpoint_of_another_architecture_names_its_keys(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, tiny_vit_run: Path
) -> None:
    folder = shutil.copytree(tiny_vit_run, tmp_path / "run")
    config = json.loads((folder / "config.json").read_text())
    config["method"]["predictor_dim"] = 4
    (folder / "config.json").write_text(json.dumps(config))
    sentence = refused(capsys, "embed", folder, "digits", tmp_path / "z.npy")
    assert "is a checkpoint of another architecture (of another shape: predictor." in sentence
    assert "instead of" in sentence


def test_a_full_disk_leaves_the_last_good_checkpoint(
    capsys: pytest.CaptureFixture[str], own: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = tensors.save_file
    saved: list[Path] = []

    def fill(contents: Any, path: Path, **options: Any) -> None:
        saved.append(path)
        if len(saved) < 2:
            write(contents, path, **options)
            return
        path.write_bytes(b"half a checkpoint")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tensors, "save_file", fill)
    sentence = refused(capsys, "train", own, "--out", "run")
    assert sentence.startswith("The disk is full: run/checkpoints/last/checkpoint.safetensors could not be saved")
    assert not list((tmp_path / "run").rglob("*.part"))
    assert load(tmp_path / "run").description["step"] == 2
    monkeypatch.setattr(tensors, "save_file", write)
    with quick_scoring():
        assert run(["train", own, "--out", "run"]) == 0
    assert "Going on from step 2 of 4" in capsys.readouterr().err
    assert load(tmp_path / "run").description["step"] == 4


def test_a_disk_that_fills_between_checkpoints_is_one_sentence_too(
    capsys: pytest.CaptureFixture[str], own: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill(self: Run, row: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Run, "log", fill)
    assert refused(capsys, "train", own, "--out", "run").startswith("The disk is full")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_training_is_saved_and_says_how_to_go_on(
    capsys: pytest.CaptureFixture[str], own: str, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    update = Trainer._update

    def interrupted(self: Trainer, wrapped: Any, batch: Any, step: int) -> Any:
        if step == 1:
            os.kill(os.getpid(), number)
        return update(self, wrapped, batch, step)

    monkeypatch.setattr(Trainer, "_update", interrupted)
    assert run(["train", own, "--out", "run"]) == 128 + number
    assert "Saved at step 2 of 4 in run; the same command goes on." in capsys.readouterr().out
    assert not Path("run/evaluation.json").exists()
    assert Path("run/report.html").exists()


def test_a_stop_outside_of_training_has_no_traceback(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(arguments: list[str]) -> int:
        raise KeyboardInterrupt

    monkeypatch.setitem(cli.VERBS, "doctor", stop)
    assert run(["doctor"]) == 130
    assert "the same command goes on" in capsys.readouterr().err


def test_a_stop_while_torch_is_imported_has_no_traceback(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ordinary = builtins.__import__

    def stop(name: str, *arguments: Any) -> Any:
        if name == "jepakit.types":  # which imports torch
            raise KeyboardInterrupt
        return ordinary(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", stop)
    status = None
    with contextlib.suppress(KeyboardInterrupt):  # which would end all tests, not this one alone
        status = run(["doctor"])
    assert status == 130
    assert capsys.readouterr().err.startswith("jepakit: stopped; ")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demo_leaves_with_the_signal_s_status(
    own: str, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    update = Trainer._update

    def interrupted(self: Trainer, wrapped: Any, batch: Any, step: int) -> Any:
        os.kill(os.getpid(), number)
        return update(self, wrapped, batch, step)

    monkeypatch.setattr(Trainer, "_update", interrupted)
    monkeypatch.setattr("jepakit.commands.demonstration.digits_transform", tiny)
    assert run(["demo"]) == 128 + number


def set_verdict(run: Path, healthy: bool) -> None:
    """Let the last verdict of a run be a collapse, or not."""
    path = run / "metrics.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    verdict = {"kind": "healthy" if healthy else "per_sample_constant", "healthy": healthy}
    rows = [row | {"verdict": row["verdict"] | verdict} if "verdict" in row else row for row in rows]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.fixture
def two_runs(tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Give two copies of a run, which `compare` scores quickly."""
    monkeypatch.setattr("jepakit.commands.comparison.EvaluationConfig", quick_rule)
    return shutil.copytree(tiny_run, tmp_path / "run"), shutil.copytree(tiny_run, tmp_path / "other")


def test_a_collapsed_checkpoint_is_not_used_without_a_word(
    capsys: pytest.CaptureFixture[str], two_runs: tuple[Path, Path], tmp_path: Path
) -> None:
    folder, other = two_runs
    set_verdict(other, healthy=True)
    set_verdict(folder, healthy=False)
    Run(folder).mark_healthy()
    commands = [
        ["evaluate", str(folder), "--no-robustness", "--probes", "ridge"],
        [
            "embed",
            str(folder),
            str(write_images(tmp_path / "images", per_class=1)[0].parents[1]),
            str(tmp_path / "z.npy"),
        ],
        ["compare", str(folder), str(other), "--out", str(tmp_path / "page.html")],
    ]
    told = (
        f"Note: The last verdict on {folder} was a collapse (per-sample-constant, step 4): use --checkpoint healthy, "
        "which is that of step 4.\n"
    )
    with quick_scoring():
        for command in commands:
            assert run(command) == 0
            assert capsys.readouterr().err == told, command
            if "compare" in command:
                Run(other).mark_healthy()
            assert run([*command, "--checkpoint", "healthy"]) == 0
            assert capsys.readouterr().err == "", command
    assert json.loads((folder / "evaluation.json").read_text())["checkpoint"] == "healthy"
    shutil.rmtree(folder / "checkpoints/healthy")
    assert run(commands[1]) == 0
    assert "and no earlier one was better: " in capsys.readouterr().err


def test_a_training_that_ends_in_a_collapse_says_so_in_its_last_line(
    capsys: pytest.CaptureFixture[str], own: str, tmp_path: Path
) -> None:
    with quick_scoring():
        assert run(["train", own, "--out", "run"]) == 0
    set_verdict(tmp_path / "run", healthy=True)
    capsys.readouterr()
    assert run(["train", own, "--out", "run"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("Next: jepakit evaluate run --final")
    set_verdict(tmp_path / "run", healthy=False)
    assert run(["train", own, "--out", "run"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("The last verdict on run was a collapse")


def test_final_scores_of_an_unfinished_run_are_warned_of(
    capsys: pytest.CaptureFixture[str], two_runs: tuple[Path, Path], tmp_path: Path
) -> None:
    folder, other = two_runs
    set_verdict(folder, healthy=True)
    set_verdict(other, healthy=True)
    config = json.loads((folder / "config.json").read_text())
    config["training"]["num_steps"] = 9
    (folder / "config.json").write_text(json.dumps(config))
    told = f"Note: {folder} is unfinished: 4 of 9 steps are trained, so its scores may still change.\n"
    scored = ["evaluate", str(folder), "--no-robustness", "--probes", "ridge"]
    with quick_scoring():
        assert run(scored) == 0
        assert capsys.readouterr().err == ""
        assert run([*scored, "--final"]) == 0
        assert capsys.readouterr().err == told
        assert run(["compare", str(other), str(folder), "--out", str(tmp_path / "page.html")]) == 0
        assert capsys.readouterr().err == told


@pytest.mark.parametrize("content", ["[]", "3", "{}", "{"])
def test_a_config_that_holds_no_settings_is_one_sentence(
    capsys: pytest.CaptureFixture[str], tiny_run: Path, tmp_path: Path, content: str
) -> None:
    folder = shutil.copytree(tiny_run, tmp_path / "run")
    (folder / "config.json").write_text(content)
    for command in (
        ["evaluate", folder],
        ["compare", folder, tiny_run],
        ["embed", folder, "digits", tmp_path / "z.npy"],
    ):
        assert "config.json" in refused(capsys, *command)
        assert str(folder) in refused(capsys, *command)


def test_a_fault_of_ours_is_not_passed_off_as_the_user_s(own: str) -> None:
    with pytest.raises(ZeroDivisionError):
        run(["train", "./mine.py:fault"])


def test_a_fault_of_ours_leaves_with_status_1() -> None:
    code = "import jepakit.cli as c; c.VERBS['report'] = lambda _: 1 / 0; from jepakit.__main__ import main; main()"
    done = subprocess.run([sys.executable, "-c", code, "report"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "ZeroDivisionError" in done.stderr


def test_evaluate_embed_and_compare_say_what_they_did_and_where(
    capsys: pytest.CaptureFixture[str], tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = shutil.copytree(tiny_run, tmp_path / "run")
    other = shutil.copytree(tiny_run, tmp_path / "other")
    with quick_scoring():
        assert run(["evaluate", str(folder), "--final", "--no-robustness", "--probes", "ridge"]) == 0
    told = capsys.readouterr().out
    assert "accuracy on the test split" in told
    assert f"Record: {folder}/evaluation.json" in told
    paths = write_images(tmp_path / "images", per_class=2)
    paths[0].write_bytes(b"")
    assert run(["embed", str(folder), str(tmp_path / "images"), str(tmp_path / "z.npy")]) == 0
    told = capsys.readouterr().out
    assert "Embedded 5 samples in 16 dimensions" in told
    assert "skipped 0/000.png: the file is empty" in told
    monkeypatch.setattr("jepakit.commands.comparison.EvaluationConfig", quick_rule)
    assert run(["compare", str(folder), str(other), "--out", str(tmp_path / "page.html")]) == 0
    told = capsys.readouterr().out
    assert f"{other} - {folder}: +0.0 points [+0.0, +0.0], paired" in told
    assert f"Page: {tmp_path}/page.html" in told
    assert run(["report", str(folder)]) == 0
    assert f"Report: {folder}/report.html" in capsys.readouterr().out


def test_doctor_prints_a_line_for_each_finding(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from jepakit.commands import diagnosis

    monkeypatch.setattr(diagnosis, "_torchvision", lambda: ("broken", "pip uninstall torchvision"))
    assert run(["doctor"]) == 0
    told = capsys.readouterr().out
    assert "  torchvision        broken   -> pip uninstall torchvision" in told


def without_torch(code: str) -> str:
    """Run a line in a fresh interpreter that fails if torch was imported, and return what it printed."""
    check = "; import sys; assert not {'torch', 'numpy', 'tyro'} & sys.modules.keys(), 'imported'"
    done = subprocess.run([sys.executable, "-c", code + check], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_help_needs_no_torch() -> None:
    assert "usage: jepakit COMMAND" in without_torch("from jepakit.cli import run; run(['--help'])")
    assert "no command" not in without_torch("from jepakit.cli import run; run(['trian'])")


def test_importing_the_package_needs_no_torch() -> None:
    names = without_torch("import jepakit; print(*dir(jepakit))").split()
    assert names == sorted(jepakit.__all__)


def test_every_public_name_is_there_and_nothing_else_is() -> None:
    assert len(set(jepakit.__all__)) == len(jepakit.__all__)
    for name in jepakit.__all__:
        assert getattr(jepakit, name) is not None
    assert dir(jepakit) == sorted(jepakit.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'no_such_name'"):
        _ = jepakit.no_such_name
