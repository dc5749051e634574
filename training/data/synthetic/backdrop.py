"""Where a camera hangs: street, station, park, campus or shop, as a strip that pictures are cut from."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Final, Literal

from PIL import Image, ImageDraw, ImageFilter

from training.data.synthetic.canvas import Frame
from training.data.synthetic.colour import CLOTHES, MASONRY, PAINT, Colour, near, toned
from training.data.synthetic.dice import Dice, Subject
from training.data.synthetic.figure import draw_figure
from training.data.synthetic.gait import Pose
from training.data.synthetic.identity import make_identity
from training.data.synthetic.texture import bricks, foliage, grained, planks

__all__ = ["MARGIN", "backdrop_of"]

MARGIN: Final = 0.12
"""How much taller than a picture the strip is, as a share of its height: room to shift up and down."""

_WIDTHS: Final = 7  # length of the strip in picture widths

Place = Literal["street", "station", "park", "campus", "shop"]
_PLACES: Final[tuple[Place, ...]] = ("street", "park", "station", "campus", "shop")


@lru_cache(maxsize=24)
def backdrop_of(seed: int, camera: int, width: int, height: int) -> Image.Image:
    """What a camera sees without the people: RGB, 7·width × (1 + MARGIN)·height; not to be changed."""
    dice = Dice(seed, Subject.BACKDROP, camera)
    place = _PLACES[camera % len(_PLACES)] if dice.chance(0.7) else dice.pick(_PLACES)
    wide, high = _WIDTHS * width, int(height * (1 + MARGIN))
    horizon = dice.uniform(0.34, 0.6) * high
    image = Image.new("RGB", (wide, high), near(dice.pick(MASONRY), dice))
    draw = ImageDraw.Draw(image)
    unit = height / 100
    _ground(draw, place, wide, high, horizon, unit, dice)
    if place in ("street", "campus"):
        _house_fronts(draw, wide, horizon, unit, dice)
    elif place == "park":
        _trees(draw, wide, horizon, unit, dice)
    elif place == "station":
        _hall(draw, wide, horizon, unit, dice)
    else:
        _shop_windows(draw, wide, horizon, unit, dice)
    _things(image, draw, place, wide, high, horizon, unit, dice)
    return grained(image, dice).filter(ImageFilter.BoxBlur(height / 256 * dice.uniform(0.8, 2.2)))


def _ground(
    draw: ImageDraw.ImageDraw, place: Place, wide: int, high: int, horizon: float, unit: float, dice: Dice
) -> None:
    greys: tuple[Colour, ...] = (
        (120, 120, 122),
        (150, 148, 144),
        (172, 166, 156),
        (98, 100, 104),
        (188, 184, 178),
    )
    colour = near(
        dice.pick(((96, 122, 66), (150, 136, 108), (116, 134, 84)) if place == "park" else greys), dice
    )
    bands = 12
    for band in range(bands):
        y = horizon + (high - horizon) * (band / bands) ** 1.5
        draw.rectangle((0, y, wide, high), fill=toned(colour, 0.84 + 0.02 * band))
    if place == "park":
        path = toned((186, 174, 150), dice.uniform(0.85, 1.1))
        y = horizon + (high - horizon) * dice.uniform(0.25, 0.5)
        draw.rectangle((0, y, wide, high), fill=path)
        for _ in range(90):
            x, at, size = (
                dice.uniform(0, wide),
                dice.uniform(y - 3 * unit, high),
                dice.uniform(0.6, 2.2) * unit,
            )
            draw.ellipse(
                (x - 2 * size, at - size / 2, x + 2 * size, at + size / 2),
                fill=toned(path, dice.uniform(0.84, 1.08)),
            )
        return
    line = toned(colour, dice.pick((0.74, 0.8, 1.16)))
    if dice.chance(0.75):  # tiles
        for row in range(1, 9):
            y = horizon + (high - horizon) * (row / 9) ** 1.7
            draw.line((0, y, wide, y), fill=line, width=max(1, int(unit * 0.5)))
        slant = dice.uniform(-0.5, 0.5)
        step = dice.uniform(12, 24) * unit
        for column in range(-8, int(wide / step) + 8):
            x = column * step
            draw.line(
                (x, horizon, x + slant * (high - horizon) + (x - wide / 2) * 0.02, high),
                fill=line,
                width=max(1, int(unit * 0.5)),
            )
    if place == "street" and dice.chance(0.6):  # a crossing, or a lane's marks
        y = dice.uniform(0.78, 0.9) * high
        step = dice.uniform(22, 34) * unit
        for column in range(int(wide / step) + 1):
            x = column * step
            draw.polygon(
                (x, y, x + step * 0.5, y, x + step * 0.42, y + 9 * unit, x - step * 0.1, y + 9 * unit),
                fill=(214, 212, 204),
            )
    if place == "station":
        y = dice.uniform(0.74, 0.9) * high
        draw.rectangle((0, y, wide, y + 3.2 * unit), fill=(206, 172, 62))
    for _ in range(14):  # stains and shadows
        x, y = dice.uniform(0, wide), dice.uniform(horizon, high)
        size = dice.uniform(4, 14) * unit
        draw.ellipse(
            (x - size, y - size * 0.16, x + size, y + size * 0.16),
            fill=toned(colour, dice.uniform(0.74, 0.92)),
        )


def _house_fronts(draw: ImageDraw.ImageDraw, wide: int, horizon: float, unit: float, dice: Dice) -> None:
    x = 0.0
    while x < wide:
        end = x + dice.uniform(60, 150) * unit
        colour = near(dice.pick(MASONRY), dice)
        if dice.chance(0.45):
            bricks(draw, (x, 0, end, horizon), colour, 4.2 * unit, dice)
        else:
            draw.rectangle((x, 0, end, horizon), fill=colour)
            draw.rectangle((x, horizon - 7 * unit, end, horizon), fill=toned(colour, 0.72))
        at = x + dice.uniform(4, 12) * unit
        while at < end - 16 * unit:
            broad = dice.uniform(12, 20) * unit
            if dice.chance(0.3):
                door = near(dice.pick(PAINT), dice)
                draw.rectangle((at, horizon * 0.28, at + broad, horizon), fill=toned(door, 0.6))
                draw.rectangle((at + 1.5 * unit, horizon * 0.31, at + broad - 1.5 * unit, horizon), fill=door)
                draw.rectangle(
                    (at + broad * 0.72, horizon * 0.66, at + broad * 0.8, horizon * 0.72),
                    fill=(216, 200, 140),
                )
            else:
                glass = dice.pick(((60, 76, 92), (84, 104, 122), (150, 172, 188), (44, 50, 58)))
                top, bottom = horizon * 0.12, horizon * dice.uniform(0.5, 0.72)
                draw.rectangle((at, top, at + broad, bottom), fill=toned(colour, 1.2))
                draw.rectangle(
                    (at + 1.2 * unit, top + 1.2 * unit, at + broad - 1.2 * unit, bottom - 1.2 * unit),
                    fill=glass,
                )
                draw.polygon(
                    (
                        at + broad * 0.3,
                        top + 1.2 * unit,
                        at + broad * 0.6,
                        top + 1.2 * unit,
                        at + broad * 0.35,
                        bottom - 1.2 * unit,
                        at + 1.2 * unit,
                        bottom - 1.2 * unit,
                    ),
                    fill=toned(glass, 1.25),
                )
                draw.rectangle((at + broad * 0.47, top, at + broad * 0.53, bottom), fill=toned(colour, 1.15))
            at += broad + dice.uniform(8, 26) * unit
        x = end
    draw.rectangle((0, horizon, wide, horizon + 1.6 * unit), fill=(112, 110, 108))


def _trees(draw: ImageDraw.ImageDraw, wide: int, horizon: float, unit: float, dice: Dice) -> None:
    green = near(dice.pick(((78, 112, 58), (96, 128, 70), (64, 96, 62), (130, 130, 70))), dice)
    draw.rectangle((0, 0, wide, horizon), fill=dice.pick(((186, 204, 218), (206, 210, 212), (164, 190, 214))))
    x = 0.0
    while x < wide:
        broad = dice.uniform(30, 80) * unit
        foliage(
            draw,
            (x, horizon * dice.uniform(0.0, 0.45), x + broad, horizon + unit),
            toned(green, dice.uniform(0.75, 1.05)),
            9 * unit,
            dice,
        )
        x += broad * dice.uniform(0.6, 1.0)
    for _ in range(7):
        x, thick = dice.uniform(0, wide), dice.uniform(3, 8) * unit
        draw.rectangle(
            (x, 0, x + thick, horizon + dice.uniform(0, 8) * unit),
            fill=toned((98, 80, 62), dice.uniform(0.7, 1.2)),
        )


def _hall(draw: ImageDraw.ImageDraw, wide: int, horizon: float, unit: float, dice: Dice) -> None:
    colour = near(dice.pick(((196, 198, 198), (170, 176, 180), (150, 146, 140))), dice)
    draw.rectangle((0, 0, wide, horizon), fill=colour)
    step = dice.uniform(18, 40) * unit
    for column in range(int(wide / step) + 1):
        draw.line(
            (column * step, 0, column * step, horizon), fill=toned(colour, 0.82), width=max(1, int(unit))
        )
    for row in (0.33, 0.66):
        draw.line((0, horizon * row, wide, horizon * row), fill=toned(colour, 0.88), width=max(1, int(unit)))
    x = dice.uniform(0, 60) * unit
    while x < wide:
        poster = near(dice.pick(CLOTHES), dice)
        broad, top, bottom = (
            dice.uniform(18, 44) * unit,
            horizon * dice.uniform(0.08, 0.25),
            horizon * dice.uniform(0.6, 0.85),
        )
        draw.rectangle((x, top, x + broad, bottom), fill=(232, 232, 230))
        draw.rectangle((x + unit, top + unit, x + broad - unit, bottom - unit), fill=poster)
        draw.ellipse(
            (x + broad * 0.25, top + (bottom - top) * 0.15, x + broad * 0.75, top + (bottom - top) * 0.55),
            fill=near(dice.pick(CLOTHES), dice),
        )
        for line in range(3):
            y = bottom - (4 + 4 * line) * unit
            draw.rectangle(
                (x + broad * 0.15, y, x + broad * dice.uniform(0.5, 0.85), y + 1.5 * unit),
                fill=(240, 240, 236),
            )
        x += broad + dice.uniform(20, 90) * unit
    draw.rectangle((0, horizon - 3 * unit, wide, horizon), fill=toned(colour, 0.6))


def _shop_windows(draw: ImageDraw.ImageDraw, wide: int, horizon: float, unit: float, dice: Dice) -> None:
    x = 0.0
    while x < wide:
        end = x + dice.uniform(60, 120) * unit
        frame = near(dice.pick(PAINT), dice)
        draw.rectangle((x, 0, end, horizon), fill=frame)
        draw.rectangle(
            (x + 3 * unit, horizon * 0.2, end - 3 * unit, horizon * 0.9),
            fill=dice.pick(((226, 212, 178), (198, 204, 206), (108, 112, 116), (62, 66, 74))),
        )
        for shelf in (0.45, 0.66, 0.88):
            at = x + 5 * unit
            while at < end - 12 * unit:
                broad, tall = dice.uniform(3, 9) * unit, dice.uniform(0.06, 0.17) * horizon
                draw.rectangle(
                    (at, horizon * shelf - tall, at + broad, horizon * shelf),
                    fill=toned(near(dice.pick(CLOTHES), dice), 0.85),
                )
                at += broad + dice.uniform(0.5, 6) * unit
            draw.rectangle(
                (x + 3 * unit, horizon * shelf, end - 3 * unit, horizon * shelf + unit),
                fill=toned(frame, 0.8),
            )
        letters = toned(frame, 1.7)
        for letter in range(dice.integer(3, 7)):
            left = x + (10 + 7 * letter) * unit
            draw.rectangle(
                (left, horizon * 0.06, left + dice.uniform(2, 5) * unit, horizon * 0.15), fill=letters
            )
        x = end


def _things(
    image: Image.Image,
    draw: ImageDraw.ImageDraw,
    place: Place,
    wide: int,
    high: int,
    horizon: float,
    unit: float,
    dice: Dice,
) -> None:
    """What stands about: parked cars, posts, bins, benches, and people far off."""
    for _ in range(dice.integer(2, 5)):
        x, y = dice.uniform(0, wide), horizon + dice.uniform(1, 9) * unit
        thing = dice.weighted(
            {"post": 3.0, "car": 3.0 if place == "street" else 0.6, "bin": 1.5, "bench": 1.5}
        )
        paint = near(dice.pick(PAINT), dice)
        if thing == "post":
            draw.rectangle((x, 0, x + dice.uniform(1.5, 4) * unit, y + 4 * unit), fill=toned(paint, 0.7))
        elif thing == "car":
            long, tall = 84 * unit, 13 * unit
            draw.polygon(
                (
                    x + long * 0.16,
                    y - tall,
                    x + long * 0.3,
                    y - 2 * tall,
                    x + long * 0.72,
                    y - 2 * tall,
                    x + long * 0.88,
                    y - tall,
                ),
                fill=toned(paint, 0.9),
            )
            draw.polygon(
                (
                    x + long * 0.22,
                    y - tall,
                    x + long * 0.32,
                    y - 1.85 * tall,
                    x + long * 0.7,
                    y - 1.85 * tall,
                    x + long * 0.82,
                    y - tall,
                ),
                fill=(58, 68, 78),
            )
            draw.rectangle((x, y - tall, x + long, y), fill=paint)
            for wheel in (0.2, 0.8):
                draw.ellipse(
                    (x + long * wheel - 6 * unit, y - 6 * unit, x + long * wheel + 6 * unit, y + 5 * unit),
                    fill=(32, 32, 34),
                )
        elif thing == "bin":
            draw.rectangle((x, y - 15 * unit, x + 10 * unit, y + 3 * unit), fill=toned(paint, 0.8))
            draw.rectangle((x - unit, y - 17 * unit, x + 11 * unit, y - 14 * unit), fill=toned(paint, 0.5))
        else:
            planks(draw, (x, y - 8 * unit, x + 40 * unit, y - 4 * unit), (136, 98, 62), 13 * unit, dice)
            for leg in (3, 35):
                draw.rectangle(
                    (x + leg * unit, y - 4 * unit, x + (leg + 2) * unit, y + 3 * unit), fill=(60, 60, 62)
                )
    for _ in range(dice.integer(0, 3)):
        tall = dice.uniform(0.3, 0.5) * high
        feet = horizon + (high - horizon) * dice.uniform(0.08, 0.3)
        pose = Pose(dice.uniform(-math.pi, math.pi), dice.uniform(0, 6.28), 0.38)
        draw_figure(
            image, Frame(dice.uniform(0, wide), feet - tall, tall * 1.1, tall), make_identity(dice), pose
        )
