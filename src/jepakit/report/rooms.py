"""Draw ways, places and maps over a picture of a world; places are in its pixels, a pixel's middle at its index."""

import xml.etree.ElementTree as ET
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jepakit.report.pictures import Canvas, data_uri, heat

_FAR = 4.0
"""Places further from the picture than so many times its size are drawn there: no coordinate grows without end."""


class Room(Canvas):
    """Draw one picture of a world with what lies over it.

    Args:
        image: (h, w, c) pixels.
        label: What is shown, for those who cannot see it.
    """

    def __init__(self, image: NDArray[Any], label: str):
        super().__init__(image, label)
        self._scale = self.width / image.shape[1]

    def way(self, places: NDArray[Any], style: int, kind: str = "gone") -> "Room":
        """Draw a line through (t, 2) places, lifted where one is not finite; `kind` is a class of the style sheet."""
        words, lift = [], True
        for place in self._canvas(places):
            there = bool(np.isfinite(place).all())
            if there:
                words.append(f"{'M' if lift else 'L'}{place[0]:.1f} {place[1]:.1f}")
            lift = not there
        if len(words) > 1:
            ET.SubElement(self._svg, "path", {"d": " ".join(words), "class": f"way {kind} s{style}"})
        return self

    def mark(self, place: NDArray[Any], style: int, kind: str, radius: float) -> "Room":
        """Draw a circle at a place; `kind` is a class of the style sheet: `ring` or `spot`."""
        x, y = self._canvas(place)
        if np.isfinite([x, y]).all():
            circle = {"cx": f"{x:.1f}", "cy": f"{y:.1f}", "r": f"{radius:g}", "class": f"{kind} s{style}"}
            ET.SubElement(self._svg, "circle", circle)
        return self

    def map(self, values: NDArray[Any], extent: NDArray[Any], opacity: float) -> "Room":
        """Lay (gh, gw) values as heat over (left, top, right, bottom) in pixels; values that are none are left out."""
        there = np.isfinite(values)
        corners = self._canvas(extent.reshape(2, 2))
        if not there.any() or not np.isfinite(corners).all():
            return self
        (left, top), (right, bottom) = corners
        colours = heat(values, float(values[there].min()), float(values[there].max()))
        box = {"x": left, "y": top, "width": max(right - left, 0.0), "height": max(bottom - top, 0.0)}
        place = {name: f"{value:.1f}" for name, value in box.items()}
        place |= {"preserveAspectRatio": "none", "opacity": f"{opacity:g}", "href": data_uri(colours)}
        ET.SubElement(self._svg, "image", place)
        return self

    def _canvas(self, places: NDArray[Any]) -> NDArray[np.float64]:
        """Return places on the canvas; a place's pixel has its middle half a pixel further."""
        most = _FAR * max(self.width, self.height)
        with np.errstate(over="ignore"):
            canvas: NDArray[np.float64] = np.clip((places.astype(np.float64) + 0.5) * self._scale, -most, most)
        return canvas
