"""Show how training goes: a live bar on a terminal, plain lines elsewhere."""

import sys
from collections.abc import Mapping
from typing import Any, Protocol, TextIO, runtime_checkable


@runtime_checkable
class Progress(Protocol):
    """What the loop tells: a logged row, or a sentence."""

    def update(self, row: Mapping[str, Any], num_steps: int) -> None:
        """Show the row of a log point, and under `health` the kind of the last verdict, if there is one."""
        ...

    def say(self, sentence: str) -> None:
        """Show a sentence."""
        ...

    def close(self) -> None:
        """Leave the terminal as it was."""
        ...


class Silent:
    """Show nothing."""

    def update(self, row: Mapping[str, Any], num_steps: int) -> None:
        """Ignore the row."""

    def say(self, sentence: str) -> None:
        """Ignore the sentence."""

    def close(self) -> None:
        """Do nothing."""


class Lines:
    """Write one plain line a log point."""

    def __init__(self, file: TextIO | None = None):
        self.file = file or sys.stderr

    def update(self, row: Mapping[str, Any], num_steps: int) -> None:
        """Write step, throughput, time left, loss terms and health."""
        self.say(f"step {int(row['step'])}/{num_steps}  {describe(row, num_steps)}")

    def say(self, sentence: str) -> None:
        """Write a sentence."""
        self.file.write(sentence + "\n")
        self.file.flush()

    def close(self) -> None:
        """Do nothing."""


class Bar:
    """Draw a live progress bar with rich."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
        from rich.progress import Progress as RichProgress

        self.bar = RichProgress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[words]}"),
            console=Console(stderr=True),
        )
        self.task = self.bar.add_task("training", total=None, words="")
        self.bar.start()

    def update(self, row: Mapping[str, Any], num_steps: int) -> None:
        """Move the bar and refresh its words."""
        self.bar.update(self.task, total=num_steps, completed=row["step"], words=describe(row, num_steps))

    def say(self, sentence: str) -> None:
        """Print a sentence above the bar."""
        self.bar.console.print(sentence, highlight=False, markup=False)

    def close(self) -> None:
        """Stop drawing."""
        self.bar.stop()


def make_progress(quiet: bool = False) -> Progress:
    """Return the form that fits where the output goes."""
    if quiet:
        return Silent()
    return Bar() if sys.stderr.isatty() else Lines()


def describe(row: Mapping[str, Any], num_steps: int) -> str:
    """Return throughput, time left, loss terms and health of a row in words."""
    left_s = (num_steps - row["step"]) * row["seconds_per_step"]
    terms = "  ".join(f"{name[5:]} {value:.4g}" for name, value in row.items() if name.startswith("term/"))
    health = f"  health {row['health'].replace('_', ' ')}" if row.get("health") else ""
    return f"{row['images_per_s']:,.0f} images/s  {duration(left_s)} left  loss {row['loss']:.4g}  {terms}{health}"


def duration(seconds: float) -> str:
    """Return a time in the two units a person would use."""
    minutes, s = divmod(round(seconds), 60)
    hours, m = divmod(minutes, 60)
    return f"{hours} h {m:02d} min" if hours else f"{m} min {s:02d} s" if m else f"{s} s"
