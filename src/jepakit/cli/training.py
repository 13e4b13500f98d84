"""Verbs that train: `train`, `demo` and `experiment`."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from jepakit.cli.parsing import described, parse
from jepakit.cli.printing import say


def train(arguments: list[str]) -> int:
    """Train a recipe, going on where the same command stopped; say where the report is and what to do next."""
    import tyro

    from jepakit import commands
    from jepakit.commands.cautions import collapse
    from jepakit.commands.running import default_folder
    from jepakit.recipes import RECIPES, ImageRecipe, WorldRecipe, find_recipe
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

    chosen = parse(
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
        what = "IMAGES" if isinstance(recipe, ImageRecipe) else "FILE"
        use = f"jepakit plan {folder}" if isinstance(recipe, WorldRecipe) else f"jepakit embed {folder} {what} out.npy"
        following = f"Next: jepakit evaluate {folder} --final, or {use}"
        words = (
            f"Trained {result.step} steps in {result.seconds:.0f} s. Report: {folder}/report.html\n"
            f"{collapse(Run(folder)) or following}"
        )
    if trained.is_main:
        say(words)
    return status


def experiment(arguments: list[str]) -> int:
    """Carry out an experiment, computing what is missing of it; print what was found and where the page is."""
    import tyro

    from jepakit import commands

    def asked(
        name: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="NAME")],
        out: Path | None = None,
        seeds: int = 5,
        full: bool = False,
    ) -> Any:
        return name, out, {"seeds": seeds, "full": full}

    name, out, options = parse(described(asked, commands.experiment), "experiment", arguments)
    page, found = commands.experiment(name, out, **options, say=say)
    say(f"{found.label}. {found.sentence}")
    for line in found.evidence:
        say(f"  {line}")
    say(f"Report: {page}")
    return 0


def demo(arguments: list[str]) -> int:
    """Show what the library does: digits, then a world; print the scores beside their floors."""
    from jepakit import commands
    from jepakit.training.progress import make_progress

    def asked(out: Path = Path("runs/demo"), quick: bool = False) -> Any:
        return partial(commands.demo, out, quick=quick)

    result = parse(described(asked, commands.demo), "demo", arguments)(progress=make_progress())
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
