"""Make small image files, whole and broken."""

import io
import struct
import zlib
from collections.abc import Callable

import numpy as np
from PIL import Image


def smooth(height: int = 48, width: int = 64, seed: int = 0) -> Image.Image:
    """Return an RGB image without symmetry, smooth enough to survive lossy coding."""
    y, x = np.mgrid[0:height, 0:width]
    phase = np.random.default_rng(seed).uniform(0, 6, 3)
    waves = [127 + 60 * np.sin(x / 9 + p) + 60 * np.cos(y / (7 + i)) + 7 * (x > y) for i, p in enumerate(phase)]
    return Image.fromarray(np.stack(waves, -1).clip(0, 255).astype(np.uint8))


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    """Return the bytes of an image file."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def png(width: int, height: int, depth: int, colour: int, rows: bytes) -> bytes:
    """Write a PNG by hand, for what Pillow does not write: 16-bit colour, zero size, bombs."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


BROKEN: dict[str, Callable[[], bytes]] = {
    "truncated.png": lambda: encoded(smooth(), "PNG")[:-400],
    "truncated.jpg": lambda: (data := encoded(smooth(200, 200), "JPEG"))[: len(data) // 2],
    "empty.png": lambda: b"",
    "notes.png": lambda: b"this is a text file, whatever it is called\n",
    "zero-size.png": lambda: png(0, 5, 8, 0, b""),
    "bomb.png": lambda: png(30000, 30000, 8, 0, b""),
}
