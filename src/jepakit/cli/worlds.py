"""Verbs for acting in a world: `plan` and `surprise` where a run has learned, `agent` where it is yet to learn."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from jepakit.cli.parsing import Checkpoint, described, parse
from jepakit.cli.printing import say, warn

_MOST_LINES = 30


def plan(arguments: list[str]) -> int:
    """Reach goals in a run's world and print how each episode went."""
    import tyro

    from jepakit import commands
    from jepakit.commands.cautions import collapse
    from jepakit.storage import Run, is_shipped, located

    def asked(
        run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")],
        episodes: int = 5,
        first: int = 0,
        checkpoint: Checkpoint = "last",
    ) -> Any:
        return run, {"episodes": episodes, "first": first, "checkpoint": checkpoint}

    folder, options = parse(described(asked, commands.plan), "plan", arguments)
    warn(collapse(Run(located(folder)), options["checkpoint"]))
    for one in commands.plan(folder, **options):
        say(
            f"  episode {one.episode}: {one.distance[0]:.1f} from its goal at the start, {one.distance[-1]:.1f} at the "
            f"end, {'reached' if one.reached else 'not reached'}, {one.seconds:.2f} s to decide"
        )
    own = "train two-rooms-fixed   (to learn such a model yourself)"
    say(f"Next: jepakit {own if is_shipped(folder) else f'evaluate {folder} --final'}")
    return 0


def surprise(arguments: list[str]) -> int:
    """Mark the moments that surprise a run's model, or score pairs of its own world, and print what was found."""
    import tyro

    from jepakit import commands
    from jepakit.commands.cautions import collapse
    from jepakit.storage import Run

    def asked(
        run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")],
        data: Path | None = None,
        ordinary: Path | None = None,
        pairs: int = 0,
        rate: float = 0.01,
        clips: int = 1000,
        episodes: int | None = None,
        checkpoint: Checkpoint = "last",
    ) -> Any:
        options = {"ordinary": ordinary, "pairs": pairs, "rate": rate, "clips": clips, "episodes": episodes}
        return run, data, options | {"checkpoint": checkpoint}

    folder, data, options = parse(described(asked, commands.surprise), "surprise", arguments)
    warn(collapse(Run(folder), options["checkpoint"]))
    record = commands.surprise(folder, data, **options)
    if "record" in record:
        say(_stretches(record["record"]))
    elif data is not None:
        say(_moments(record["sequences"]))
    if options["pairs"]:
        say(_violations(record["violations"]))
    say(f"Record: {folder}/surprise.json   Report: {folder}/report.html")
    return 0


def _moments(told: Mapping[str, Any]) -> str:
    """Return the moments that are marked, as lines."""
    rate, moments = told["rate"], told["num_moments"]
    lines = [
        f"{told['num_marked']} of {moments} moments are marked; were all ordinary, {rate:.2%} would be, about "
        f"{rate * moments:.1f}. Compared with {told['num_ordinary']} clips: {told['ordinary']}."
    ]
    for episode in told["episodes"]:
        for moment in episode["marked"]:
            lines.append(
                f"  episode {episode['episode']}, frame {moment['frame']:5}: score {moment['score']:.1f}, as high in "
                f"{moment['tail']:.2%} of ordinary clips"
            )
    return "\n".join(lines)


def _stretches(told: Mapping[str, Any]) -> str:
    """Return the stretches of a record that are marked, as lines."""
    rate, moments = told["rate"], told["num_moments"]
    lines = [
        f"{told['num_marked']} of {moments} stretches of {told['moment']} moments are marked; were all ordinary, "
        f"{rate:.2%} would be, about {rate * moments:.1f}. Compared with {told['num_ordinary']} such stretches: "
        f"{told['ordinary']}."
    ]
    alarms = told["alarms"]
    if alarms is not None:
        lines.append(
            f"  of the run's own test part {alarms['value']:.2%} [{alarms['low']:.2%}, {alarms['high']:.2%}] are marked"
        )
    worst = sorted(told["anomalies"], key=lambda one: -one["score"])[:_MOST_LINES]
    for one in sorted(worst, key=lambda one: one["first"]):
        channels = ", ".join(f"{channel['name']} {channel['score']:.1f}" for channel in one["channels"][:3])
        lines.append(f"  {one['from']} to {one['to']}: score {one['score']:.1f} ({channels})")
    if len(told["anomalies"]) > len(worst):
        lines.append(f"  and {len(told['anomalies']) - len(worst)} less surprising ones, in surprise.json")
    return "\n".join(lines)


def _violations(told: Mapping[str, Any]) -> str:
    """Return how often violations were the more surprising clip of their pair, beside the floors, as lines."""
    protocol = told["protocol"]
    lines = [
        f"share of {protocol['num_pairs']} pairs whose unlawful clip surprises more (95% interval), floors beside it; "
        "changes of looks break no law"
    ]
    kinds = told["kinds"] | told["looks"]
    for kind, row in kinds.items():
        model = row["arms"]["model"]
        floors = ", ".join(f"{name} {arm['value']:.1%}" for name, arm in row["arms"].items() if name != "model")
        lines.append(f"  {kind:10} {model['value']:6.1%}  [{model['low']:.1%}, {model['high']:.1%}]   {floors}")
        lines.append(
            f"  {'':10} lawful clip above an ordinary one {row['lawful']['value']:.1%} (50% is alike), marked in time "
            f"{row['found']['value']:.1%}"
        )
    lines.append(f"  false alarms: {told['alarms']:.2%} of ordinary moments, {protocol['rate']:.2%} asked for")
    return "\n".join(lines)


def agent(arguments: list[str]) -> int:
    """Let an agent live, going on where the same command stopped; print how each round went."""
    import tyro

    from jepakit import commands
    from jepakit.recipes import find_agent
    from jepakit.training.progress import make_progress

    def asked(
        agent: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="AGENT")],
        out: Path | None = None,
        seed: int | None = None,
    ) -> Any:
        return agent, out, seed

    name, out, seed = parse(described(asked, commands.agent), "agent", arguments)
    folder, records = commands.agent(find_agent(name)(), out, seed=seed, progress=make_progress)
    for told in records:
        ends, floor = told["ends"], told["random_policy"]
        say(
            f"  round {told['round']}: {ends['value']:.0%} [{ends['low']:.0%}, {ends['high']:.0%}] of {ends['n']} goals"
            f" (a random policy {floor['value']:.0%}) after {told['frames']:,} frames"
        )
    say(f"Next: jepakit plan {folder}/round-{len(records)}")
    return 0
