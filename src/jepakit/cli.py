"""Parse, call, print: the command line over `jepakit.commands`.

Only the chosen command is imported and typed, so `jepakit --help` needs no torch. Exit status: 0 on success, 2 on a
user's error (one sentence, no traceback), 1 on a fault of ours, 128 + signal where a run was interrupted and saved.
"""

import contextlib
import errno
import io
import re
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from jepakit.nearest import nearest

Checkpoint: TypeAlias = Literal["last", "healthy"]

COMMANDS = {
    "train": "RECIPE [--out DIR] [--option value ...]   train a recipe; the same command again goes on",
    "evaluate": "RUN [--final]          score a run's encoder, or its reaching of goals, beside floors",
    "plan": "RUN [--episodes N]     reach goals in the world that a run has learned",
    "embed": "MODEL IMAGES OUT       write embeddings of a folder, table or saved dataset (.npy + .csv, or .parquet)",
    "compare": "RUN RUN ... [--final]  paired differences between runs, and what differs in their settings",
    "report": "RUN                    rebuild report.html from a run's files",
    "doctor": "                       what this machine can do, and what stands in the way",
    "demo": "[--quick]              learn to see digits, then to reach goals in a world, with reports",
}
USAGE = """jepakit: learn by predicting embeddings.

usage: jepakit COMMAND ...   (jepakit COMMAND --help for its options)

"""
_FULL = (errno.ENOSPC, errno.EDQUOT)
_USERS_ERRNO = (
    *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT),
    *(errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG),
)
"""What the system may refuse because of a path that the user chose."""


def run(arguments: list[str]) -> int:
    """Run one command line and return its exit status."""
    if not arguments or arguments[0] in ("-h", "--help"):
        say(USAGE + "\n".join(f"  {name:9} {words}" for name, words in COMMANDS.items()))
        return 0 if arguments else 2
    name, rest = arguments[0], arguments[1:]
    if name == "--version":
        from jepakit import __version__

        say(__version__)
        return 0
    if name not in COMMANDS:
        return complain(f"There is no command {name!r}{_nearest(name, COMMANDS, 'jepakit --help lists them')}")
    try:
        return _call(name, rest)
    except KeyboardInterrupt as stopped:  # also while torch is imported, which takes seconds
        sys.stderr.write("jepakit: stopped; what was saved stays, and the same command goes on from there.\n")
        return 128 + (stopped.args[0] if stopped.args else signal.SIGINT)
    except SystemExit as left:  # --help was asked for and shown
        return left.code if isinstance(left.code, int) else 0


def _call(name: str, arguments: list[str]) -> int:
    """Call a command and turn what the user can mend into one sentence."""
    from jepakit.types import UserError

    try:
        return _VERBS[name](arguments)
    except UserError as error:
        return complain(str(error))
    except OSError as error:
        if error.errno in _FULL:
            return complain("The disk is full; what was saved before is untouched, so free some space and go on.")
        if error.errno in _USERS_ERRNO and error.filename is not None:
            return complain(f"{error.filename}: {error.strerror}.")
        raise


def say(text: str) -> None:
    """Print to standard output."""
    sys.stdout.write(text + "\n")


def complain(sentence: str) -> int:
    """Print a user's error in one sentence; returns the status 2."""
    sys.stderr.write(f"jepakit: {sentence}\n")
    return 2


def warn(sentence: str) -> None:
    """Print what stops nothing but should be known; an empty sentence is none."""
    if sentence:
        sys.stderr.write(f"Note: {sentence}\n")


def _train(arguments: list[str]) -> int:
    import tyro

    from jepakit import commands
    from jepakit.commands.cautions import collapse
    from jepakit.commands.running import default_folder
    from jepakit.recipes import RECIPES, WorldRecipe, find_recipe
    from jepakit.storage import Run
    from jepakit.training.progress import make_progress
    from jepakit.types import UserError

    if not arguments or arguments[0].startswith("-"):
        if arguments and arguments[0] in ("-h", "--help"):
            say(f"usage: jepakit train RECIPE [--out DIR] [--option value ...]\n\nrecipes: {', '.join(RECIPES)}")
            return 0
        raise UserError(f"train needs a recipe first: {', '.join(RECIPES)}, or path/to/file.py:function.")

    default = find_recipe(arguments[0])()
    kind: Any = type(default)

    @dataclass
    class Chosen:
        """Hold a recipe with the user's changes, and where its run goes."""

        recipe: Annotated[kind, tyro.conf.arg(name="")]
        out: Path | None = None

    chosen = _parse(
        Chosen,
        f"train {arguments[0]}",
        arguments[1:],
        default=Chosen(default),
        config=(tyro.conf.AvoidSubcommands, tyro.conf.FlagConversionOff),
    )
    recipe, folder = chosen.recipe, chosen.out or default_folder(chosen.recipe)
    trained = commands.train(recipe, folder, make_progress())
    result = trained.result
    if result.interrupted_by is not None:
        status = 128 + result.interrupted_by
        words = f"Saved at step {result.step} of {recipe.training.num_steps} in {folder}; the same command goes on."
    else:
        status = 0
        use = f"jepakit plan {folder}" if isinstance(recipe, WorldRecipe) else f"jepakit embed {folder} IMAGES out.npy"
        following = f"Next: jepakit evaluate {folder} --final, or {use}"
        words = (
            f"Trained {result.step} steps in {result.seconds:.0f} s. Report: {folder}/report.html\n"
            f"{collapse(Run(folder)) or following}"
        )
    if trained.is_main:
        say(words)
    return status


