"""Make the pictures of a world: ways gone and imagined, rounds of a search, the cost over the room, rollouts."""

import xml.etree.ElementTree as ET
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from jepakit.report.animation import animated
from jepakit.report.gallery import Card, Gallery, some_of
from jepakit.report.material import Arrays, Material
from jepakit.report.pictures import Canvas
from jepakit.report.rooms import Room
from jepakit.report.wording import number

MOST_EPISODES = 6
MOST_SEARCHES = 3
MOST_ROUNDS = 6
MOST_ROLLOUTS = 3
MOST_FRAMES = 9
GONE, IMAGINED, GOAL = 0, 1, 2
"""The line styles of the ways and the goal."""


def journeys(material: Material) -> list[Gallery]:
    """Return the picture sections of a world whose arrays are there, in reading order."""
    made = []
    episodes = material.artifacts.get("episodes")
    if episodes is not None:
        made += [_paths(episodes), _animation(episodes)]
        made += [_elites(episodes)] if "elites" in episodes else []
    if "distance" in material.artifacts:
        made.append(_distance(material.artifacts["distance"]))
    if "rollout" in material.artifacts:
        made.append(_rollout(material.artifacts["rollout"]))
    return made


def _outcome(arrays: Arrays, i: int) -> str:
    """Say how an episode ended."""
    if arrays["reached"][i]:
        return "reached its goal"
    away = float(np.linalg.norm(arrays["path"][i, -1].astype(float) - arrays["goal"][i].astype(float)))
    return f"failed, {_rough(away)} pixels away" if np.isfinite(away) else "failed"


def _outcomes(reached: NDArray[Any]) -> tuple[list[int], list[int]]:
    """Return the episodes that reached their goal and those that did not."""
    return np.flatnonzero(reached).tolist(), np.flatnonzero(~reached.astype(bool)).tolist()


