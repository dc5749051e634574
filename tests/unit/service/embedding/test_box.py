"""What is seen through a box is that part of the upright frame, and nothing else is kept of it."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from service.embedding.box import Box, cut_file
from service.embedding.decode import decode
from service.problems import BoxOutside
from tests.drawings import encoded, person

FRAME = Image.new("RGB", (320, 240), "grey")
FRAME.paste(person(3), (100, 50))
BOX = Box(100, 50, 64, 128)
SIDEWAYS = 6
"""EXIF orientation: to be turned by 90 degrees before it is upright."""


def test_a_box_shows_what_the_cut_picture_would() -> None:
    np.testing.assert_array_equal(
        decode(encoded(FRAME), 128, 64, 10**6, BOX), decode(encoded(person(3)), 128, 64, 10**6)
    )


def test_a_box_counts_in_the_upright_frame() -> None:
    exif = Image.Exif()
    exif[0x0112] = SIDEWAYS
    lying = encoded(FRAME.transpose(Image.Transpose.ROTATE_90), "PNG", exif=exif)
    np.testing.assert_array_equal(
        decode(lying, 128, 64, 10**6, BOX), decode(encoded(person(3)), 128, 64, 10**6)
    )
    np.testing.assert_array_equal(
        decode(cut_file(lying, BOX), 128, 64, 10**6), decode(encoded(person(3)), 128, 64, 10**6)
    )


@pytest.mark.parametrize(
    "box", [Box(257, 0, 64, 128), Box(0, 113, 64, 128), Box(-1, 0, 9, 9), Box(0, 0, 0, 9)]
)
def test_a_box_that_is_not_within_the_frame_is_refused(box: Box) -> None:
    with pytest.raises(BoxOutside, match="box"):
        decode(encoded(FRAME), 128, 64, 10**6, box)


@pytest.mark.parametrize("mode", ["CMYK", "L", "P", "RGBA", "1", "YCbCr"])
def test_a_kept_cut_is_seen_as_it_was_through_the_box(mode: str) -> None:
    frame = encoded(FRAME.convert(mode), "TIFF")
    kept = cut_file(frame, BOX)
    np.testing.assert_allclose(
        decode(kept, 128, 64, 10**6).astype(int), decode(frame, 128, 64, 10**6, BOX).astype(int), atol=1
    )
    with Image.open(BytesIO(kept)) as cut:
        assert cut.size == (64, 128)


@pytest.mark.parametrize("mode", ["I;16", "I;16B"])
def test_a_box_in_sixteen_bits_shows_what_the_cut_picture_would(mode: str) -> None:
    """Of either byte order: each pixel's upper byte, through the box and in what is kept of the frame."""
    grey = np.asarray(FRAME.convert("L")).astype(np.uint16) * 256 + 17
    order = ">u2" if mode == "I;16B" else "<u2"
    frame = encoded(Image.frombytes(mode, FRAME.size, grey.astype(order).tobytes()), "TIFF")
    with Image.open(BytesIO(frame)) as opened:
        assert opened.mode == mode
    expected = decode(encoded(person(3).convert("L")), 128, 64, 10**6)
    np.testing.assert_array_equal(decode(frame, 128, 64, 10**6, BOX), expected)
    np.testing.assert_array_equal(decode(cut_file(frame, BOX), 128, 64, 10**6), expected)


def test_frames_and_boxes_have_digests_of_their_own() -> None:
    digests = {BOX.digest("a"), BOX.digest("b"), Box(100, 50, 64, 127).digest("a")}
    assert len(digests) == 3
    assert all(len(digest) == 64 for digest in digests)
