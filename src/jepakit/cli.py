"""Parse, call, print: the command line over `jepakit.commands`.

Only the chosen command is imported and typed, so `jepakit --help` needs no torch. Exit status: 0 on success, 2 on a
user's error (one sentence, no traceback), 1 on a fault of ours, 128 + signal where a run was interrupted and saved.
"""

import difflib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

COMMANDS = {
    "train": "RECIPE [--out DIR] [--option value ...]   train a recipe; the same command again goes on",
    "evaluate": "RUN [--final]      score a run's encoder beside its floors",
    "embed": "MODEL IMAGES OUT   write embeddings of a folder, table or saved dataset (.npy + .csv, or .parquet)",
    "compare": "RUN RUN ...        paired differences between runs, and what differs in their settings",
    "report": "RUN                rebuild report.html from a run's files",
    "doctor": "what this machine can do, and what stands in the way",
    "demo": "[--quick]          learn to see digits in a minute or two, with a report",
}
USAGE = "jepakit: learn by predicting embeddings.\n\nusage: jepakit COMMAND ...   (jepakit COMMAND --help for its options)\n\n"


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
        nearest = difflib.get_close_matches(name, COMMANDS, 1)
        return complain(
            f"There is no command {name!r}; " + (f"did you mean {nearest[0]!r}?" if nearest else "see jepakit --help.")
        )
    from jepakit.types import UserError

    try:
        return _VERBS[name](rest)
    except UserError as error:
        return complain(str(error))


def say(text: str) -> None:
    """Print to standard output."""
    sys.stdout.write(text + "\n")


def complain(sentence: str) -> int:
    """Print a user's error in one sentence; returns the status 2."""
    sys.stderr.write(f"jepakit: {sentence}\n")
    return 2


def _train(arguments: list[str]) -> int:
    import tyro

    from jepakit import commands
    from jepakit.recipes import RECIPES, ImageRecipe, find_recipe
    from jepakit.training.progress import make_progress
    from jepakit.types import UserError

    if not arguments or arguments[0].startswith("-"):
        say(f"usage: jepakit train RECIPE [--out DIR] [--option value ...]\n\nrecipes: {', '.join(RECIPES)}")
        if arguments and arguments[0] in ("-h", "--help"):
            return 0
        raise UserError("train needs the name of a recipe first.")
    default = find_recipe(arguments[0])()

    def typed(recipe: ImageRecipe, out: Path | None = None) -> tuple[ImageRecipe, Path | None]:
        return recipe, out

    typed.__annotations__["recipe"] = Annotated[ImageRecipe, tyro.conf.arg(name="")]
    typed.__defaults__ = (default, None)
    settings = (tyro.conf.AvoidSubcommands, tyro.conf.FlagConversionOff)
    recipe, out = tyro.cli(typed, args=arguments[1:], prog=f"jepakit train {arguments[0]}", config=settings)
    folder = out if out is not None else Path("runs") / recipe.recipe
    trained = commands.train(recipe, folder, make_progress())
    result = trained.result
    if result.interrupted_by is not None:
        say(
            f"Saved at step {result.step} of {recipe.training.num_steps} in {folder}; the same command goes on from there."
        )
        return 128 + result.interrupted_by
    say(f"Trained {result.step} steps in {result.seconds:.0f} s. Report: {folder}/report.html")
    say(f"Next: jepakit evaluate {folder} --final, or jepakit embed {folder} IMAGES out.npy")
    return 0


def _typed(function: Callable[..., Any], name: str, arguments: list[str]) -> Any:
    """Let tyro read the arguments of a function from its signature and docstring."""
    import tyro

    return tyro.cli(function, args=arguments, prog=f"jepakit {name}")


def _evaluate(arguments: list[str]) -> int:
    import tyro

    from jepakit import commands
    from jepakit.evaluation import Evaluation

    def evaluate(run: tyro.conf.Positional[Path], final: bool = False, checkpoint: str = "last") -> Evaluation:
        return commands.evaluate(run, final=final, checkpoint=checkpoint)

    evaluation = _typed(evaluate, "evaluate", arguments)
    say(_score_table(evaluation))
    return 0


def _score_table(evaluation: Any) -> str:
    lines = [f"accuracy on the {evaluation.protocol['split']} split (95% interval)"]
    for score in evaluation.scores:
        lines.append(f"  {score.name:10} {score.arm:24} {score.value:6.1%}  [{score.low:.1%}, {score.high:.1%}]")
    for gain in evaluation.gains:
        lines.append(
            f"  {gain.name:10} {gain.arm} - {gain.against}: {100 * gain.value:+.1f} points "
            f"[{100 * gain.low:+.1f}, {100 * gain.high:+.1f}], paired"
        )
    return "\n".join(lines)


def _embed(arguments: list[str]) -> int:
    import tyro

    from jepakit import commands

    def embed(
        model: tyro.conf.Positional[Path],
        images: tyro.conf.Positional[str],
        out: tyro.conf.Positional[Path],
        column: str | None = None,
    ) -> Any:
        return commands.embed(model, images, out, column=column)

    embedded = _typed(embed, "embed", arguments)
    say(
        f"Embedded {len(embedded.names)} images in {embedded.z.shape[1]} dimensions: {', '.join(map(str, embedded.files))}"
    )
    for skip in embedded.skipped:
        say(f"  skipped {skip.name}: {skip.reason}")
    return 0


def _compare(arguments: list[str]) -> int:
    import tyro

    from jepakit import commands

    def compare(runs: tyro.conf.Positional[tuple[Path, ...]], final: bool = False) -> Any:
        return commands.compare(runs, final=final)

    comparison = _typed(compare, "compare", arguments)
    say(_score_table(comparison.evaluation))
    for path, lines in comparison.settings.items():
        say(f"settings of {path}:\n" + "\n".join(f"  {line}" for line in lines))
    return 0


def _report(arguments: list[str]) -> int:
    import tyro

    from jepakit import commands

    def report(run: tyro.conf.Positional[Path]) -> Path:
        return commands.build_report(run)

    say(f"Report: {_typed(report, 'report', arguments)}")
    return 0


def _doctor(arguments: list[str]) -> int:
    from jepakit import commands

    for finding in _typed(commands.doctor, "doctor", arguments):
        say(f"  {finding.name:18} {finding.found}" + (f"   -> {finding.advice}" if finding.advice else ""))
    return 0


def _demo(arguments: list[str]) -> int:
    from jepakit import commands
    from jepakit.training.progress import make_progress

    def demo(out: Path = Path("runs/demo"), quick: bool = False) -> Any:
        return commands.demo(out, quick=quick, progress=make_progress())

    result = _typed(demo, "demo", arguments)
    image = result.summary["image"]
    for name, words in (
        ("linear_5shot", "JEPA"),
        ("raw_pixels_5shot", "raw pixels"),
        ("random_init_5shot", "random init"),
    ):
        say(f"  {words:12} {image[name]['value']:.1%} of test digits right with 5 labels a class")
    say(f"Summary: {result.summary_path}\nReport:  {result.report_path}")
    return 0


_VERBS: dict[str, Callable[[list[str]], int]] = {
    "train": _train,
    "evaluate": _evaluate,
    "embed": _embed,
    "compare": _compare,
    "report": _report,
    "doctor": _doctor,
    "demo": _demo,
}
