"""`experiment` as Python and on the command line: what it computes, where it puts it, and one sentence for a mistake."""

from pathlib import Path
from typing import Any

import pytest
from fake_experiment import write_experiment

from jepakit.cli import run
from jepakit.commands import build_report, experiment, experimenting
from jepakit.recipes.pixels_vs_embeddings import FULL, SMALL, Effort
from jepakit.types import UserError


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Path, int, Effort]]:
    """Let the experiment write records that are made up, and note how it was asked for."""
    seen: list[tuple[Path, int, Effort]] = []

    def carry_out(out: Path, num_seeds: int, effort: Effort, say: Any) -> None:
        seen.append((out, num_seeds, effort))
        say("computing")
        write_experiment(out)

    monkeypatch.setattr(experimenting, "find_experiment", lambda name: carry_out)
    return seen


def test_records_and_page_go_where_they_are_asked_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: list[tuple[Path, int, Effort]]
) -> None:
    monkeypatch.chdir(tmp_path)
    said: list[str] = []
    page, found = experiment("pixels-vs-embeddings", say=said.append)
    assert page == Path("runs/pixels-vs-embeddings/report.html")
    assert page.is_file()
    assert found.label == "Embeddings lead"
    assert said == ["computing"]
    experiment("pixels-vs-embeddings", tmp_path / "other", seeds=3, full=True)
    assert asked == [(page.parent, 5, SMALL), (tmp_path / "other", 3, FULL)]


def test_the_command_tells_the_verdict_and_where_the_page_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], asked: list[tuple[Path, int, Effort]]
) -> None:
    assert run(["experiment", "pixels-vs-embeddings", "--out", str(tmp_path), "--seeds", "2", "--full"]) == 0
    told = capsys.readouterr().out
    assert "Embeddings lead. Beside detail that cannot be predicted" in told
    assert f"Report: {tmp_path}/report.html" in told
    assert asked == [(tmp_path, 2, FULL)]


def test_the_page_is_rebuilt_from_the_records(tmp_path: Path) -> None:
    folder = write_experiment(tmp_path / "out")
    assert build_report(folder) == folder / "report.html"
    assert "Pixels or embeddings?" in (folder / "report.html").read_text(encoding="utf-8")


def test_another_experiment_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="There is no experiment 'pixels'; did you mean 'pixels-vs-embeddings'"):
        experiment("pixels", tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
