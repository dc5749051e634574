"""Decoding: every fault has its own name, and every accepted picture its right pixels."""

from __future__ import annotations

import contextlib
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from models.bundle import fit_picture
from service.embedding.decode import UNSEEN_COLOUR, decode
from service.problems import (
    BrokenPicture,
    EmptyPicture,
    NotAPicture,
    PictureError,
    PictureTooLarge,
    UnsupportedFormat,
)
from tests.drawings import encoded, png_of_zeros

MEGAPIXEL = 1_000_000


def drawn(width: int = 60, height: int = 120) -> Image.Image:
    rows, columns = np.mgrid[0:height, 0:width]
    pixels = np.stack([rows * 2, columns * 4, (rows + columns) % 256], axis=-1).astype(np.uint8)
    return Image.fromarray(pixels)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF"])
def test_lossless_picture_has_the_pixels_of_offline_evaluation(kind: str) -> None:
    expected = fit_picture(drawn(), 128, 64)
    assert (decode(encoded(drawn(), kind), 128, 64, MEGAPIXEL) == expected).all()


@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
def test_lossy_picture_has_the_pixels_of_offline_evaluation(kind: str) -> None:
    content = encoded(drawn(), kind, quality=80)
    with Image.open(BytesIO(content)) as reopened:
        expected = fit_picture(reopened, 128, 64)
    assert (decode(content, 128, 64, MEGAPIXEL) == expected).all()


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "CMYK"])
def test_every_common_pixel_type_keeps_its_colours(mode: str) -> None:
    kind = "TIFF" if mode == "CMYK" else "PNG"
    content = encoded(Image.new("RGB", (32, 64), (255, 255, 255)).convert(mode), kind)
    assert (decode(content, 128, 64, MEGAPIXEL) == 255).all()


def test_sixteen_bit_grey_is_scaled_not_clipped() -> None:
    grey = np.full((64, 32), 0x8040, dtype=np.uint16)
    assert (decode(encoded(Image.fromarray(grey), "PNG"), 128, 64, MEGAPIXEL) == 0x80).all()


def test_transparent_pixels_show_the_unseen_colour() -> None:
    picture = Image.new("RGBA", (64, 128), (255, 0, 0, 255))
    picture.paste((0, 255, 0, 0), (0, 64, 64, 128))
    pixels = decode(encoded(picture, "PNG"), 128, 64, MEGAPIXEL)
    assert (pixels[:63] == (255, 0, 0)).all()
    assert (pixels[65:] == UNSEEN_COLOUR).all()


def test_picture_is_turned_upright_by_its_orientation() -> None:
    picture = Image.new("RGB", (128, 64), (0, 0, 255))
    picture.paste((255, 0, 0), (0, 0, 64, 64))
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera lay on its side: turn by 90 degrees clockwise
    pixels = decode(encoded(picture, "PNG", exif=exif), 128, 64, MEGAPIXEL)
    assert (pixels[:63] == (255, 0, 0)).all()
    assert (pixels[65:] == (0, 0, 255)).all()


def test_of_an_animation_the_first_picture_is_taken() -> None:
    first, second = Image.new("RGB", (64, 128), "red"), Image.new("RGB", (64, 128), "blue")
    content = encoded(first, "WEBP", save_all=True, append_images=[second], lossless=True)
    assert (decode(content, 128, 64, MEGAPIXEL) == (255, 0, 0)).all()


def test_no_bytes_are_an_empty_picture() -> None:
    with pytest.raises(EmptyPicture):
        decode(b"", 128, 64, MEGAPIXEL)


def test_text_is_no_picture() -> None:
    with pytest.raises(NotAPicture, match="no picture"):
        decode(b"Dear service, find me.", 128, 64, MEGAPIXEL)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "TIFF"])
@pytest.mark.parametrize("share", [0.05, 0.5, 0.9])
def test_truncated_picture_is_broken(kind: str, share: float) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (120, 60, 3), dtype=np.uint8)
    content = encoded(Image.fromarray(noise), kind)
    with pytest.raises(BrokenPicture, match="damaged"):
        decode(content[: int(share * len(content))], 128, 64, MEGAPIXEL)


@pytest.mark.parametrize("side", [1001, 20_000])
def test_too_many_pixels_are_refused_from_the_header(side: int) -> None:
    with pytest.raises(PictureTooLarge, match="1000000 are accepted"):
        decode(png_of_zeros(side, side), 128, 64, MEGAPIXEL)


def test_as_many_pixels_as_allowed_are_taken() -> None:
    assert decode(png_of_zeros(1000, 1000), 128, 64, MEGAPIXEL).shape == (128, 64, 3)


def test_gif_is_a_picture_of_a_format_not_accepted() -> None:
    with pytest.raises(UnsupportedFormat, match="GIF"):
        decode(encoded(drawn(), "GIF"), 128, 64, MEGAPIXEL)


@pytest.mark.parametrize("before", [b"", b'<?xml version="1.0"?>\n<!DOCTYPE svg>\n', b"\xef\xbb\xbf"])
def test_svg_is_a_picture_of_a_format_not_accepted(before: bytes) -> None:
    with pytest.raises(UnsupportedFormat, match="SVG"):
        decode(before + b'<svg xmlns="http://www.w3.org/2000/svg"/>', 128, 64, MEGAPIXEL)


def test_floating_point_pixels_are_not_guessed_at() -> None:
    content = encoded(Image.fromarray(np.zeros((4, 4), dtype=np.float32)), "TIFF")
    with pytest.raises(UnsupportedFormat, match="type F"):
        decode(content, 128, 64, MEGAPIXEL)


@given(
    kind=st.sampled_from(["JPEG", "PNG", "WEBP", "BMP", "TIFF"]),
    places=st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=20),
    values=st.binary(min_size=20, max_size=20),
)
@settings(max_examples=150, deadline=None)
def test_damaged_bytes_are_a_picture_or_a_named_fault(kind: str, places: list[float], values: bytes) -> None:
    content = bytearray(encoded(drawn(12, 24), kind))
    for place, value in zip(places, values, strict=False):
        content[int(place * len(content))] = value
    # Whatever else is raised fails the test.
    with contextlib.suppress(PictureError):
        assert decode(bytes(content), 128, 64, MEGAPIXEL).shape == (128, 64, 3)
