"""Build report.html: one page, complete in itself, from the files of a run directory and nothing else."""

import shlex
from pathlib import Path
from typing import Any

from jepakit.report.anomalies import record_section
from jepakit.report.curves import health_curves, training_panels
from jepakit.report.diagnosis import diagnosis
from jepakit.report.forecasts import forecast_section
from jepakit.report.gallery import galleries, neighbours
from jepakit.report.glossary import TERMS, WORLD_TERMS
from jepakit.report.journeys import journeys
from jepakit.report.material import Material, read
from jepakit.report.record import as_text, facts, failures, missing, settings
from jepakit.report.robustness import COLUMNS, robustness_curves
from jepakit.report.scores import probe_tables
from jepakit.report.surprise import surprise_section
from jepakit.report.templates import render, write_page
from jepakit.report.verdicts import verdicts
from jepakit.report.wording import spaced
from jepakit.report.worlds import goals
from jepakit.storage import Run
from jepakit.types import UserError


def build_report(run: Run | Path | str) -> Path:
    """Write report.html of a run from its files, in one step, and return its path.

    Args:
        run: The run, or its directory. Files that are missing or damaged leave a sentence in the page.

    Raises:
        UserError: There is no such directory, or the disk is full.
    """
    path = Path(run)
    if not path.is_dir():
        raise UserError(f"{path} is no directory: a report is built from a run's files; give the --out of a training.")
    return write_page(path / "report.html", render("page.html", page_content(read(run))))


def page_content(material: Material) -> dict[str, Any]:
    """Return all that the page of one run shows."""
    told = verdicts(material)
    probes, reached = probe_tables(material.evaluation), goals(material.evaluation)
    shown = reached or probes
    terms = [*TERMS.values(), *(WORLD_TERMS.values() if material.is_world else ())]
    return {
        "name": material.name,
        "facts": facts(material),
        "verdict": told[-1] if told else None,
        "verdict_path": told,
        "failures": failures(material),
        "training": training_panels(material),
        "health": health_curves(material),
        "galleries": galleries(material) + journeys(material),
        "neighbours": neighbours(material),
        "headline": shown.headline if shown else None,
        "headline_of": ("goals reached at the last step" if reached else "accuracy", shown.split_name if shown else ""),
        "goals": reached,
        "diagnosis": diagnosis(material.evaluation),
        "surprise": surprise_section(material) or record_section(material),
        "seen": "frames" if material.is_world else "images",
        "probes": probes,
        "forecasts": forecast_section(material),
        "robustness": robustness_curves(material.evaluation),
        "robustness_columns": COLUMNS,
        "skipped": material.skipped,
        "command": as_text(material.env.get("command")),
        "environment": [(spaced(key), as_text(value)) for key, value in material.env.items() if key != "command"],
        "settings": settings(material.config),
        "terms": sorted(terms, key=lambda term: term.label.lower()),
        "missing": missing(material, has_verdict=bool(told)),
        "troubles": material.troubles,
        "rebuild": f"jepakit report {shlex.quote(str(material.path))}",
    }
