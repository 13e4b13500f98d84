"""Verbs that look and change nothing: `report` and `doctor`."""

from pathlib import Path
from typing import Annotated

from jepakit.cli.parsing import described, parse
from jepakit.cli.printing import say


def report(arguments: list[str]) -> int:
    """Rebuild the page of a run and print where it is."""
    import tyro

    from jepakit import commands

    def asked(run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]) -> Path:
        return run

    say(f"Report: {commands.build_report(parse(described(asked, commands.build_report), 'report', arguments))}")
    return 0


def doctor(arguments: list[str]) -> int:
    """Print what this machine can do, a line for each finding."""
    from jepakit import commands

    def asked(folder: Path = Path()) -> Path:
        return folder

    for finding in commands.doctor(parse(described(asked, commands.doctor), "doctor", arguments)):
        say(f"  {finding.name:18} {finding.found}" + (f"   -> {finding.advice}" if finding.advice else ""))
    return 0
