"""Turn arrays into pictures inside the page: pixels as data URIs, masks and maps drawn over them as SVG."""

import base64
import io
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray
from PIL import Image

SIDE = 120
"""Size of the canvas of a picture, and the most pixels a side that are embedded, in both directions."""

MOST_PIXELS_AS_PNG = 72 * 72


def to_rgb(image: NDArray[Any]) -> NDArray[np.uint8]:
    """Return any (h, w, c) array as 8-bit RGB; floats are read as [0, 1], what is not finite as black."""
    if image.dtype != np.uint8:
        scale = 255.0 if np.issubdtype(image.dtype, np.floating) or image.dtype == np.bool_ else 1.0
        values = np.nan_to_num(image.astype(np.float64) * scale, nan=0.0, posinf=255.0, neginf=0.0)
        image = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    if image.shape[-1] < 3:
        return np.repeat(image[..., :1], 3, axis=-1)
    return image[..., :3]


def data_uri(image: NDArray[Any]) -> str:
    """Return an (h, w, c) array as a data URI: PNG where small, JPEG where large, never more than `2 * SIDE` a side."""
    picture = Image.fromarray(np.ascontiguousarray(to_rgb(image)))
    picture.thumbnail((2 * SIDE, 2 * SIDE), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    if picture.width * picture.height <= MOST_PIXELS_AS_PNG:
        picture.save(buffer, "PNG", optimize=True)
        kind = "png"
    else:
        picture.save(buffer, "JPEG", quality=82)
        kind = "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"


class Canvas:
    """Draw one picture with what lies over it.

    Args:
        image: (h, w, c) pixels.
        label: What is shown, for those who cannot see it.
    """

    def __init__(self, image: NDArray[Any], label: str):
        height, width = image.shape[:2]
        scale = SIDE / max(height, width)
        self.width, self.height = width * scale, height * scale
        box = f"0 0 {self.width:.1f} {self.height:.1f}"
        self._svg = ET.Element("svg", {"viewBox": box, "role": "img", "aria-label": label, "class": "picture"})
        self.add_pixels(image)

    def add_pixels(self, image: NDArray[Any], opacity: float = 1.0, *, smooth: bool | None = None) -> "Canvas":
        """Stretch pixels over the whole canvas; `smooth` says whether small ones are blended."""
        small = max(image.shape[:2]) <= SIDE // 2 if smooth is None else not smooth
        size = {"width": f"{self.width:.1f}", "height": f"{self.height:.1f}", "preserveAspectRatio": "none"}
        size |= {"opacity": f"{opacity:g}"} if opacity < 1 else {}
        ET.SubElement(self._svg, "image", size | {"href": data_uri(image)} | ({"class": "pixels"} if small else {}))
        return self

    def veil(self, hidden: NDArray[np.bool_]) -> "Canvas":
        """Cover the cells of a (gh, gw) grid that are hidden."""
        if hidden.any():
            ET.SubElement(self._svg, "path", {"d": self._cells(hidden), "class": "veil"})
        return self

    def outline(self, mask: NDArray[np.bool_], style: int, inset: float) -> "Canvas":
        """Draw a line around the cells of a (gh, gw) grid, `inset` units within their border, and tint them."""
        if not mask.any():
            return self
        group = ET.SubElement(self._svg, "g", {"class": f"question s{style}"})
        ET.SubElement(group, "path", {"d": self._cells(mask), "class": "tint"})
        ET.SubElement(group, "path", {"d": self._border(mask, inset), "class": "edge"})
        return self

    def markup(self) -> Markup:
        """Return the picture as inline SVG."""
        return Markup(ET.tostring(self._svg, encoding="unicode"))  # ElementTree escaped every name and value

    def _cells(self, mask: NDArray[np.bool_]) -> str:
        dy, dx = self.height / mask.shape[0], self.width / mask.shape[1]
        runs = [(row, start, stop) for row in range(mask.shape[0]) for start, stop in _runs(mask[row])]
        return " ".join(
            f"M{start * dx:.2f} {row * dy:.2f}H{stop * dx:.2f}V{(row + 1) * dy:.2f}H{start * dx:.2f}Z"
            for row, start, stop in runs
        )

    def _border(self, mask: NDArray[np.bool_], inset: float) -> str:
        """Return the segments between cells inside and outside, moved inwards."""
        dy, dx = self.height / mask.shape[0], self.width / mask.shape[1]
        wide = np.pad(mask, 1)
        words = []
        for row, column in np.argwhere(mask):
            top, left = row * dy, column * dx
            above, below = wide[row, column + 1], wide[row + 2, column + 1]
            before, after = wide[row + 1, column], wide[row + 1, column + 2]
            x0, x1 = left + (0 if before else inset), left + dx - (0 if after else inset)
            y0, y1 = top + (0 if above else inset), top + dy - (0 if below else inset)
            words += [] if above else [f"M{x0:.2f} {y0:.2f}H{x1:.2f}"]
            words += [] if below else [f"M{x0:.2f} {y1:.2f}H{x1:.2f}"]
            words += [] if before else [f"M{x0:.2f} {y0:.2f}V{y1:.2f}"]
            words += [] if after else [f"M{x1:.2f} {y0:.2f}V{y1:.2f}"]
        return " ".join(words)


def heat(values: NDArray[Any], low: float, high: float) -> NDArray[np.uint8]:
    """Return an array of numbers as colours of cividis, which every kind of eye can read, from `low` to `high`."""
    from matplotlib import colormaps

    share = (np.nan_to_num(values.astype(np.float64), nan=low) - low) / max(high - low, 1e-300)
    colours: NDArray[np.uint8] = colormaps["cividis"](np.clip(share, 0.0, 1.0), bytes=True)[..., :3]
    return colours


def _runs(row: NDArray[np.bool_]) -> Sequence[tuple[int, int]]:
    """Return (start, stop) of each stretch of True."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], row.astype(np.int8), [0]))))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))
