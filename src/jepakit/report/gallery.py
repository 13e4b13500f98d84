"""Make the pictures of a run: what was hidden and asked, what patches mean, where it is surprised, what is alike."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from jepakit.report.material import Arrays, Material
from jepakit.report.pictures import Canvas, heat
from jepakit.report.wording import NOT_FINITE, number

MOST_PAIRS = 8
REEL_WIDTH = 400
MOST_TRIPLES = 6
MOST_NEIGHBOURS = 8
MOST_QUESTIONS = 6
MOST_VIEWS = 6


@dataclass(frozen=True)
class Card:
    """Hold pictures that belong together, side by side, a second row of them where there is one, and a line below."""

    pictures: list[Markup]
    caption: str = ""
    below: list[Markup] = field(default_factory=list)


@dataclass(frozen=True)
class Gallery:
    """Hold one section of pictures.

    Args:
        name: Anchor in the page.
        title: Heading.
        short: Heading among others.
        lead: What is shown and what to look for.
        cards: The pictures.
        card_width: Least width of a card in CSS pixels.
        questions: How many differently coloured questions the pictures show; 0 where colours mean nothing.
        scale: (low, high) of the heat colours, as text.
        scale_of: The term that they show.
        legend: (label, style, kind) of what is drawn over the pictures.
        is_reel: Whether pictures are strips of film, which stand below each other.
    """

    name: str
    title: str
    short: str
    lead: str
    cards: list[Card]
    card_width: int = 212
    questions: int = 0
    scale: tuple[str, str] | None = None
    scale_of: str = "energy"
    legend: list[tuple[str, int, str]] = field(default_factory=list)
    is_reel: bool = False


@dataclass(frozen=True)
class Neighbours:
    """Hold one query with its nearest images: (picture, name, similarity); of clips these are strips of film."""

    query: Markup
    name: str
    found: list[tuple[Markup, str, str]] = field(default_factory=list)
    is_reel: bool = False


def galleries(material: Material) -> list[Gallery]:
    """Return the picture sections whose arrays are there, in reading order."""
    makers = {
        "masks": _masks,
        "views": _views,
        "reconstruction": _reconstruction,
        "features": _features,
        "energy": _energy,
    }
    made = [(make(material.artifacts[name]), name) for name, make in makers.items() if name in material.artifacts]
    return [
        replace(one, is_reel=True, card_width=REEL_WIDTH) if is_reel(material.artifacts[name]["image"]) else one
        for one, name in made
    ]


def is_reel(images: NDArray[Any]) -> bool:
    """Return whether pictures (n, h, w, c) are strips of film: three times as wide as high, or more."""
    return bool(images.shape[2] >= 3 * images.shape[1])


def some_of(total: int, most: int) -> str:
    """Say how many of the stored samples are shown, where not all are."""
    return f" Shown are {most} of {total:,}." if total > most else ""


def _masks(arrays: Arrays) -> Gallery:
    images, context, targets = arrays["image"], arrays["context"].astype(bool), arrays["targets"].astype(bool)
    num_questions = min(MOST_QUESTIONS, targets.shape[1])
    cards = []
    for i, image in enumerate(images[:MOST_PAIRS]):
        asked = Canvas(image, f"image {i + 1} with what is asked about")
        for question in range(num_questions):
            asked.outline(targets[i, question], question, inset=1.4 + 1.1 * question)
        seen = Canvas(image, f"what the encoder sees of image {i + 1}").veil(~context[i])
        cards.append(Card([seen.markup(), asked.markup()], f"{context[i].mean():.0%} is shown"))
    region = "each outlined region, one colour per question" if num_questions > 1 else "the outlined patches"
    lead = (
        "First, all that the encoder is shown; the rest is covered. Then, what the predictor is asked about: the "
        f"embedding of {region}.{some_of(len(images), MOST_PAIRS)}"
    )
    return Gallery("masks", "What is hidden, what is asked", "Masks", lead, cards, questions=num_questions)


def _views(arrays: Arrays) -> Gallery:
    num_views = min(MOST_VIEWS, arrays["views"].shape[1])
    most = MOST_TRIPLES if num_views == 2 else MOST_PAIRS
    cards = []
    for i, image in enumerate(arrays["image"][:most]):
        views = [Canvas(v, f"view of image {i + 1}").markup() for v in arrays["views"][i][:num_views]]
        cards.append(Card([Canvas(image, f"image {i + 1}").markup(), *views]))
    lead = (
        "Each image as it is, then the views that training makes of it. What differs between them, the embedding "
        f"learns to ignore or is told about.{some_of(len(arrays['image']), most)}"
    )
    return Gallery("views", "The views it learns from", "Views", lead, cards, card_width=84 * (1 + num_views))


def _reconstruction(arrays: Arrays) -> Gallery:
    rows = zip(*(arrays[name][:MOST_TRIPLES] for name in ("image", "masked", "predicted")), strict=True)
    labels = ("image {}", "what is shown of image {}", "image {} as predicted")
    cards = [
        Card([Canvas(image, label.format(i)).markup() for image, label in zip(row, labels, strict=True)])
        for i, row in enumerate(rows, 1)
    ]
    lead = (
        "The image, what the model is shown of it, and the pixels that it predicts."
        f"{some_of(len(arrays['image']), MOST_TRIPLES)}"
    )
    return Gallery("reconstruction", "What it fills in", "Predicted pixels", lead, cards, card_width=300)


def _features(arrays: Arrays) -> Gallery:
    cards = []
    for i, image in enumerate(arrays["image"][:MOST_TRIPLES]):
        colours = np.clip(np.nan_to_num(arrays["pca"][i].astype(np.float64)), 0.0, 1.0)
        plain = Canvas(image, f"image {i + 1}")
        alone = Canvas(image, f"patch features of image {i + 1}").add_pixels(colours, smooth=False)
        over = Canvas(image, f"patch features over image {i + 1}").add_pixels(colours, 0.6, smooth=True)
        cards.append(Card([plain.markup(), alone.markup(), over.markup()]))
    lead = (
        "Patch features as colours: their three main directions over all images become red, green and blue. Look for "
        "like colours on like parts, across images; the same pattern in every image means that the encoder only knows "
        f"where.{some_of(len(arrays['image']), MOST_TRIPLES)}"
    )
    return Gallery("features", "What the patches mean to it", "Features", lead, cards, card_width=300)


def _energy(arrays: Arrays) -> Gallery:
    energy: NDArray[Any] = arrays["energy"].astype(np.float64)
    asked = np.isfinite(energy)
    low, high = (float(energy[asked].min()), float(energy[asked].max())) if asked.any() else (0.0, 1.0)
    cards = []
    for i, image in enumerate(arrays["image"][:MOST_PAIRS]):
        over = Canvas(image, f"energy over image {i + 1}").add_pixels(heat(energy[i], low, high), 0.8, smooth=False)
        mean = float(energy[i][asked[i]].mean()) if asked[i].any() else None
        pair = [Canvas(image, f"image {i + 1}").markup(), over.veil(~asked[i]).markup()]
        cards.append(Card(pair, f"mean {number(mean)}"))
    lead = (
        "Mean energy of each position when it was hidden: yellow was hard to predict from the rest, blue was easy. "
        f"Look for surprise on the subject rather than the background.{some_of(len(energy), MOST_PAIRS)}"
    )
    return Gallery("energy", "Where it is surprised", "Energy", lead, cards, scale=(number(low), number(high)))


def neighbours(material: Material) -> list[Neighbours]:
    """Return each stored query with its nearest images; empty where none were stored."""
    arrays = material.artifacts.get("neighbours")
    if arrays is None:
        return []
    k = min(MOST_NEIGHBOURS, arrays["neighbours"].shape[1], arrays["similarity"].shape[1])
    rows = []
    for i, query in enumerate(arrays["query"][:MOST_PAIRS]):
        found = []
        for j in range(k):
            name, similarity = _name(arrays.get("names"), i, j), float(arrays["similarity"][i, j])
            drawn = Canvas(arrays["neighbours"][i, j], name or f"neighbour {j + 1} of image {i + 1}")
            found.append((drawn.markup(), name, NOT_FINITE if not np.isfinite(similarity) else f"{similarity:.3f}"))
        name = _name(arrays.get("query_names"), i)
        picture = Canvas(query, name or f"query {i + 1}").markup()
        rows.append(Neighbours(picture, name, found, is_reel(arrays["query"])))
    return rows


def _name(names: NDArray[Any] | None, *index: int) -> str:
    """Return the stored name of an image; empty where there is none."""
    if names is None or names.ndim != len(index) or any(i >= size for i, size in zip(index, names.shape, strict=True)):
        return ""
    return str(names[index])
