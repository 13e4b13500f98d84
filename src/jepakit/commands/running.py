"""Train a recipe, draw its pictures, score it, and write its report."""

from contextlib import suppress
from pathlib import Path

from jepakit.commands.forecasting import score_forecasts
from jepakit.commands.reaching import score_world
from jepakit.commands.scoring import PROBES, evaluate_method, is_scored
from jepakit.evaluation.probes import Probe
from jepakit.recipes import Recipe, SampleRecipe, WorldRecipe
from jepakit.recipes.coarse import learn_coarse_level, read_coarse_level
from jepakit.recipes.data import SeriesData
from jepakit.recipes.forecasting import feasible_horizons, is_record
from jepakit.recipes.pictures import save_pictures
from jepakit.recipes.pipeline import Trained
from jepakit.recipes.pipeline import train as run_recipe
from jepakit.recipes.reaching import learn_cost, read_cost
from jepakit.recipes.refining import refine_predictor
from jepakit.recipes.scoring import device_of
from jepakit.recipes.splits import read_health
from jepakit.report import build_experiment
from jepakit.report import build_report as write_report
from jepakit.report.thesis_records import RECORD
from jepakit.storage import Run
from jepakit.training import NonFiniteError
from jepakit.training.progress import Progress
from jepakit.types import UserError


def train(recipe: Recipe, out: Path | str | None = None, progress: Progress | None = None) -> Trained:
    """Train a recipe, then score it on its development split and write the report.

    The same call again goes on where it stopped, and does nothing twice. A loss that was not finite gets a report too.

    Args:
        recipe: What to run.
        out: The run directory; by default runs/RECIPE.
        progress: Where to show what happens; None shows nothing.

    Raises:
        UserError: The directory holds another run or is in use, the data cannot be read, or a loss was not finite.
    """
    run = Run(out if out is not None else default_folder(recipe))
    try:
        trained = run_recipe(recipe, run.path, progress)
    except NonFiniteError as error:
        if error.is_main:
            with suppress(UserError, OSError):  # what is to be said is why training stopped
                write_report(run)
        raise
    if not trained.is_main:
        return trained
    if isinstance(recipe, WorldRecipe):
        finish_world(trained, recipe, run, progress=progress)
    else:
        finish(trained, recipe, run, progress=progress)
    return trained


def default_folder(recipe: Recipe) -> Path:
    """Return where a recipe's run lies unless said otherwise."""
    return Path("runs") / recipe.recipe


def finish(
    trained: Trained,
    recipe: SampleRecipe,
    run: Run,
    *,
    final: bool = False,
    probes: tuple[Probe, ...] = PROBES,
    progress: Progress | None = None,
) -> Path:
    """Draw, score and report a run that training has left; returns where the report is.

    Args:
        trained: What training left; it is scored if it came to its end and has not been scored yet.
        recipe: What was run.
        run: Where it lies.
        final: Score on the test split instead of the development split.
        probes: Which probes to score by.
        progress: Where to say that scoring begins, which may take a while; None says nothing.
    """
    step, sources = trained.result.step, trained.sources
    assert sources is not None  # of a recipe on samples
    try:
        if not is_scored(run, step, final=final):
            method = trained.method.eval()
            channels, workers = method.preprocess.channels, recipe.training.num_workers
            samples = read_health(sources, recipe.data, channels, workers)
            save_pictures(run, method, samples.to(device_of(method)))
            if step == recipe.training.num_steps:
                if progress is not None:
                    progress.say(f"scoring on the {'test' if final else 'development'} split ...")
                which = {"checkpoint": "last", "step": step}
                if isinstance(recipe.data, SeriesData) and is_record(recipe.data):
                    horizons = feasible_horizons(recipe.data)
                    if horizons:
                        score_forecasts(method, recipe.data, run, which, final=final, horizons=horizons)
                else:
                    evaluate_method(method, sources, recipe.data, run, which, final=final, probes=probes)
    finally:
        report = write_report(run)  # what there is, also where scoring failed
    return report


def finish_world(
    trained: Trained,
    recipe: WorldRecipe,
    run: Run,
    *,
    final: bool = False,
    episodes: int | None = None,
    progress: Progress | None = None,
) -> Path:
    """Learn what follows training (predictor, cost), reach for goals, and report; returns where the report is.

    Args:
        trained: What training left; it is evaluated if it came to its end and has not been yet.
        recipe: What was run.
        run: Where it lies.
        final: Take the test manifest instead of the development manifest.
        episodes: Only so many of the manifest's.
        progress: Where to say what begins; None says nothing.
    """
    step, method = trained.result.step, trained.method.eval()
    say = progress.say if progress is not None else _nothing
    try:
        if step == recipe.training.num_steps and not is_scored(run, step, final=final):
            if recipe.refining is not None:
                say("letting the predictor learn on, from stored embeddings ...")
            refine_predictor(method, recipe, run)
            if recipe.planning.learned.num_steps:
                say("learning how far goals are, from time alone ...")
            learn_cost(method, recipe, run)
            if recipe.planning.coarse is not None:
                say("learning where macro-actions lead ...")
            learn_coarse_level(method, recipe, run)
            coarse = read_coarse_level(method, recipe, run)
            cost = read_cost(recipe.planning, run, device_of(method))
            say(f"reaching the goals of the {'test' if final else 'development'} manifest ...")
            which = {"checkpoint": "last", "step": step}
            score_world(method, recipe, cost, run, which, final=final, episodes=episodes, coarse=coarse)
    finally:
        report = write_report(run)  # what there is, also where an evaluation failed
    return report


def _nothing(words: str) -> None:
    """Say nothing."""


def build_report(run: Path | str) -> Path:
    """Rebuild the report of a run, or the page of an experiment, from its files; returns where it is.

    Raises:
        UserError: The folder is neither.
    """
    if (Path(run) / RECORD).is_file():
        return build_experiment(run)
    directory = Run(run)
    directory.config()
    return write_report(directory)
