"""Parked bicycles with baskets and panniers, one behind the other."""

from __future__ import annotations

import math
from typing import Final

from PIL import Image

from training.data.synthetic.colour import LEATHER, PAINT, near, toned
from training.data.synthetic.dice import Dice
from training.data.synthetic.occluders.sheet import Sheet
from training.data.synthetic.sight import cosine, sine

__all__ = ["below"]

_SPOKES: Final = 9


def below(sheet: Sheet, dice: Dice) -> Image.Image:
    """A rack of bicycles: between tubes and spokes the person is seen, as behind a real one."""
    for row in range(3):
        _bicycle(sheet, dice, row)
    return sheet.picture


def _bicycle(sheet: Sheet, dice: Dice, row: int) -> None:
    """One bicycle from the side, part of it outside the picture; later rows stand nearer and lower."""
    wide, high, deep = sheet.wide, sheet.high, sheet.depth
    tall = max(deep, 0.36 * high)  # a low rack is cut off by the picture, not made of toys
    top = high - deep + tall * (0.05 * row - 0.02)
    ground = top + tall
    radius = tall * 0.34
    apart = max(radius * 2.3, wide * 0.6)
    front = wide * (0.24, 0.8, 0.46)[row] + dice.uniform(-0.08, 0.08) * wide
    way = dice.pick((1, -1))  # where the rear wheel is
    rear = front + way * apart
    axle = ground - radius
    paint = near(dice.pick((*PAINT[2:], *LEATHER[3:5])), dice)
    dark = (30, 30, 34)
    pipe = max(2, int(tall * 0.05))
    for x in (front, rear):
        _wheel(sheet, x, axle, radius, dice)
    head, seat = (
        (front + way * 0.12 * apart, top + tall * 0.2),
        (front + way * 0.62 * apart, top + tall * 0.26),
    )
    crank = (front + way * 0.5 * apart, axle + radius * 0.05)
    low_head = (head[0] - way * 0.03 * apart, top + tall * 0.36)
    for start, end in (
        (head, (front, axle)), (low_head, crank), (low_head, seat), (seat, crank), (crank, (rear, axle)),
        (seat, (rear, axle)),
    ):  # fmt: skip
        _pipe(sheet, start, end, pipe, paint)
    grip = (head[0] + way * 0.08 * apart, top + tall * 0.02)
    _pipe(sheet, head, (head[0], top + tall * 0.06), pipe, dark)
    _pipe(sheet, (head[0], top + tall * 0.06), grip, pipe, dark)
    saddle = (seat[0] - 0.1 * apart, top + tall * 0.15, seat[0] + 0.12 * apart, top + tall * 0.22)
    _fill(sheet, saddle, dark)
    _pipe(sheet, seat, (seat[0], top + tall * 0.2), pipe, dark)
    _fill(
        sheet,
        (crank[0] - pipe * 1.6, crank[1] - pipe * 1.6, crank[0] + pipe * 1.6, crank[1] + pipe * 1.6),
        dark,
    )
    # What is carried makes a bicycle wide: a basket before the handlebar, panniers over the rear wheel.
    basket = near(dice.pick(((122, 88, 56), (64, 66, 70), (168, 140, 98))), dice)
    left, right = sorted((head[0] - way * 0.03 * apart, head[0] - way * 0.34 * apart))
    box = (left, top + tall * 0.1, right, top + tall * 0.4)
    _fill(sheet, box, basket)
    for line in range(1, 4):
        y = box[1] + (box[3] - box[1]) * line / 4
        sheet.colour.line((left, y, right, y), fill=toned(basket, 0.66), width=max(1, int(sheet.unit * 0.6)))
    pannier = near(dice.pick((*LEATHER, *PAINT[4:])), dice)
    left, right = sorted((rear - way * 0.2 * apart, rear + way * 0.26 * apart))
    box = (left, top + tall * 0.34, right, top + tall * 0.68)
    _fill(sheet, box, pannier)
    _fill(sheet, (left, box[1], right, box[1] + (box[3] - box[1]) * 0.3), toned(pannier, 0.78))


def _wheel(sheet: Sheet, x: float, y: float, radius: float, dice: Dice) -> None:
    tyre, rim = max(2, int(radius * 0.16)), max(1, int(radius * 0.05))
    box = (x - radius, y - radius, x + radius, y + radius)
    inner = (box[0] + tyre, box[1] + tyre, box[2] - tyre, box[3] - tyre)
    spin = dice.uniform(0, math.pi)
    spokes = []
    for spoke in range(_SPOKES):
        angle = spin + math.pi * spoke / _SPOKES
        across, down = radius * 0.92 * cosine(angle), radius * 0.92 * sine(angle)
        spokes.append((x - across, y - down, x + across, y + down))
    for draw, fills in (
        (sheet.colour, ((172, 174, 178), (36, 36, 38), (150, 152, 156))),
        (sheet.cut, (255,) * 3),
    ):
        for line in spokes:
            draw.line(line, fill=fills[0], width=max(1, int(radius * 0.04)))
        draw.ellipse(box, outline=fills[1], width=tyre)
        draw.ellipse(inner, outline=fills[2], width=rim)
        draw.ellipse((x - tyre, y - tyre, x + tyre, y + tyre), fill=fills[2])


def _pipe(
    sheet: Sheet, start: tuple[float, float], end: tuple[float, float], thick: int, fill: tuple[int, int, int]
) -> None:
    for draw, ink in ((sheet.colour, fill), (sheet.cut, 255)):
        draw.line((*start, *end), fill=ink, width=thick)


def _fill(sheet: Sheet, box: tuple[float, float, float, float], fill: tuple[int, int, int]) -> None:
    sheet.colour.rectangle(box, fill=fill)
    sheet.cut.rectangle(box, fill=255)
