"""A wall of bricks, boards, concrete or hedge: a parapet, a beam, or the corner of a house."""

from __future__ import annotations

from PIL import Image

from training.data.synthetic.colour import MASONRY, near, toned
from training.data.synthetic.dice import Dice
from training.data.synthetic.occluders.sheet import Sheet
from training.data.synthetic.texture import bricks, foliage, planks

__all__ = ["above", "below", "beside"]


def above(sheet: Sheet, dice: Dice) -> Image.Image:
    """A beam, or the edge of a roof."""
    slope = dice.uniform(-0.02, 0.02) * sheet.high
    _masonry(sheet, dice, (0, 0, sheet.wide, sheet.depth + abs(slope)))
    sheet.cut.polygon(
        (0, 0, sheet.wide, 0, sheet.wide, sheet.depth - slope, 0, sheet.depth + slope), fill=255
    )
    lip = 3 * sheet.unit
    sheet.colour.polygon(
        (
            0,
            sheet.depth + slope - lip,
            sheet.wide,
            sheet.depth - slope - lip,
            sheet.wide,
            sheet.depth - slope,
            0,
            sheet.depth + slope,
        ),
        fill=toned(near(dice.pick(MASONRY), dice), 0.6),
    )
    return sheet.picture


def below(sheet: Sheet, dice: Dice) -> Image.Image:
    top = sheet.high - sheet.depth
    slope = dice.uniform(-0.03, 0.03) * sheet.high
    _masonry(sheet, dice, (0, top - abs(slope), sheet.wide, sheet.high))
    edge = [0, top + slope, sheet.wide, top - slope, sheet.wide, sheet.high, 0, sheet.high]
    sheet.cut.polygon(edge, fill=255)
    cap = dice.uniform(2.5, 4.5) * sheet.unit
    stone = near(dice.pick(MASONRY[3:]), dice)
    sheet.colour.polygon(
        (0, top + slope, sheet.wide, top - slope, sheet.wide, top - slope + cap, 0, top + slope + cap),
        fill=toned(stone, 1.1),
    )
    sheet.colour.line(
        (0, top + slope + cap, sheet.wide, top - slope + cap),
        fill=toned(stone, 0.5),
        width=max(1, int(sheet.unit * 0.8)),
    )
    return sheet.picture


def beside(sheet: Sheet, dice: Dice) -> Image.Image:
    """The corner of a house."""
    slope = dice.uniform(-0.03, 0.03) * sheet.wide
    _masonry(sheet, dice, (0, 0, sheet.depth + abs(slope), sheet.high))
    sheet.cut.polygon(
        (0, 0, sheet.depth + slope, 0, sheet.depth - slope, sheet.high, 0, sheet.high), fill=255
    )
    edge = dice.uniform(2, 5) * sheet.unit
    sheet.colour.polygon(
        (
            sheet.depth + slope - edge,
            0,
            sheet.depth + slope,
            0,
            sheet.depth - slope,
            sheet.high,
            sheet.depth - slope - edge,
            sheet.high,
        ),
        fill=toned(near(dice.pick(MASONRY), dice), dice.pick((0.55, 1.15))),
    )
    return sheet.picture


def _masonry(sheet: Sheet, dice: Dice, box: tuple[float, float, float, float]) -> None:
    """A wall of bricks, boards, concrete or hedge in a box."""
    material = dice.weighted({"bricks": 3.0, "planks": 1.4, "concrete": 2.0, "hedge": 1.4})
    unit = sheet.unit
    if material == "bricks":
        bricks(sheet.colour, box, near(dice.pick(MASONRY[:4]), dice), dice.uniform(4, 6.5) * unit, dice)
    elif material == "planks":
        planks(
            sheet.colour,
            box,
            near(dice.pick(((140, 100, 64), (116, 88, 66), (170, 160, 146), (84, 104, 96))), dice),
            dice.uniform(6, 10) * unit,
            dice,
        )
    elif material == "hedge":
        foliage(sheet.colour, box, near((78, 112, 56), dice), 7 * unit, dice)
    else:
        colour = near(dice.pick(MASONRY[3:]), dice)
        left, top, right, bottom = box
        sheet.colour.rectangle(box, fill=colour)
        for _ in range(dice.integer(2, 4)):
            y = dice.uniform(top, bottom)
            sheet.colour.line((left, y, right, y), fill=toned(colour, 0.72), width=max(1, int(unit * 0.6)))
        for _ in range(5):
            x, y, size = dice.uniform(left, right), dice.uniform(top, bottom), dice.uniform(1, 6) * unit
            sheet.colour.ellipse(
                (x - size, y - size * 1.6, x + size, y + size * 1.6),
                fill=toned(colour, dice.uniform(0.84, 0.97)),
            )
