from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from service.embedding.thumbnail import THUMBNAIL_SIZE, THUMBNAIL_TYPE, make_thumbnail
from service.problems import NotAPicture


def file(picture: Image.Image, format: str, **options: object) -> bytes:
    content = BytesIO()
    picture.save(content, format, **options)
    return content.getvalue()


def opened(content: bytes) -> Image.Image:
    return Image.open(BytesIO(make_thumbnail(content)))


def test_a_large_picture_becomes_small_in_its_proportions() -> None:
    made = opened(file(Image.new("RGB", (600, 900), (200, 10, 10)), "PNG"))
    assert Image.MIME[str(made.format)] == THUMBNAIL_TYPE
    assert made.size == (THUMBNAIL_SIZE[0], 192)
    assert np.abs(np.asarray(made).mean(axis=(0, 1)) - (200, 10, 10)).max() < 3


def test_a_small_picture_is_not_enlarged() -> None:
    assert opened(file(Image.new("L", (30, 60), 90), "PNG")).size == (30, 60)


def test_a_turned_picture_stands_upright_and_tells_nothing_of_where_it_was_taken() -> None:
    lying = Image.new("RGB", (40, 20), "white")
    lying.paste("red", (0, 0, 10, 20))  # the left end of the file
    exif = Image.Exif()
    exif[0x0112] = 6  # Orientation: the top of the scene is the right side of the file
    exif[0x010F] = "a maker of cameras"
    content = file(lying, "JPEG", exif=exif, quality=95)
    assert b"a maker of cameras" in content
    made = opened(content)
    assert made.size == (20, 40)
    red, white = made.getpixel((10, 4)), made.getpixel((10, 35))
    assert isinstance(red, tuple)
    assert isinstance(white, tuple)
    assert red[0] > 200 > 60 > red[1]
    assert min(white) > 200
    assert b"a maker of cameras" not in make_thumbnail(content)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16"])
def test_every_kind_of_pixel_that_is_accepted_has_a_thumbnail(mode: str) -> None:
    assert opened(file(Image.new(mode, (8, 16)), "TIFF")).mode == "RGB"


def test_what_is_no_picture_is_told_so() -> None:
    with pytest.raises(NotAPicture):
        make_thumbnail(b"text")
