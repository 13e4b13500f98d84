"""Score the forecasts of a run on a record beside its floors, on the development part, or once on the test part."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jepakit.hub import load
from jepakit.recipes.data import SeriesData, data_from
from jepakit.recipes.forecasting import HORIZONS, forecast, is_record
from jepakit.recipes.pictures import save_arrays
from jepakit.report import build_report
from jepakit.storage import Run, append_line, refuse_shipped, write_json
from jepakit.training.precision import choose_device
from jepakit.types import UserError


def is_record_run(run: Run) -> bool:
    """Return whether a run learned from one record over time, whose future can be forecast."""
    stored = run.config().get("data") if run.file("config.json").exists() else None
    return isinstance(stored, Mapping) and stored.get("class") == SeriesData.__name__ and is_record(data_from(stored))


def evaluate_forecasts(
    run: Path | str,
    *,
    final: bool = False,
    checkpoint: str = "last",
    horizons: Sequence[int] = HORIZONS,
    season: int | None = None,
) -> dict[str, Any]:
    """Forecast a run's record from its frozen encoder, beside random init, linear models and repetition of the past.

    Writes evaluation.json, arrays of some forecasts, and rebuilds report.html; returns what evaluation.json says.

    Args:
        run: The run directory.
        final: Forecast the test part, and keep the record for good in final-records.jsonl; otherwise the development
            part, on which every choice is made.
        checkpoint: `last` or `healthy`.
        horizons: Moments ahead, each a task of its own.
        season: Moments after which the seasonal forecast repeats itself; by default a day of the stamps, or a week.

    Raises:
        UserError: The run learned from no record, has no checkpoint, or a horizon does not fit into its parts.
    """
    refuse_shipped(run)
    directory = Run(run)
    model = load(directory.path, checkpoint=checkpoint, device=choose_device("auto"))
    if "step" not in model.description or not is_record_run(directory):
        raise UserError(f"{directory.path} is no run on a record over time, so there is no future to forecast.")
    data = data_from(model.description["data"])
    assert isinstance(data, SeriesData)
    which = {name: model.description[name] for name in ("checkpoint", "step")}
    told = score_forecasts(model.method, data, directory, which, final=final, horizons=horizons, season=season)
    build_report(directory)
    return told


def score_forecasts(
    method: Any,
    data: SeriesData,
    run: Run,
    which: Mapping[str, Any],
    *,
    final: bool = False,
    horizons: Sequence[int] = HORIZONS,
    season: int | None = None,
) -> dict[str, Any]:
    """Score the forecasts of a method in memory, write evaluation.json and the arrays that are drawn.

    Args:
        method: The method, in eval mode.
        data: The run's record.
        run: Where to write.
        which: The method's `checkpoint` and `step`, noted with the record.
        final: As in `evaluate_forecasts`.
        horizons: As in `evaluate_forecasts`.
        season: As in `evaluate_forecasts`.

    Raises:
        UserError: A horizon does not fit.
    """
    start = time.perf_counter()
    made = forecast(method, data, final=final, horizons=horizons, season=season)
    record = made.record | dict(which) | {"seconds": round(time.perf_counter() - start, 1)}
    write_json(run.file("evaluation.json"), record)
    save_arrays(run, "forecasts", made.arrays)
    if final:
        append_line(run.file("final-records.jsonl"), record)
    return record
