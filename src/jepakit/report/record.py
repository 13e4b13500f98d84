"""Tell what made a run: the facts under the title, every setting, and what the page lacks with the command for it."""

import json
import shlex
from collections.abc import Mapping
from typing import Any

from jepakit.report.material import Material
from jepakit.report.wording import duration, finite, number


def facts(material: Material) -> list[tuple[str, str]]:
    """Return the few facts that stand under the title, as (label, value)."""
    row = material.train[-1] if material.train else {}
    seconds, pace = finite(row.get("seconds")), finite(row.get("images_per_s"))
    found = [
        ("method", as_text(material.section("method").get("class")).removesuffix("Config")),
        ("data", as_text(material.section("data").get("train"))),
        ("world", as_text(material.world.get("class")).removesuffix("Config")),
        ("seed", as_text(material.config.get("seed"))),
        ("steps", progress(material)),
        ("training", "" if seconds is None else duration(seconds)),
        ("pace", "" if pace is None else f"{number(round(pace))} {'clips' if material.is_world else 'images'}/s"),
        ("on", as_text(material.env.get("device"))),
        ("started", as_text(material.env.get("started"))[:16].replace("T", " ")),
    ]
    return [(label, value) for label, value in found if value]


def progress(material: Material) -> str:
    """Return how many steps were done, and of how many where some are missing."""
    last, total = material.last_step, material.num_steps
    if last is None:
        return f"0 of {total:,}" if total else ""
    return f"{last:,} of {total:,}, unfinished" if total and last < total else f"{last:,}"


def failures(material: Material) -> list[str]:
    """Return a sentence for each recorded step that was not finite and that training has not gone past since."""
    last = max((float(row["step"]) for row in material.train), default=0.0)
    sentences = []
    for failure in material.failures:
        if (finite(failure.get("step")) or 0.0) >= last:
            culprits = [f"{name} was {value}" for name, value in failure.items() if isinstance(value, str)]
            why = f" ({', '.join(culprits)})" if culprits else ""
            sentences.append(f"Training stopped: step {number(failure.get('step'))} was not finite{why}.")
    return sentences


def settings(config: Mapping[str, Any]) -> list[tuple[str, list[tuple[str, str]]]]:
    """Return the configuration as groups of (dotted name, value): one for each nested part, one for all else."""
    groups: dict[str, list[tuple[str, str]]] = {}
    for key, value in config.items():
        nested = isinstance(value, dict)
        pairs = _flat(value, "") if nested else [(key, _shown(value))]
        groups.setdefault(key if nested else "run", []).extend(pairs)
    return list(groups.items())


def flat_settings(config: Mapping[str, Any]) -> dict[str, str]:
    """Return every setting by its dotted name."""
    return dict(_flat(config, ""))


def _flat(values: Mapping[str, Any], prefix: str) -> list[tuple[str, str]]:
    pairs = []
    for key, value in values.items():
        name = f"{prefix}{key}"
        pairs += _flat(value, f"{name}.") if isinstance(value, dict) else [(name, _shown(value))]
    return pairs


def _shown(value: Any) -> str:
    return "none" if value is None else as_text(value)


def as_text(value: Any) -> str:
    """Return a JSON value as one reads it in a file; nothing for a missing one."""
    if value is None or isinstance(value, str):
        return value or ""
    return json.dumps(value, ensure_ascii=False)


def missing(material: Material, *, has_verdict: bool) -> list[tuple[str, str]]:
    """Return what the page could show and does not, with the command that would add it."""
    where = shlex.quote(str(material.path))
    recipe = shlex.quote(as_text(material.config.get("recipe")) or "RECIPE")
    train, evaluate = f"jepakit train {recipe} --out {where}", f"jepakit evaluate {where}"
    lacking = [
        (not material.config, "The configuration is missing, so this is no complete run.", train),
        (not material.train, "There is no training log.", train),
        (not has_verdict, "There is no verdict: health was never measured.", train),
        (not material.artifacts, "There are no pictures: they are stored when training ends.", train),
        (
            material.evaluation is None,
            "Nothing was played: how often goals are reached is not known."
            if material.is_world
            else "There are no probe scores: what the features are worth is not known.",
            evaluate,
        ),
    ]
    return [(sentence, command) for lacks, sentence, command in lacking if lacks]
