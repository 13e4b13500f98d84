"""Train a recipe, draw its pictures, score it, and write its report."""

from pathlib import Path

from jepakit.collectives import rank
from jepakit.commands.scoring import evaluate_method
from jepakit.recipes import ImageRecipe
from jepakit.recipes.pictures import save_pictures
from jepakit.recipes.pipeline import Trained
from jepakit.recipes.pipeline import train as run_recipe
from jepakit.recipes.splits import read_health
from jepakit.report import build_report as write_report
from jepakit.storage import Run
from jepakit.training.progress import Progress


def train(recipe: ImageRecipe, out: Path | str | None = None, progress: Progress | None = None) -> Trained:
    """Train a recipe, then score it on its development split and write the report.

    The same call again goes on where it stopped, and does nothing twice.

    Args:
        recipe: What to run.
        out: The run directory; by default runs/RECIPE.
        progress: Where to show what happens; None shows nothing.

    Raises:
        UserError: The directory holds another run or is in use, the data cannot be read, or a loss was not finite.
    """
    folder = Path(out) if out is not None else Path("runs") / recipe.recipe
    trained = run_recipe(recipe, folder, progress)
    if rank() == 0:
        finish(trained, recipe, Run(folder))
    return trained


def finish(trained: Trained, recipe: ImageRecipe, run: Run) -> None:
    """Draw, score and report a run that training has left."""
    method = trained.method.eval()
    channels, workers = method.preprocess.channels, recipe.training.num_workers
    device = next(method.parameters()).device
    save_pictures(run, method, read_health(trained.sources, recipe.data, channels, workers).to(device))
    if trained.result.step == recipe.training.num_steps:
        evaluate_method(method, trained.sources, recipe.data, run)
    write_report(run)


def build_report(run: Path | str) -> Path:
    """Rebuild the report of a run from its files; returns where it is.

    Raises:
        UserError: The folder is no run directory.
    """
    directory = Run(run)
    directory.config()
    return write_report(directory)
