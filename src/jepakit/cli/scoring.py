"""Verbs that score: `evaluate` and `compare`, and the tables that they print."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from jepakit.cli.parsing import Checkpoint, described, parse
from jepakit.cli.printing import say, warn


def evaluate(arguments: list[str]) -> int:
    """Score a run beside its floors and print the table."""
    import tyro

    from jepakit import commands
    from jepakit.commands.cautions import collapse, unfinished
    from jepakit.commands.forecasting import is_record_run
    from jepakit.commands.reaching import is_world
    from jepakit.commands.scoring import PROBES
    from jepakit.evaluation.probes import Probe
    from jepakit.recipes.forecasting import HORIZONS
    from jepakit.storage import Run

    def asked(
        run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")],
        final: bool = False,
        checkpoint: Checkpoint = "last",
        probes: tuple[Probe, ...] = PROBES,
        robustness: bool = True,
        data: str | None = None,
        episodes: int | None = None,
        diagnose: int = 0,
        floor: Path | None = None,
        horizons: tuple[int, ...] = HORIZONS,
        season: int | None = None,
    ) -> Any:
        both = {"final": final, "checkpoint": checkpoint}
        of_worlds = {"episodes": episodes, "diagnose": diagnose, "floor": floor}
        of_records = {"horizons": horizons, "season": season}
        return run, both, {"probes": probes, "robustness": robustness, "data": data}, of_worlds, of_records

    folder, options, of_images, of_worlds, of_records = parse(
        described(asked, commands.evaluate), "evaluate", arguments
    )
    warn(collapse(Run(folder), options["checkpoint"]))
    warn(unfinished(Run(folder)) if options["final"] else "")
    if is_world(Run(folder)):
        say(reaching_table(commands.evaluate_reaching(folder, **options, **of_worlds)))
    elif is_record_run(Run(folder)):
        say(forecast_table(commands.evaluate_forecasts(folder, **options, **of_records)))
    else:
        say(score_table(commands.evaluate(folder, **options, **of_images)))
    say(f"Record: {folder}/evaluation.json   Report: {folder}/report.html")
    say("This record is kept in final-records.jsonl." if options["final"] else "Next: --final, once all is chosen.")
    return 0


def compare(arguments: list[str]) -> int:
    """Set runs side by side and print paired differences and settings that differ."""
    import tyro

    from jepakit import commands
    from jepakit.commands.cautions import collapse, unfinished
    from jepakit.recipes.forecasting import HORIZONS
    from jepakit.storage import Run

    def asked(
        runs: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="RUN")],
        final: bool = False,
        checkpoint: Checkpoint = "last",
        horizons: tuple[int, ...] = HORIZONS,
        out: Path = Path("runs/comparison.html"),
    ) -> Any:
        call = partial(commands.compare, runs, final=final, checkpoint=checkpoint, horizons=horizons, out=out)
        return [Run(run) for run in runs], checkpoint, call

    runs, checkpoint, call = parse(described(asked, commands.compare), "compare", arguments)
    for run in runs:
        warn(collapse(run, checkpoint))
        warn(unfinished(run))
    comparison = call()
    if comparison.forecasts is not None:
        say(forecast_table(comparison.forecasts, str(runs[0].path)))
    elif comparison.evaluation is None:
        say("These runs have no labels, so only their settings and curves are compared.")
    else:
        say(score_table(comparison.evaluation))
    for path, lines in comparison.settings.items():
        say(f"settings of {path}:\n" + "\n".join(f"  {line}" for line in lines))
    say(f"Page: {comparison.page}")
    return 0


def score_table(evaluation: Any) -> str:
    """Return scores and paired gains as lines."""
    lines = [f"accuracy on the {evaluation.protocol['split']} split (95% interval)"]
    width = max(len(score.arm) for score in evaluation.scores)
    for score in evaluation.scores:
        lines.append(f"  {score.name:10} {score.arm:{width}} {score.value:6.1%}  [{score.low:.1%}, {score.high:.1%}]")
    for gain in evaluation.gains:
        lines.append(
            f"  {gain.name:10} {gain.arm} - {gain.against}: {100 * gain.value:+.1f} points "
            f"[{100 * gain.low:+.1f}, {100 * gain.high:+.1f}], paired"
        )
    return "\n".join(lines)


def forecast_table(record: Mapping[str, Any], first: str | None = None) -> str:
    """Return errors of forecasts and paired differences as lines, the least error first.

    Args:
        record: What evaluation.json says.
        first: The run from which others differ, where runs are compared; else the model stands beside each floor.
    """
    rows = [row for row in record["forecasts"] if row["measure"] == "mse"]
    told_of = [row for row in record["differences"] if first in (None, row["against"])]
    less = {(row["horizon"], row["against" if first is None else "arm"]): row for row in told_of}
    words = "jepa less this" if first is None else f"this less {first}"
    width = max(len(row["arm"]) for row in rows)
    lines = []
    for horizon in record["protocol"]["horizons"]:
        lines.append(f"squared error {horizon} moments ahead, {record['protocol']['split']} part (95% interval)")
        for row in sorted((r for r in rows if r["horizon"] == horizon), key=lambda r: float(r["value"])):
            line = f"  {row['arm']:{width}} {row['value']:.3f}  [{row['low']:.3f}, {row['high']:.3f}]"
            told = less.get((horizon, row["arm"]))
            if told is not None:
                line += f"   {words} {told['value']:+.3f} [{told['low']:+.3f}, {told['high']:+.3f}], paired"
            lines.append(line)
    return "\n".join(lines)


def reaching_table(record: Mapping[str, Any]) -> str:
    """Return how often goals were reached, as lines."""
    protocol = record["protocol"]
    lines = [f"{protocol['num_episodes']} episodes of {protocol['manifest']}: {protocol['success']} (95% interval)"]
    width = max(len(arm["arm"]) for arm in record["arms"])
    for arm in record["arms"]:
        ends, comes = arm["ends"], arm["comes"]
        lines.append(
            f"  {arm['arm']:{width}} {ends['value']:6.1%}  [{ends['low']:.1%}, {ends['high']:.1%}]   ever on the way "
            f"{comes['value']:.1%}   {arm['seconds_per_episode']:.2f} s an episode"
            + ("   (told the places)" if arm["uses_labels"] else "")
        )
    if record["diagnosis"] is not None:
        lines.append(record["diagnosis"]["sentence"])
    return "\n".join(lines)
