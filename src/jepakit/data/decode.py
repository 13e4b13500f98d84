"""Turn one image file into uint8 pixels of a fixed size, or say in words why it cannot be done.

What is done with the odd ones:

    turned by EXIF        turned upright
    transparent           laid on white (`BACKGROUND`)
    16-bit grey           divided by 257, so that 65535 becomes 255
    32-bit integer grey   as 16-bit where all values lie in [0, 65535], else stretched from its least to its largest
    float grey            [0, 1] times 255; [0, 255] as it is; anything else stretched from least to largest
    CMYK, palette, 1-bit  converted by Pillow; colour profiles are not applied
    animated              first frame
    truncated, damaged    `Unreadable`, also where the program around us told Pillow to accept truncated files
    zero size, a bomb     `Unreadable`

Only the formats of `FORMATS` are tried, whatever a file is called: some of Pillow's others start outside programs.
"""

import io
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import numpy as np
import torch
from jaxtyping import UInt8
from numpy.typing import NDArray
from PIL import Image, ImageFile, UnidentifiedImageError
from torch import Tensor

from jepakit.data.source import Unreadable
from jepakit.types import UserError

Fit = Literal["crop", "squash"]

FORMATS: dict[str, tuple[str, ...]] = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "PNG": (".png", ".apng"),
    "GIF": (".gif",),
    "BMP": (".bmp", ".dib"),
    "WEBP": (".webp",),
    "TIFF": (".tif", ".tiff"),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm"),
    "TGA": (".tga",),
    "JPEG2000": (".jp2", ".j2k"),
    "AVIF": (".avif",),
    "MPO": (".mpo",),
    "ICO": (".ico",),
}
EXTENSIONS = tuple(extension for extensions in FORMATS.values() for extension in extensions)
BACKGROUND = (255, 255, 255)
MAX_PIXELS = 178_956_970  # twice Pillow's own limit, the size from which it refuses by itself
_DRAFT_GAP = 2  # a JPEG is decoded at least this many times larger than asked for: no visible loss, much less work

_ORIENTATION_TAG = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

# What Pillow's decoders may raise on damaged bytes: many of these are slips of a parser, not decisions.
_DECODE_ERRORS = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    NotImplementedError,
    RuntimeError,
    MemoryError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)


@contextmanager
def _strictly(name: str) -> Iterator[None]:
    """Make Pillow refuse truncated data and keep its warnings to itself; turn its errors into `Unreadable`."""
    tolerant, ImageFile.LOAD_TRUNCATED_IMAGES = ImageFile.LOAD_TRUNCATED_IMAGES, False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except UnidentifiedImageError as error:
        raise Unreadable(name, "no image that can be opened: unknown format, damaged header or zero size") from error
    except Image.DecompressionBombError as error:
        raise Unreadable(name, f"more than {MAX_PIXELS} pixels, taken for a decompression bomb") from error
    except _DECODE_ERRORS as error:
        detail = str(error).strip().rstrip(".") or type(error).__name__
        raise Unreadable(name, f"cannot be decoded: {detail}") from error
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = tolerant


def open_image(data: bytes, name: str) -> Image.Image:
    """Open an encoded image held in memory; only its header is read.

    Raises:
        Unreadable: The data is empty, no image, or larger than Pillow allows.
    """
    if not data:
        raise Unreadable(name, "the file is empty")
    Image.init()
    with _strictly(name):
        return Image.open(io.BytesIO(data), formats=[key for key in FORMATS if key in Image.OPEN])


def to_uint8(
    image: Image.Image, channels: int, size: int, *, fit: Fit = "crop", name: str = "image"
) -> UInt8[Tensor, "{channels} {size} {size}"]:
    """Decode an image into pixels, antialiased: upright, 8 bits a channel, on a white background, square.

    Args:
        image: An open image; a JPEG that is not decoded yet is decoded at a fraction of its size where that is enough.
        channels: 1 for grey, 3 for RGB.
        size: Height and width of the result.
        fit: "crop" scales the shorter side to `size` and cuts out the centre; "squash" scales both sides.
        name: What to call the image if it is unreadable.

    Raises:
        Unreadable: It is damaged, truncated, of zero size, or has more than `MAX_PIXELS` pixels.
        UserError: `channels`, `size` or `fit` is none of the above.
    """
    check_form(channels, size, fit)
    width, height = image.size
    if min(width, height) < 1:
        raise Unreadable(name, f"zero size ({width} x {height} pixels)")
    if width * height > MAX_PIXELS:
        raise Unreadable(name, f"more than {MAX_PIXELS} pixels, taken for a decompression bomb")
    with _strictly(name):
        image.draft("L" if channels == 1 else "RGB", (_DRAFT_GAP * size, _DRAFT_GAP * size))
        image.load()
        pixels = np.array(_resized(_in_colour(_upright(image), "L" if channels == 1 else "RGB"), size, fit))
    return torch.from_numpy(pixels).reshape(size, size, channels).permute(2, 0, 1).contiguous()


