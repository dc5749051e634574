"""Surfaces that are not flat colour: grain, bricks, planks, foliage."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np
from PIL import Image, ImageChops, ImageDraw

from training.data.synthetic.colour import Colour, toned
from training.data.synthetic.dice import Dice

__all__ = ["bricks", "foliage", "grained", "planks", "rounded"]

_TILE: Final = 1024
_GRAIN_SEED: Final = 20160


@lru_cache(maxsize=1)
def _grain() -> Image.Image:
    """A tile of cloudy and fine noise around 128, the same always."""
    generator = np.random.Generator(np.random.PCG64(_GRAIN_SEED))
    total = Image.new("L", (_TILE, _TILE), 128)
    for cells, amplitude in ((16, 16), (128, 12), (512, 12)):
        noise = generator.integers(128 - amplitude, 129 + amplitude, (cells, cells)).astype(np.uint8)
        layer = Image.fromarray(noise).resize((_TILE, _TILE), Image.Resampling.BICUBIC)
        total = ImageChops.add(total, layer, 1.0, -128)
    return Image.merge("RGB", (total, total, total))


def grained(image: Image.Image, dice: Dice) -> Image.Image:
    """An RGB picture with grain over it, so that no surface is of one colour."""
    wide, high = image.size
    tile = _grain()
    if wide > _TILE or high > _TILE:
        tile = tile.resize((max(wide, _TILE), max(high, _TILE)), Image.Resampling.BILINEAR)
    left, top = dice.integer(0, tile.width - wide), dice.integer(0, tile.height - high)
    return ImageChops.add(image, tile.crop((left, top, left + wide, top + high)), 1.0, -128)


def bricks(
    draw: ImageDraw.ImageDraw, box: tuple[float, float, float, float], colour: Colour, unit: float, dice: Dice
) -> None:
    """Courses of bricks in a box (left, top, right, bottom); ``unit`` is the height of one in pixels."""
    left, top, right, bottom = box
    draw.rectangle(box, fill=toned(colour, 1.18))
    shades = [toned(colour, factor) for factor in (0.86, 0.94, 1.0, 1.0, 1.08)]
    joint = max(1.0, unit * 0.14)
    row, y = 0, top
    while y < bottom:
        x = left - (unit * 1.3 if row % 2 else 0.0)
        while x < right:
            draw.rectangle(
                (max(left, x), y, min(right, x + unit * 2.6 - joint), min(bottom, y + unit - joint)),
                fill=dice.pick(shades),
            )
            x += unit * 2.6
        y += unit
        row += 1


def planks(
    draw: ImageDraw.ImageDraw, box: tuple[float, float, float, float], colour: Colour, unit: float, dice: Dice
) -> None:
    """Upright boards in a box; ``unit`` is the width of one in pixels."""
    left, top, right, bottom = box
    x = left
    while x < right:
        draw.rectangle((x, top, min(right, x + unit), bottom), fill=toned(colour, dice.uniform(0.84, 1.1)))
        draw.line((x, top, x, bottom), fill=toned(colour, 0.5), width=max(1, int(unit * 0.1)))
        x += unit


def foliage(
    draw: ImageDraw.ImageDraw, box: tuple[float, float, float, float], colour: Colour, unit: float, dice: Dice
) -> None:
    """Leaves in a box, ragged at its edges by about half a ``unit``, the size of a tuft in pixels."""
    left, top, right, bottom = box
    draw.rectangle((left, top, right, bottom), fill=toned(colour, 0.72))
    count = int((right - left) * (bottom - top) / (unit * unit) * 1.6)
    for _ in range(min(count, 160)):
        x, y = dice.uniform(left, right), dice.uniform(top, bottom)
        size = unit * dice.uniform(0.25, 0.55)
        draw.ellipse(
            (x - size, y - size * 0.8, x + size, y + size * 0.8), fill=toned(colour, dice.uniform(0.66, 1.24))
        )


def rounded(image: Image.Image, left: float, right: float) -> Image.Image:
    """The picture lit like a column between two x: bright left of the middle, dark at the sides."""
    wide, high = image.size
    x = np.clip((np.arange(wide) + 0.5 - left) / max(1.0, right - left), 0.0, 1.0)
    light = 1.12 - 2.4 * (x - 0.38) ** 2
    profile = np.clip(light * 128 + 0.5, 0, 255).astype(np.uint8)
    mask = Image.fromarray(profile[None, :]).resize((wide, high), Image.Resampling.NEAREST)
    half_lit = ImageChops.multiply(image, Image.merge("RGB", (mask, mask, mask)))
    return ImageChops.add(half_lit, half_lit)
