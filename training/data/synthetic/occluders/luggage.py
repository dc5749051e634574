"""Suitcases side by side."""

from __future__ import annotations

from PIL import Image

from training.data.synthetic.colour import LEATHER, PAINT, near, toned
from training.data.synthetic.dice import Dice
from training.data.synthetic.occluders.sheet import Sheet

__all__ = ["below"]


def below(sheet: Sheet, dice: Dice) -> Image.Image:
    """Suitcases side by side."""
    wide, high, unit = sheet.wide, sheet.high, sheet.unit
    top = high - sheet.depth
    x = -dice.uniform(0.0, 0.25) * wide
    while x < wide:
        broad = wide * dice.uniform(0.38, 0.62)
        head = top + dice.uniform(-1.5, 3.5) * unit
        colour = near(dice.pick((*LEATHER, *PAINT[4:])), dice)
        box = (x, head, x + broad - 0.6 * unit, high - 2 * unit)
        for draw, fill in ((sheet.colour, toned(colour, 0.5)), (sheet.cut, 255)):
            grip = x + broad * 0.5
            draw.rectangle((grip - 7 * unit, head - 2.4 * unit, grip + 7 * unit, head + 4 * unit), fill=fill)
            draw.rectangle((x, high - 5 * unit, x + broad, high), fill=fill)
        sheet.colour.rounded_rectangle(
            box, 3.5 * unit, fill=colour, outline=toned(colour, 0.6), width=max(1, int(unit * 0.7))
        )
        sheet.cut.rounded_rectangle(box, 3.5 * unit, fill=255)
        if dice.chance(0.6):
            for rib in range(1, 5):
                at = x + broad * rib / 5
                sheet.colour.line(
                    (at, head + 4 * unit, at, high - 5 * unit),
                    fill=toned(colour, 0.72),
                    width=max(1, int(unit)),
                )
                sheet.colour.line(
                    (at + unit, head + 4 * unit, at + unit, high - 5 * unit),
                    fill=toned(colour, 1.2),
                    width=max(1, int(unit * 0.6)),
                )
        else:
            level = head + (high - head) * 0.35
            sheet.colour.rectangle(
                (x + 3 * unit, level, x + broad - 4 * unit, level + (high - level) * 0.5),
                fill=toned(colour, 0.86),
                outline=toned(colour, 0.55),
            )
            sheet.colour.line(
                (x + 2 * unit, level - 4 * unit, x + broad - 3 * unit, level - 4 * unit),
                fill=(196, 190, 170),
                width=max(1, int(unit * 0.8)),
            )
        x += broad
    sheet.cut.rectangle((0, top + 9 * unit, wide, high), fill=255)
    return sheet.picture
