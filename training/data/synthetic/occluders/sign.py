"""A printed board: overhead, on the ground, or upright at a side."""

from __future__ import annotations

from PIL import Image

from training.data.synthetic.colour import CLOTHES, near, toned
from training.data.synthetic.dice import Dice
from training.data.synthetic.occluders.sheet import Sheet

__all__ = ["above", "below", "beside"]


def above(sheet: Sheet, dice: Dice) -> Image.Image:
    bar = sheet.unit * 2
    _board(sheet, dice, (-3 * sheet.unit, -4 * sheet.unit, sheet.wide + 3 * sheet.unit, sheet.depth - bar))
    sheet.colour.rectangle((0, sheet.depth - bar, sheet.wide, sheet.depth), fill=(92, 94, 98))
    sheet.cut.rectangle((0, 0, sheet.wide, sheet.depth), fill=255)
    return sheet.picture


def below(sheet: Sheet, dice: Dice) -> Image.Image:
    inset = dice.uniform(0.0, 0.04) * sheet.wide
    _board(sheet, dice, (inset, sheet.high - sheet.depth, sheet.wide - inset, sheet.high + 4 * sheet.unit))
    return sheet.picture


def beside(sheet: Sheet, dice: Dice) -> Image.Image:
    top = dice.uniform(-0.05, 0.04) * sheet.high
    _board(sheet, dice, (-4 * sheet.unit, top, sheet.depth, sheet.high * dice.uniform(0.95, 1.05)))
    return sheet.picture


def _board(sheet: Sheet, dice: Dice, box: tuple[float, float, float, float]) -> None:
    """A printed board in a box: frame, stripes of text, an arrow, a disc or a picture."""
    left, top, right, bottom = box
    unit = sheet.unit
    colour = near(
        dice.pick(
            ((30, 82, 150), (24, 110, 74), (232, 232, 228), (216, 176, 44), (176, 38, 40), (44, 46, 52))
        ),
        dice,
    )
    ink = (240, 240, 236) if sum(colour) < 400 else (36, 40, 52)
    sheet.colour.rectangle(box, fill=toned(colour, 0.6))
    sheet.colour.rectangle((left + unit, top + unit, right - unit, bottom - unit), fill=ink)
    sheet.colour.rectangle(
        (left + 2 * unit, top + 2 * unit, right - 2 * unit, bottom - 2 * unit), fill=colour
    )
    sheet.cut.rectangle(box, fill=255)
    x, y = left + 5 * unit, top + 5 * unit
    if dice.chance(0.6):
        size = min(right - left, bottom - top) * 0.3
        spot = near(dice.pick(CLOTHES), dice)
        if dice.chance(0.5):
            sheet.colour.ellipse((x, y, x + size, y + size), fill=spot)
        else:
            sheet.colour.polygon(
                (
                    x,
                    y + size / 2,
                    x + size * 0.6,
                    y,
                    x + size * 0.6,
                    y + size * 0.3,
                    x + size,
                    y + size * 0.3,
                    x + size,
                    y + size * 0.7,
                    x + size * 0.6,
                    y + size * 0.7,
                    x + size * 0.6,
                    y + size,
                ),
                fill=ink,
            )
        y += size + 2.5 * unit
    line = dice.uniform(2.2, 4.2) * unit
    while y + line < bottom - 3 * unit:
        at = x
        end = x + (right - left - 10 * unit) * dice.uniform(0.5, 1.0)
        while at < end:
            word = dice.uniform(2, 8) * unit
            sheet.colour.rectangle((at, y, min(end, at + word), y + line * 0.55), fill=ink)
            at += word + 1.2 * unit
        y += line * 1.3
