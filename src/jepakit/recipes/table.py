"""Find recipes by name in one literal table, or in a user's own file where the path is given outright."""

import importlib.util
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from jepakit.nearest import nearest
from jepakit.recipes import agents, audio, cifar, digits, mazes, published, series, swm, tables, two_rooms, video
from jepakit.recipes.agent import AgentRecipe
from jepakit.recipes.config import ImageRecipe, Recipe, SignalRecipe, VideoRecipe, WorldRecipe
from jepakit.recipes.pixels_vs_embeddings import pixels_vs_embeddings
from jepakit.types import UserError

RECIPES: dict[str, Callable[[], Recipe]] = {
    "digits-transform": digits.digits_transform,
    "digits-ijepa": digits.digits_ijepa,
    "digits-ijepa-sigreg": digits.digits_ijepa_sigreg,
    "digits-lejepa": digits.digits_lejepa,
    "digits-vicreg": digits.digits_vicreg,
    "digits-pixels": digits.digits_pixels,
    "small-transform": cifar.small_transform,
    "small-ijepa": cifar.small_ijepa,
    "small-ijepa-sigreg": cifar.small_ijepa_sigreg,
    "small-lejepa": cifar.small_lejepa,
    "small-vicreg": cifar.small_vicreg,
    "small-pixels": cifar.small_pixels,
    "series-ijepa": series.series_ijepa,
    "series-ijepa-sigreg": series.series_ijepa_sigreg,
    "series-future": series.series_future,
    "series-values": series.series_values,
    "series-watch": series.series_watch,
    "table-ijepa": tables.table_ijepa,
    "table-values": tables.table_values,
    "audio-transform": audio.audio_transform,
    "audio-ijepa": audio.audio_ijepa,
    "audio-values": audio.audio_values,
    "audio-wave": audio.audio_wave,
    "video-vjepa": video.video_vjepa,
    "video-future": video.video_future,
    "video-pixels": video.video_pixels,
    "two-rooms-fixed": two_rooms.two_rooms_fixed,
    "two-rooms-fixed-pixels": two_rooms.two_rooms_fixed_pixels,
    "two-rooms-fixed-random-encoder": two_rooms.two_rooms_fixed_random_encoder,
    "two-rooms-random": two_rooms.two_rooms_random,
    "swm-two-room": swm.swm_two_room,
    "point-maze": mazes.point_maze,
    "cifar10-ebjepa": published.cifar10_ebjepa,
    "ijepa-vith14": published.ijepa_vith14,
    "ijepa-vitg16": published.ijepa_vitg16,
    "lejepa-vitl14": published.lejepa_vitl14,
}


AGENTS: dict[str, Callable[[], AgentRecipe]] = {"maze-agent": agents.maze_agent}

EXPERIMENTS = {"pixels-vs-embeddings": pixels_vs_embeddings}


def find_recipe(name: str) -> Callable[[], Recipe]:
    """Return the function of a recipe: a name of the table, or `path/to/file.py:function`.

    Raises:
        UserError: There is no such recipe (the nearest name is given), file or function.
    """
    return _found(
        name,
        RECIPES,
        (ImageRecipe, SignalRecipe, VideoRecipe, WorldRecipe),
        "recipe",
        "an ImageRecipe, a SignalRecipe, a VideoRecipe or a WorldRecipe",
    )


def find_agent(name: str) -> Callable[[], AgentRecipe]:
    """Return the function of an agent's recipe, as `find_recipe` does.

    Raises:
        UserError: There is no such agent (the nearest name is given), file or function.
    """
    return _found(name, AGENTS, (AgentRecipe,), "agent", "an AgentRecipe")


def find_experiment(name: str) -> Callable[..., dict[str, Any]]:
    """Return the function that carries out an experiment.

    Raises:
        UserError: There is no such experiment (the nearest name is given).
    """
    if name in EXPERIMENTS:
        return EXPERIMENTS[name]
    raise UserError(f"There is no experiment {name!r}; {_hint(name, EXPERIMENTS)}")


def _hint(name: str, table: Mapping[str, Any]) -> str:
    """Return the end of a sentence on an unknown name: the nearest one, or all."""
    near = nearest(name, table, cutoff=0.4)
    return f"did you mean {near!r}?" if near else f"known are {', '.join(table)}."


def _found(
    name: str, table: Mapping[str, Callable[[], Any]], kinds: tuple[type, ...], what: str, kinds_in_words: str
) -> Callable[[], Any]:
    """Return what a table or a user's own file has under a name."""
    if name in table:
        return table[name]
    path, colon, function = name.rpartition(":")
    if colon and path.endswith(".py"):
        return _from_file(Path(path), function, kinds, kinds_in_words)
    if name.endswith(".py"):
        raise UserError(f"{name!r} is a file; name the function in it that returns the recipe, as in {name}:function.")
    raise UserError(f"There is no {what} {name!r}; {_hint(name, table)}")


def _from_file(path: Path, function: str, kinds: tuple[type, ...], kinds_in_words: str) -> Callable[[], Any]:
    """Run a user's own file, which the user named outright, and return its function."""
    name = f"jepakit_recipe_{path.stem}"  # no name of a library, so that the file can be called like one
    spec = importlib.util.spec_from_file_location(name, path)
    if not path.is_file() or spec is None or spec.loader is None:
        raise UserError(f"{path} does not exist; give a recipe's name or path/to/file.py:function.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses of the file look themselves up there
    spec.loader.exec_module(module)
    recipe = vars(module).get(function)
    if not callable(recipe):
        defined = [name for name, value in vars(module).items() if callable(value) and not name.startswith("_")]
        near = nearest(function, defined)
        hint = f"; did you mean {near!r}?" if near else "."
        raise UserError(f"{path} defines no function {function!r}{hint}")

    def build() -> Any:
        built = recipe()
        if not isinstance(built, kinds):
            raise UserError(f"{function} of {path} must return {kinds_in_words}, got {type(built).__name__}.")
        return built

    return build