def _mixed(reached: NDArray[Any], most: int) -> list[int]:
    """Return which episodes are shown: successes first, then failures, of each half where there are so many."""
    won, lost = _outcomes(reached)
    num_lost = min(len(lost), max(most // 2, most - len(won)))
    return won[: most - num_lost] + lost[:num_lost]


def _ahead(arrays: Arrays, i: int) -> NDArray[Any]:
    """Return the first plan's places, from where the episode begins."""
    ahead: NDArray[Any] = np.concatenate((arrays["path"][i, :1], arrays["imagined"][i]))
    return ahead


def _paths(arrays: Arrays) -> Gallery:
    shown = _mixed(arrays["reached"], MOST_EPISODES)
    cards = []
    for i in shown:
        room = Room(arrays["frames"][i, 0], f"way of episode {i + 1}, which {_outcome(arrays, i)}")
        room.way(arrays["path"][i], GONE).way(_ahead(arrays, i), IMAGINED, "ahead")
        room.mark(arrays["path"][i, -1], GONE, "spot", 2.6).mark(arrays["goal"][i], GOAL, "ring", 4.5)
        cards.append(Card([room.markup()], _outcome(arrays, i)))
    num = int(arrays["reached"].astype(bool).sum())
    lead = (
        "The way that was gone, what the model imagined at the first decision, and the goal. The imagined places are "
        "read off predicted embeddings by a linear probe, for viewing only; planning never sees them. Of these "
        f"{len(arrays['reached'])} episodes, chosen to show both outcomes where there are both, {num} reached the goal."
        f"{some_of(len(arrays['reached']), len(shown))}"
    )
    legend = [("gone", GONE, "gone"), ("imagined at first", IMAGINED, "ahead"), ("goal", GOAL, "ring")]
    return Gallery("paths", "Where it went", "Paths", lead, cards, card_width=190, legend=legend)


def _animation(arrays: Arrays) -> Gallery:
    chosen = [group[0] for group in _outcomes(arrays["reached"]) if group]
    lead = (
        "The way gone, the goal, and as dots what the model imagines of the plan that it follows. Watch "
        "whether the dots go where the way then goes."
    )
    cards = [Card([_moving(arrays, i)], f"episode {i + 1}, which {_outcome(arrays, i)}") for i in chosen]
    legend = [("gone", GONE, "gone"), ("imagined", IMAGINED, "dots"), ("goal", GOAL, "ring")]
    return Gallery("animation", "Episodes with their plans", "Animation", lead, cards, card_width=320, legend=legend)


def _moving(arrays: Arrays, i: int) -> Markup:
    """Return the animation of an episode as an image element."""
    frames, path = arrays["frames"][i], arrays["path"][i]
    even = np.linspace(0, len(path) - 1, len(frames))
    steps = np.clip(np.nan_to_num(arrays.get("frame_step", even)), 0, len(path) - 1).astype(int)
    plans = arrays["plans"][i] if "plans" in arrays else arrays["imagined"][i : i + 1]
    begun = arrays.get("plan_step", np.arange(len(plans)) * len(path) / len(plans))
    now = [max(int((begun <= step).sum()) - 1, 0) for step in steps]
    uri = animated(frames, steps, path, arrays["goal"][i], [plans[p] for p in now])
    label = f"animation of episode {i + 1}, which {_outcome(arrays, i)}"
    return Markup(ET.tostring(ET.Element("img", {"class": "picture moving", "src": uri, "alt": label}), "unicode"))


def _elites(arrays: Arrays) -> Gallery:
    elites = arrays["elites"]
    rounds = _spaced(elites.shape[1], MOST_ROUNDS)
    shown = _mixed(arrays["reached"], MOST_SEARCHES)
    cards = []
    for i in shown:
        pictures = []
        for j in rounds:
            room = Room(arrays["frames"][i, 0], f"elites of round {j + 1} in episode {i + 1}")
            for way in elites[i, j][::-1]:  # the best on top
                room.way(np.concatenate((arrays["path"][i, :1], way)), IMAGINED, "elite")
            pictures.append(room.mark(arrays["goal"][i], GOAL, "ring", 4.5).markup())
        cards.append(Card(pictures, f"rounds {', '.join(str(j + 1) for j in rounds)}; {_outcome(arrays, i)}"))
    lead = (
        f"The {elites.shape[2]} best candidates of each round of the first decision's search, as the model imagines "
        "them. They should draw together, and towards the goal; a bundle that draws together elsewhere points at the "
        f"model or the cost, one that does not draw together at the search.{some_of(len(elites), len(shown))}"
    )
    return Gallery("elites", "How the search narrows", "Search", lead, cards, card_width=150 * len(rounds))


def _distance(arrays: Arrays) -> Gallery:
    cards = []
    for i, background in enumerate(arrays["background"][:MOST_EPISODES]):
        values = arrays["distance"][i]
        there = values[np.isfinite(values)]
        room = Room(background, f"cost of being anywhere, goal {i + 1}")
        room.map(values, arrays["extent"][i], 0.85).mark(arrays["goal"][i], GOAL, "ring", 4.5)
        span = f"{_rough(float(there.min()))} to {_rough(float(there.max()))}" if len(there) else "not finite"
        cards.append(Card([room.markup()], span))
    lead = (
        "What the cost says of being at each place, for the ringed goal: blue is near, yellow far. A search finds its "
        "way where the colour falls along ways that can be gone. A dark spot behind a wall is a trap."
        f"{some_of(len(arrays['background']), MOST_EPISODES)}"
    )
    title = "The cost over the room"
    scale = ("near", "far")
    return Gallery("distance", title, "Cost map", lead, cards, card_width=190, scale=scale, scale_of="latent_cost")


def _rollout(arrays: Arrays) -> Gallery:
    steps = _spaced(arrays["true"].shape[1], MOST_FRAMES)
    cards = []
    for i in range(min(MOST_ROLLOUTS, len(arrays["true"]))):
        rows = [
            [Canvas(arrays[name][i, j], f"{label} {j} of rollout {i + 1}").markup() for j in steps]
            for name, label in (("true", "real frame"), ("imagined", "imagined frame"))
        ]
        cards.append(Card(rows[0], "above what happened, below what was imagined", below=rows[1]))
    lead = (
        "Above what happened, below what the model imagined from the first frame and the actions alone, drawn by a "
        "decoder that was trained afterwards, for viewing only. The first frame below is drawn from its true "
        "embedding: what is blurred there already is the decoder's fault, what goes wrong later is the model's."
        f"{some_of(len(arrays['true']), len(cards))}"
    )
    return Gallery("rollout", "Imagined against real", "Rollouts", lead, cards, card_width=560)


def _rough(value: float) -> str:
    """Return a number with two significant digits."""
    return number(float(f"{value:.2g}"))


def _spaced(total: int, most: int) -> list[int]:
    """Return at most so many indices, the first and the last among them."""
    return sorted({round(i) for i in np.linspace(0, total - 1, min(most, total)).tolist()})
