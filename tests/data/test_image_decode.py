"""Each odd file as a real file: it gets right pixels, or one reason why not."""

import contextlib
import io
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from image_files import BROKEN, encoded, png, smooth
from PIL import Image, ImageFile

from jepakit.data.decode import FORMATS, MAX_PIXELS, check_form, open_image, pixels_to_uint8, to_uint8
from jepakit.data.source import Unreadable
from jepakit.types import UserError


def decoded(data: bytes, channels: int = 3, size: int = 8, fit: str = "crop") -> torch.Tensor:
    return to_uint8(open_image(data, "x"), channels, size, fit=fit, name="x")


def difference(a: torch.Tensor, b: torch.Tensor) -> float:
    return float((a.int() - b.int()).abs().max())


@pytest.mark.parametrize(
    ("kind", "options", "tolerance"),
    [
        ("PNG", {}, 0),
        ("BMP", {}, 0),
        ("TIFF", {}, 0),
        ("TIFF", {"compression": "tiff_lzw"}, 0),
        ("PPM", {}, 0),
        ("TGA", {}, 0),
        ("WEBP", {"lossless": True}, 0),
        ("JPEG", {"quality": 98}, 6),
        ("JPEG", {"quality": 98, "progressive": True}, 6),
    ],
)
def test_formats_give_the_same_pixels(kind: str, options: dict[str, object], tolerance: float) -> None:
    image = smooth()
    result = decoded(encoded(image, kind, **options), size=16)
    assert result.shape == (3, 16, 16)
    assert result.dtype == torch.uint8
    assert difference(result, to_uint8(image, 3, 16)) <= tolerance
    assert float(result.float().std()) > 10


@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN)
def test_broken_files_are_unreadable_with_a_reason_that_stays(data) -> None:
    reasons = []
    for _ in range(2):
        with pytest.raises(Unreadable) as caught:
            decoded(data())
        reasons.append(caught.value.reason)
        assert caught.value.name == "x"
    assert reasons[0] == reasons[1]
    assert reasons[0]
    assert "0x" not in reasons[0]


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF", "PPM", "TGA", "JPEG2000"])
@pytest.mark.parametrize("share", [0.02, 0.4, 0.8, 0.97])
def test_no_truncated_file_gives_pixels(kind: str, share: float) -> None:
    data = encoded(smooth(200, 160), kind)
    with pytest.raises(Unreadable):
        decoded(data[: int(share * len(data))], size=16)  # JPEG is decoded at a fraction of its size here


def test_truncated_files_are_refused_where_the_program_told_pillow_to_accept_them(monkeypatch) -> None:
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    with pytest.raises(Unreadable, match="truncated"):
        decoded(BROKEN["truncated.jpg"]())
    assert ImageFile.LOAD_TRUNCATED_IMAGES is True


@settings(max_examples=150, deadline=None)
@given(
    kind=st.sampled_from(["PNG", "JPEG", "GIF", "BMP", "PPM"]),
    changes=st.lists(st.tuples(st.integers(0), st.integers(0, 255)), min_size=1, max_size=8),
)
def test_damaged_bytes_give_pixels_or_unreadable_and_nothing_else(kind: str, changes: list[tuple[int, int]]) -> None:
    data = bytearray(encoded(smooth(24, 24), kind))
    for place, value in changes:
        data[place % min(len(data), 600)] = value
    outcome = "unreadable"
    with contextlib.suppress(Unreadable):
        outcome = str(tuple(decoded(bytes(data)).shape))
    assert outcome in ("(3, 8, 8)", "unreadable")


def test_a_bomb_is_refused_by_size_where_the_program_switched_pillows_limit_off(monkeypatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    with pytest.raises(Unreadable, match=str(MAX_PIXELS)):
        decoded(BROKEN["bomb.png"]())


def test_an_image_of_zero_size_is_unreadable() -> None:
    with pytest.raises(Unreadable, match=re.escape("zero size (0 x 5 pixels)")):
        to_uint8(Image.new("RGB", (0, 5)), 3, 8)
    with pytest.raises(Unreadable, match="zero size"):
        pixels_to_uint8(torch.zeros(3, 0, 4, dtype=torch.uint8), 3, 8)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM"])
def test_sixteen_bit_grey_is_divided_by_257(kind: str) -> None:
    values = np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8)
    data = encoded(Image.fromarray(values), kind)
    expected = torch.from_numpy(np.rint(values / 257).astype(np.uint8))
    assert torch.equal(decoded(data, channels=1)[0], expected)
    assert torch.equal(decoded(data, channels=3)[1], expected)


def test_a_dark_sixteen_bit_image_stays_dark() -> None:
    assert int(decoded(encoded(Image.fromarray(np.full((8, 8), 255, np.uint16)), "PNG"), channels=1).max()) == 1


def test_sixteen_bit_colour_keeps_its_high_byte() -> None:
    values = np.random.default_rng(0).integers(0, 65536, (8, 8, 3))
    data = png(8, 8, 16, 2, b"".join(b"\0" + row.astype(">u2").tobytes() for row in values))
    assert difference(decoded(data), torch.from_numpy(values / 257).permute(2, 0, 1)) <= 1


def test_wide_integers_and_floats_are_scaled_by_the_documented_rules() -> None:
    ramp = np.linspace(0, 1, 64, dtype=np.float64).reshape(8, 8)
    expected = torch.from_numpy(np.rint(ramp * 255).astype(np.uint8))
    for values in (ramp.astype(np.float32), (ramp * 255).astype(np.float32), (ramp * 4e6 - 1e6).astype(np.float32)):
        assert difference(decoded(encoded(Image.fromarray(values), "TIFF"), channels=1)[0], expected) <= 1
    for values in ((ramp * 65535).astype(np.int32), (ramp * 1e9 - 5e8).astype(np.int32)):
        assert difference(decoded(encoded(Image.fromarray(values), "TIFF"), channels=1)[0], expected) <= 1
    with pytest.raises(Unreadable, match="not finite"):
        decoded(encoded(Image.fromarray(np.full((8, 8), np.nan, np.float32)), "TIFF"))