def pixels_to_uint8(
    pixels: Tensor, channels: int, size: int, *, fit: Fit = "crop", name: str = "image"
) -> UInt8[Tensor, "{channels} {size} {size}"]:
    """Bring uint8 pixels (c, h, w) in grey, RGB or RGBA into the form of `to_uint8`; they pass untouched if they fit.

    Raises:
        Unreadable: They are not uint8 of 1, 3 or 4 channels, or of zero size.
    """
    if pixels.shape == (channels, size, size) and pixels.dtype == torch.uint8:
        return pixels
    if pixels.dtype != torch.uint8 or pixels.ndim != 3 or pixels.shape[0] not in (1, 3, 4):
        raise Unreadable(name, f"{pixels.dtype} pixels of shape {tuple(pixels.shape)}, not uint8 (1, 3 or 4, h, w)")
    if 0 in pixels.shape:
        raise Unreadable(name, f"zero size ({pixels.shape[2]} x {pixels.shape[1]} pixels)")
    array = pixels.permute(1, 2, 0).contiguous().numpy()
    return to_uint8(Image.fromarray(array.squeeze(2) if pixels.shape[0] == 1 else array), channels, size, fit=fit)


def check_form(channels: int, size: int, fit: str) -> None:
    """Refuse a form of pixels that nothing here can make, before any image is opened.

    Raises:
        UserError: It says which of the three is wrong.
    """
    if channels not in (1, 3):
        raise UserError(f"Images have 1 (grey) or 3 (RGB) channels, not {channels}.")
    if size < 1:
        raise UserError(f"The image size must be at least 1 pixel, not {size}.")
    if fit not in ("crop", "squash"):
        raise UserError(f"Images are fitted by 'crop' or 'squash', not {fit!r}.")


def _upright(image: Image.Image) -> Image.Image:
    """Turn or mirror an image as its EXIF orientation says; a damaged EXIF block is no reason to lose the image."""
    try:
        orientation = image.getexif().get(_ORIENTATION_TAG, 1)
    except _DECODE_ERRORS:
        return image
    return image.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else image


def _in_colour(image: Image.Image, mode: Literal["L", "RGB"]) -> Image.Image:
    """Convert any mode to 8-bit grey or RGB, laying transparent images on the background."""
    if image.mode == "F" or image.mode.startswith("I"):
        image = Image.fromarray(_eight_bit(image))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, (*BACKGROUND, 255)), image)
    if image.mode == "LAB":
        image = image.convert("RGB")  # Pillow knows no way from LAB to grey
    return image if image.mode == mode else image.convert(mode)


def _eight_bit(image: Image.Image) -> NDArray[np.uint8]:
    """Scale grey values of more than 8 bits to [0, 255] by the rules at the head of this file."""
    values = np.asarray(image).astype(np.float64)
    if not np.isfinite(values).all():
        raise ValueError("holds values that are not finite")
    low, high = float(values.min()), float(values.max())
    is_float = image.mode == "F"
    if low >= 0 and high <= (1 if is_float else 65535):
        values = values * 255 if is_float else values / 257
    elif not (is_float and low >= 0 and high <= 255):
        values = (values - low) * (255 / (high - low)) if high > low else np.zeros_like(values)
    return np.rint(values).astype(np.uint8)


def _resized(image: Image.Image, size: int, fit: Fit) -> Image.Image:
    """Resize to a square in one antialiased pass over the whole image or its central square."""
    width, height = image.size
    if (width, height) == (size, size):
        return image
    side_x, side_y = (width, height) if fit == "squash" else (min(width, height),) * 2
    left, top = (width - side_x) / 2, (height - side_y) / 2
    return image.resize((size, size), Image.Resampling.BICUBIC, box=(left, top, left + side_x, top + side_y))
