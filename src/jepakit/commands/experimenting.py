"""Answer a question by an experiment: many trainings, a page, and a verdict in plain words."""

from collections.abc import Callable
from pathlib import Path

from jepakit.recipes import find_experiment
from jepakit.recipes.pixels_vs_embeddings import FULL, SMALL
from jepakit.report import build_experiment
from jepakit.report.thesis import Verdict, verdict
from jepakit.report.thesis_records import read_records


def experiment(
    name: str,
    out: Path | str | None = None,
    *,
    seeds: int = 5,
    full: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> tuple[Path, Verdict]:
    """Carry out an experiment and write its page; the same call again computes what is missing.

    Args:
        name: Which: pixels-vs-embeddings.
        out: The folder of its records and its page; by default runs/NAME.
        seeds: Trainings of each arm.
        full: Let every arm learn four times as long; the small form takes minutes.
        say: Told what is computed, and how long each part took.

    Raises:
        UserError: There is no such experiment, there are fewer than two seeds, or the folder cannot be written.
    """
    carry_out = find_experiment(name)
    folder = Path(out) if out is not None else Path("runs") / name
    carry_out(folder, seeds, FULL if full else SMALL, say)
    page = build_experiment(folder)
    return page, verdict(read_records(folder))