def test_a_cmyk_jpeg_keeps_its_colours() -> None:
    red = Image.new("RGB", (32, 32), (200, 30, 40))
    data = encoded(red.convert("CMYK"), "JPEG", quality=95)
    assert open_image(data, "x").mode == "CMYK"
    assert difference(decoded(data), torch.tensor([200, 30, 40])[:, None, None].expand(3, 8, 8)) <= 4


def test_transparent_pixels_become_white(tmp_path: Path) -> None:
    image = Image.new("RGBA", (8, 8), (200, 0, 0, 255))
    image.paste((0, 0, 200, 0), (4, 0, 8, 8))
    palette = image.convert("RGB").quantize(4)
    clear = palette.getpixel((6, 0))
    half = Image.new("LA", (8, 8), (100, 51))
    in_palette = [encoded(palette, kind, transparency=clear) for kind in ("PNG", "GIF")]
    for data in (encoded(image, "PNG"), *in_palette):
        result = decoded(data)
        assert result[:, 0, 0].tolist() == [200, 0, 0]
        assert result[:, 0, 7].tolist() == [255, 255, 255]
    assert int(decoded(encoded(half, "PNG"), channels=1)[0, 0, 0]) == round(255 - 0.2 * 155)


def test_a_palette_without_transparency_is_looked_up() -> None:
    image = smooth(8, 8).quantize(16)
    assert torch.equal(decoded(encoded(image, "PNG")), to_uint8(image.convert("RGB"), 3, 8))


def test_an_animated_image_gives_its_first_frame() -> None:
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "green", "blue")]
    for kind in ("GIF", "PNG", "WEBP"):
        options = {"lossless": True} if kind == "WEBP" else {}
        data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], duration=50, **options)
        assert getattr(open_image(data, "x"), "n_frames", 1) == 3
        assert decoded(data)[:, 3, 3].tolist() == [255, 0, 0]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_gives_the_upright_image(orientation: int) -> None:
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # Pillow's code of the transposition that a camera applied
    upright = smooth(40, 40)
    stored = upright.transpose(Image.Transpose(undo[orientation])) if orientation > 1 else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    for kind, tolerance in (("JPEG", 6), ("PNG", 0), ("TIFF", 0)):
        options = {"quality": 98, "subsampling": 0} if kind == "JPEG" else {}
        result = decoded(encoded(stored, kind, exif=exif.tobytes(), **options), size=40)
        assert difference(result, to_uint8(upright, 3, 40)) <= tolerance


def test_a_damaged_exif_block_does_not_cost_the_image() -> None:
    image = smooth(16, 16)
    data = encoded(image, "PNG", exif=b"Exif\x00\x00II*\x00\xff\xff\xff\xff broken")
    assert torch.equal(decoded(data, size=16), to_uint8(image, 3, 16))


def test_crop_takes_the_centre_and_squash_takes_all() -> None:
    image = Image.new("RGB", (24, 8), "blue")
    image.paste((255, 0, 0), (8, 0, 16, 8))
    assert torch.equal(to_uint8(image, 3, 8), to_uint8(Image.new("RGB", (8, 8), "red"), 3, 8))
    squashed = to_uint8(image, 3, 24, fit="squash")
    assert squashed[:, 0, 0].tolist() == [0, 0, 255]
    assert squashed[:, 0, 12].tolist() == [255, 0, 0]


def test_resizing_is_antialiased() -> None:
    checks = Image.fromarray((np.indices((64, 64)).sum(0) % 2 * 255).astype(np.uint8))
    assert difference(to_uint8(checks, 1, 8), torch.full((1, 8, 8), 127)) <= 2


def test_a_large_jpeg_is_decoded_at_a_fraction_of_its_size_to_nearly_the_same_pixels() -> None:
    image = smooth(800, 1000)
    data = encoded(image, "JPEG", quality=95)
    opened = open_image(data, "x")
    fast = to_uint8(opened, 3, 32)
    assert opened.size == (125, 100)
    assert difference(fast, to_uint8(image, 3, 32)) <= 6


def test_pixels_pass_untouched_where_they_fit_and_are_brought_into_form_where_not() -> None:
    pixels = torch.arange(64, dtype=torch.uint8).reshape(1, 8, 8)
    assert pixels_to_uint8(pixels, 1, 8) is pixels
    assert torch.equal(pixels_to_uint8(pixels, 3, 8), pixels.expand(3, 8, 8))
    assert torch.equal(pixels_to_uint8(pixels, 1, 4), to_uint8(Image.fromarray(pixels[0].numpy()), 1, 4))
    for wrong in (pixels.float(), pixels[0], pixels.expand(2, 8, 8)):
        with pytest.raises(Unreadable, match="uint8"):
            pixels_to_uint8(wrong, 1, 8)


@pytest.mark.parametrize(("channels", "size", "fit"), [(2, 8, "crop"), (3, 0, "crop"), (3, 8, "stretch")])
def test_a_form_nobody_can_make_is_a_users_error(channels: int, size: int, fit: str) -> None:
    with pytest.raises(UserError, match=r"not .+\.$"):
        check_form(channels, size, fit)


def test_formats_that_start_other_programs_are_not_tried() -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4)).save(buffer, "EPS")
    with pytest.raises(Unreadable, match="unknown format"):
        decoded(buffer.getvalue())
    assert "EPS" not in FORMATS