def _parse(function: Callable[..., Any], command: str, arguments: list[str], **settings: Any) -> Any:
    """Let tyro read the arguments of a function from its signature, and say what is wrong with them in one sentence.

    Args:
        function: What to call with them.
        command: The command, with its recipe, for tyro's help.
        arguments: What the user typed after it.
        settings: Passed on to `tyro.cli`, which knows its own options.

    Raises:
        UserError: An option is unknown (the nearest is named), a value does not fit, or one is missing.
        SystemExit: Help was asked for.
    """
    import tyro

    from jepakit.types import UserError

    parse = partial(tyro.cli, function, prog=f"jepakit {command}", **settings)
    told, options = io.StringIO(), io.StringIO()
    try:
        with contextlib.redirect_stderr(told):
            return parse(args=arguments)
    except SystemExit as left:
        if not left.code:
            raise
    with contextlib.redirect_stdout(options), contextlib.suppress(SystemExit):
        parse(args=["--help"])
    known = dict.fromkeys(re.findall(r"--[a-z][\w.-]*", options.getvalue()))
    for argument in arguments:
        option = argument.partition("=")[0].replace("_", "-")
        if option.startswith("--") and option not in known:
            hint = _nearest(option, _by_last_name(known), f"jepakit {command} --help lists them")
            raise UserError(f"{command.split()[0]} has no option {option!r}{hint}")
    missing = re.findall(r"^\W*([A-Z]+)\W*$", told.getvalue(), re.MULTILINE)
    if missing:
        form = re.split(r"\s{2,}", COMMANDS[command.split()[0]])[0]
        raise UserError(f"{command} needs {' and '.join(missing)}: jepakit {command} {form}.")
    raise UserError(_sentence(told.getvalue()))


def _described(options: Callable[..., Any], command: Callable[..., Any]) -> Callable[..., Any]:
    """Give the options of a command line the words of the Python function that they are for."""
    options.__doc__ = command.__doc__
    return options


def _by_last_name(options: Mapping[str, Any]) -> dict[str, str]:
    """Return options by their names, and by the last part of dotted ones: --num-steps finds --training.num-steps."""
    return {f"--{option[2:].rpartition('.')[2]}": option for option in options} | {o: o for o in options}


def _nearest(name: str, known: Mapping[str, str], otherwise: str) -> str:
    """Return the end of a sentence on an unknown name: the nearest known one, or where to look."""
    near = nearest(name, known)
    return f"; did you mean {known[near] if near.startswith('--') else near!r}?" if near else f"; {otherwise}."


def _sentence(box: str) -> str:
    """Return what tyro said in its box: below the title, above the next rule, and without the frame."""
    lines = [line.strip("╭╮╰╯│ ") for line in box.splitlines()[1:]]
    is_rule = [set(line) <= set("─-") for line in lines]
    start = is_rule.index(False) if False in is_rule else 0
    words = " ".join(lines[start : is_rule.index(True, start) if True in is_rule[start:] else None])
    return words if words.endswith(".") else f"{words}."


def _evaluate(arguments: list[str]) -> int:
    import tyro

    from jepakit import commands
    from jepakit.commands.cautions import collapse, unfinished
    from jepakit.commands.reaching import is_world
    from jepakit.commands.scoring import PROBES
    from jepakit.evaluation.probes import Probe
    from jepakit.storage import Run

    def evaluate(
        run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")],
        final: bool = False,
        checkpoint: Checkpoint = "last",
        probes: tuple[Probe, ...] = PROBES,
        robustness: bool = True,
        episodes: int | None = None,
        diagnose: int = 0,
    ) -> Any:
        both = {"final": final, "checkpoint": checkpoint}
        return run, both, {"probes": probes, "robustness": robustness}, {"episodes": episodes, "diagnose": diagnose}

    folder, options, of_images, of_worlds = _parse(_described(evaluate, commands.evaluate), "evaluate", arguments)
    warn(collapse(Run(folder), options["checkpoint"]))
    warn(unfinished(Run(folder)) if options["final"] else "")
    if is_world(Run(folder)):
        say(_reaching_table(commands.evaluate_reaching(folder, **options, **of_worlds)))
    else:
        say(_score_table(commands.evaluate(folder, **options, **of_images)))
    say(f"Record: {folder}/evaluation.json   Report: {folder}/report.html")
    say("This record is kept in final-records.jsonl." if options["final"] else "Next: --final, once all is chosen.")
    return 0


