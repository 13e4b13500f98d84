"""Verbs for the world that a run has learned: `plan`."""

from pathlib import Path
from typing import Annotated, Any

from jepakit.cli.parsing import Checkpoint, described, parse
from jepakit.cli.printing import say, warn


def plan(arguments: list[str]) -> int:
    """Reach goals in a run's world and print how each episode went."""
    import tyro

    from jepakit import commands
    from jepakit.commands.cautions import collapse
    from jepakit.storage import Run

    def asked(
        run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")],
        episodes: int = 5,
        first: int = 0,
        checkpoint: Checkpoint = "last",
    ) -> Any:
        return run, {"episodes": episodes, "first": first, "checkpoint": checkpoint}

    folder, options = parse(described(asked, commands.plan), "plan", arguments)
    warn(collapse(Run(folder), options["checkpoint"]))
    for one in commands.plan(folder, **options):
        say(
            f"  episode {one.episode}: {one.distance[0]:.1f} from its goal at the start, {one.distance[-1]:.1f} at the "
            f"end, {'reached' if one.reached else 'not reached'}, {one.seconds:.2f} s to decide"
        )
    say(f"Next: jepakit evaluate {folder} --final")
    return 0
