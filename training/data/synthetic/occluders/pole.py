"""A column or a tree's trunk."""

from __future__ import annotations

from PIL import Image

from training.data.synthetic.colour import MASONRY, PAINT, near, toned
from training.data.synthetic.dice import Dice
from training.data.synthetic.occluders.sheet import Sheet
from training.data.synthetic.texture import rounded

__all__ = ["beside"]


def beside(sheet: Sheet, dice: Dice) -> Image.Image:
    """A column or a trunk, part of it outside the picture."""
    right = sheet.depth
    left = right - sheet.depth * dice.uniform(1.02, 1.35)
    if dice.chance(0.35):  # a trunk
        colour = near(dice.pick(((104, 84, 66), (120, 106, 90), (84, 72, 60))), dice)
        sheet.colour.rectangle((left, 0, right + 9, sheet.high), fill=colour)
        for _ in range(26):
            x, y, long = (
                dice.uniform(left, right),
                dice.uniform(-10, 95) * sheet.unit,
                dice.uniform(6, 20) * sheet.unit,
            )
            sheet.colour.line(
                (x, y, x + dice.uniform(-2, 2) * sheet.unit, y + long),
                fill=toned(colour, dice.uniform(0.55, 1.2)),
                width=max(1, int(sheet.unit * dice.uniform(0.5, 1.4))),
            )
        outline: list[float] = [0, 0]
        for row in range(9):
            outline += [right + dice.uniform(-0.02, 0.02) * sheet.wide, row / 8 * sheet.high]
        sheet.cut.polygon([*outline, 0, sheet.high], fill=255)
    else:
        colour = near(dice.pick((*MASONRY[3:], *PAINT)), dice)
        sheet.colour.rectangle((left, 0, right, sheet.high), fill=colour)
        for _ in range(dice.integer(1, 3)):
            y, tall = dice.uniform(0, 100) * sheet.unit, dice.uniform(1, 4) * sheet.unit
            sheet.colour.rectangle(
                (left, y, right, y + tall), fill=toned(colour, dice.pick((0.6, 0.75, 1.2)))
            )
        if dice.chance(0.35):  # a bill posted on it
            y = dice.uniform(15, 60) * sheet.unit
            x = max(left, 0) + 0.2 * sheet.depth
            sheet.colour.rectangle((x, y, x + 0.5 * sheet.depth, y + 16 * sheet.unit), fill=(228, 226, 214))
            for line in range(4):
                sheet.colour.rectangle(
                    (
                        x + sheet.unit,
                        y + (2 + 3 * line) * sheet.unit,
                        x + 0.44 * sheet.depth,
                        y + (3 + 3 * line) * sheet.unit,
                    ),
                    fill=(90, 90, 96),
                )
        sheet.cut.rectangle((0, 0, right, sheet.high), fill=255)
    return rounded(sheet.picture, left, right)
