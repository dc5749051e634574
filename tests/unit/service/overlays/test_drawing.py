from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from models import occlusion
from service.overlays.drawing import OVERLAY_SIZE, draw_attention, draw_hidden, to_png
from tests.drawings import person

WIDTH, HEIGHT = OVERLAY_SIZE


def pixels(picture: Image.Image) -> np.ndarray:
    return np.asarray(picture.convert("RGB")).astype(int)


def region(codes: list[int]) -> np.ndarray:
    area = np.zeros((HEIGHT, WIDTH), dtype=bool)
    for code in codes:
        top, left, bottom, right = occlusion.rectangle(code, HEIGHT, WIDTH)
        area[top:bottom, left:right] = True
    return area


@pytest.mark.parametrize("codes", [[2], [5], [8], [4, 5], [1, 3]])
def test_what_is_hidden_is_veiled_and_nothing_else(codes: list[int]) -> None:
    plain, drawn = pixels(draw_hidden(person(3), [])), pixels(draw_hidden(person(3), codes))
    assert drawn.shape == (HEIGHT, WIDTH, 3)
    hidden = region(codes)
    assert (drawn[~hidden] == plain[~hidden]).all()
    assert (np.abs(drawn - plain).max(axis=2) > 0)[hidden].mean() > 0.95


def test_a_veiled_area_is_lighter_and_has_less_contrast() -> None:
    plain, drawn = pixels(draw_hidden(person(3), [])), pixels(draw_hidden(person(3), [4]))
    hidden = region([4])
    assert drawn[hidden].mean() > plain[hidden].mean()
    assert drawn[hidden].std() < plain[hidden].std()


def test_nothing_hidden_leaves_the_picture() -> None:
    assert (pixels(draw_hidden(person(3), [occlusion.NONE])) == pixels(draw_hidden(person(3), []))).all()


@pytest.mark.parametrize(
    ("size", "drawn"), [((64, 128), (128, 256)), ((400, 400), (128, 128)), ((5, 900), (1, 256))]
)
def test_an_overlay_has_the_proportions_of_its_picture(size: tuple[int, int], drawn: tuple[int, int]) -> None:
    picture = Image.new("RGB", size, "green")
    assert draw_hidden(picture, [2]).size == drawn
    assert draw_attention(picture, np.ones((8, 4), np.float32)).size == drawn


@pytest.mark.parametrize("longest", [1, 2, 10, 128, 256, 300, 600])
@pytest.mark.parametrize("shortest", [1, 2, 10])
def test_a_picture_of_any_shape_is_drawn_with_any_part_hidden(longest: int, shortest: int) -> None:
    for size in ((longest, shortest), (shortest, longest)):
        picture = Image.new("RGB", size, "green")
        for code in range(occlusion.COUNT):
            drawn = draw_hidden(picture, [code])
            assert all(1 <= side <= most for side, most in zip(drawn.size, OVERLAY_SIZE, strict=True))
            to_png(drawn)
        to_png(draw_attention(picture, np.ones((8, 4), np.float32)))


def test_the_most_looked_at_is_the_lightest() -> None:
    attention = np.full((8, 4), 0.2, dtype=np.float32)
    attention[1, 2] = 0.4
    lightness = pixels(draw_attention(Image.new("RGB", (64, 128), (90, 90, 90)), attention)).sum(axis=2)
    row, column = np.unravel_index(lightness.argmax(), lightness.shape)
    assert (row * 8 // HEIGHT, column * 4 // WIDTH) == (1, 2)
    assert lightness[-1, 0] == lightness.min()


def test_attention_is_drawn_from_its_least_to_its_most() -> None:
    rng = np.random.default_rng(5)
    attention = rng.uniform(0, 1, (8, 4)).astype(np.float32)
    narrow = (0.5 + attention / 10).astype(np.float32)
    difference = pixels(draw_attention(person(1), attention)) - pixels(draw_attention(person(1), narrow))
    assert np.abs(difference).max() <= 1


def test_even_attention_is_drawn_too() -> None:
    assert pixels(draw_attention(person(1), np.full((8, 4), 0.5, np.float32))).shape == (HEIGHT, WIDTH, 3)


def test_a_png_is_small_and_looks_like_what_was_drawn() -> None:
    drawn = draw_hidden(person(2), [2])
    content = to_png(drawn)
    assert len(content) < 20_000
    read = Image.open(BytesIO(content))
    assert read.format == "PNG"
    assert np.abs(pixels(read) - pixels(drawn)).mean() < 6


def test_the_largest_png_is_what_the_client_counts_on() -> None:
    """``_OVERLAYS`` of ``service/client/calls/batch.py``: 17 of these in base64, at 312 bytes a result."""
    noise = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    assert 17 * len(to_png(Image.fromarray(noise))) * 4 / 3 < 2500 * 312
