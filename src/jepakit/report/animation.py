"""Animate an episode: frames with the way gone, the plan ahead and the goal, as a small GIF inside the page."""

import base64
import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from jepakit.report.pictures import to_rgb

SIDE = 260
"""Pixels of the longer side."""

MOST_BYTES = 400_000
"""An animation that would be larger loses every other frame until it is not."""

FRAME_MS, LAST_MS = 90, 1500
GONE, AHEAD, GOAL = (77, 180, 255), (255, 157, 60), (61, 220, 170)
_COLOURS = 64
_FINER = 2  # drawn so many times larger, then shrunk: lines without steps


def animated(
    frames: NDArray[Any], steps: NDArray[Any], path: NDArray[Any], goal: NDArray[Any], plans: list[NDArray[Any]]
) -> str:
    """Return a GIF of an episode as a data URI.

    Args:
        frames: (t, h, w, c) pictures.
        steps: (t,) step of the world at which each was seen.
        path: (steps + 1, 2) places gone, in pixels.
        goal: (2,) where the episode is to end.
        plans: For each frame the (k, 2) places of the plan that was followed; empty for none.
    """
    drawn = [
        _drawn(frame, path[: int(step) + 1], goal, plan) for frame, step, plan in zip(frames, steps, plans, strict=True)
    ]
    palette = _palette(drawn)
    pages = [page.quantize(palette=palette, dither=Image.Dither.NONE) for page in drawn]
    stride = 1
    while True:
        kept = [*pages[:-1:stride], pages[-1]]
        data = _encoded(kept, stride)
        if len(data) <= MOST_BYTES or len(kept) <= 2:
            return f"data:image/gif;base64,{base64.b64encode(data).decode('ascii')}"
        stride *= 2


def _drawn(frame: NDArray[Any], gone: NDArray[Any], goal: NDArray[Any], plan: NDArray[Any]) -> Image.Image:
    """Return one frame, enlarged, with what lies over it."""
    height, width = frame.shape[:2]
    scale = _FINER * SIDE / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    kind = Image.Resampling.NEAREST if scale > _FINER else Image.Resampling.LANCZOS
    page = Image.fromarray(np.ascontiguousarray(to_rgb(frame))).resize(size, kind)
    draw = ImageDraw.Draw(page)
    for start, end in zip(_points(gone, scale), _points(gone, scale)[1:], strict=False):
        draw.line((*start, *end), fill=GONE, width=2 * _FINER)
    for x, y in _points(plan, scale):
        draw.ellipse(_around(x, y, 3 * _FINER), fill=AHEAD)
    for x, y in _points(goal[None], scale):
        draw.ellipse(_around(x, y, 11 * _FINER), outline=GOAL, width=3 * _FINER)
    return page.reduce(_FINER)


def _around(x: float, y: float, radius: float) -> tuple[float, float, float, float]:
    return x - radius, y - radius, x + radius, y + radius


def _points(places: NDArray[Any], scale: float) -> list[tuple[float, float]]:
    """Return the places that are finite and on or near the page."""
    with np.errstate(over="ignore"):
        points = (places.astype(np.float64) + 0.5) * scale
    near = np.isfinite(points).all(axis=1) & (np.abs(points) < 10 * _FINER * SIDE).all(axis=1)
    return [(float(x), float(y)) for x, y in points[near]]


def _palette(pages: list[Image.Image]) -> Image.Image:
    """Return the colours of three pages and of what is drawn over all: shared by every page, so that none flickers."""
    chosen = [pages[0], pages[len(pages) // 2], pages[-1]]
    together = Image.new("RGB", (max(p.width for p in chosen), sum(p.height for p in chosen)))
    top = 0
    for page in chosen:
        together.paste(page, (0, top))
        top += page.height
    found = (together.quantize(_COLOURS - 3).getpalette() or [])[: 3 * (_COLOURS - 3)]
    palette = Image.new("P", (1, 1))
    palette.putpalette([*GONE, *AHEAD, *GOAL, *found])
    return palette


def _encoded(pages: list[Image.Image], stride: int) -> bytes:
    buffer = io.BytesIO()
    durations = [FRAME_MS * stride] * (len(pages) - 1) + [LAST_MS]
    pages[0].save(
        buffer, "GIF", save_all=True, append_images=pages[1:], duration=durations, loop=0, optimize=True, disposal=1
    )
    return buffer.getvalue()