def _score_table(evaluation: Any) -> str:
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


def _reaching_table(record: Mapping[str, Any]) -> str:
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


def _plan(arguments: list[str]) -> int:
    import tyro

    from jepakit import commands
    from jepakit.commands.cautions import collapse
    from jepakit.storage import Run

    def plan(
        run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")],
        episodes: int = 5,
        first: int = 0,
        checkpoint: Checkpoint = "last",
    ) -> Any:
        return run, {"episodes": episodes, "first": first, "checkpoint": checkpoint}

    folder, options = _parse(_described(plan, commands.plan), "plan", arguments)
    warn(collapse(Run(folder), options["checkpoint"]))
    for one in commands.plan(folder, **options):
        say(
            f"  episode {one.episode}: {one.distance[0]:.1f} from its goal at the start, {one.distance[-1]:.1f} at the "
            f"end, {'reached' if one.reached else 'not reached'}, {one.seconds:.2f} s to decide"
        )
    say(f"Next: jepakit evaluate {folder} --final")
    return 0


def _embed(arguments: list[str]) -> int:
    import tyro

    from jepakit import commands
    from jepakit.commands.cautions import collapse
    from jepakit.storage import Run

    def embed(
        model: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="MODEL")],
        images: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="IMAGES")],
        out: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="OUT")],
        column: str | None = None,
        checkpoint: Checkpoint = "last",
    ) -> Any:
        return Run(model), checkpoint, partial(commands.embed, model, images, out, column=column, checkpoint=checkpoint)

    run, checkpoint, call = _parse(_described(embed, commands.embed), "embed", arguments)
    warn(collapse(run, checkpoint))
    embedded = call()
    n, dim = embedded.z.shape
    say(f"Embedded {n} images in {dim} dimensions: {', '.join(map(str, embedded.files))}")
    for skip in embedded.skipped:
        say(f"  skipped {skip.name}: {skip.reason}")
    return 0


def _compare(arguments: list[str]) -> int:
    import tyro

    from jepakit import commands
    from jepakit.commands.cautions import collapse, unfinished
    from jepakit.storage import Run

    def compare(
        runs: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="RUN")],
        final: bool = False,
        checkpoint: Checkpoint = "last",
        out: Path = Path("runs/comparison.html"),
    ) -> Any:
        call = partial(commands.compare, runs, final=final, checkpoint=checkpoint, out=out)
        return [Run(run) for run in runs], checkpoint, call

    runs, checkpoint, call = _parse(_described(compare, commands.compare), "compare", arguments)
    for run in runs:
        warn(collapse(run, checkpoint))
        warn(unfinished(run))
    comparison = call()
    if comparison.evaluation is None:
        say("These runs have no labels, so only their settings and curves are compared.")
    else:
        say(_score_table(comparison.evaluation))
    for path, lines in comparison.settings.items():
        say(f"settings of {path}:\n" + "\n".join(f"  {line}" for line in lines))
    say(f"Page: {comparison.page}")
    return 0


def _report(arguments: list[str]) -> int:
    import tyro

    from jepakit import commands

    def report(run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]) -> Path:
        return run

    say(f"Report: {commands.build_report(_parse(_described(report, commands.build_report), 'report', arguments))}")
    return 0


def _doctor(arguments: list[str]) -> int:
    from jepakit import commands

    def doctor(folder: Path = Path()) -> Path:
        return folder

    for finding in commands.doctor(_parse(_described(doctor, commands.doctor), "doctor", arguments)):
        say(f"  {finding.name:18} {finding.found}" + (f"   -> {finding.advice}" if finding.advice else ""))
    return 0


def _demo(arguments: list[str]) -> int:
    from jepakit import commands
    from jepakit.training.progress import make_progress

    def demo(out: Path = Path("runs/demo"), quick: bool = False) -> Any:
        return partial(commands.demo, out, quick=quick)

    result = _parse(_described(demo, commands.demo), "demo", arguments)(progress=make_progress())
    image = result.summary["image"]
    for name, words in (
        ("linear_5shot", "JEPA"),
        ("raw_pixels_5shot", "raw pixels"),
        ("random_init_5shot", "random init"),
    ):
        say(f"  {words:13} {image[name]['value']:.1%} of test digits right with 5 labels a class")
    world = result.summary["world"]
    for name, words in (("success", "JEPA"), ("random_policy", "random policy")):
        say(f"  {words:13} {world[name]['value']:.1%} of {world[name]['n']} goals in the other room reached")
    say(f"Summary: {result.summary_path}\nReports: {' and '.join(map(str, result.report_paths))}")
    return 0


_VERBS: dict[str, Callable[[list[str]], int]] = {
    "train": _train,
    "evaluate": _evaluate,
    "plan": _plan,
    "embed": _embed,
    "compare": _compare,
    "report": _report,
    "doctor": _doctor,
    "demo": _demo,
}
