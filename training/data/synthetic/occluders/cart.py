"""A trolley full of boxes behind its wire, or a pallet of cartons."""

from __future__ import annotations

from PIL import Image

from training.data.synthetic.colour import CLOTHES, near, toned
from training.data.synthetic.dice import Dice
from training.data.synthetic.occluders.sheet import Sheet

__all__ = ["below"]


def below(sheet: Sheet, dice: Dice) -> Image.Image:
    """A trolley full of boxes behind its wire, or a pallet of cartons."""
    wide, high, unit = sheet.wide, sheet.high, sheet.unit
    top = high - sheet.depth
    goods = top + 2 * unit
    sheet.colour.rectangle((0, top, wide, high), fill=(112, 96, 74))
    sheet.cut.rectangle((0, goods + 3 * unit, wide, high), fill=255)
    floor = high - 9 * unit
    y = goods
    while y < floor:
        tall = dice.uniform(9, 16) * unit
        x = -dice.uniform(0, 10) * unit
        while x < wide:
            broad = dice.uniform(12, 24) * unit
            dip = dice.uniform(0, 2.5) * unit if y == goods else 0.0
            box = near(dice.pick(((186, 148, 100), (170, 130, 86), (204, 170, 122), *CLOTHES[5:22:4])), dice)
            sheet.colour.rectangle((x, y + dip, x + broad, y + tall), fill=box, outline=toned(box, 0.55))
            sheet.colour.rectangle(
                (x + broad * 0.42, y + dip + unit, x + broad * 0.56, y + tall - unit), fill=toned(box, 1.2)
            )
            sheet.cut.rectangle((x, y + dip, x + broad, y + tall), fill=255)
            x += broad
        y += tall
    metal = (188, 192, 196)
    if dice.chance(0.65):  # wire
        step = dice.uniform(5, 7) * unit
        for column in range(int(wide / step) + 2):
            sheet.colour.line(
                (column * step, goods + 5 * unit, column * step - 2 * unit, floor),
                fill=metal,
                width=max(1, int(unit * 0.8)),
            )
        for row in range(4):
            level = goods + 5 * unit + (floor - goods - 5 * unit) * row / 3
            sheet.colour.line((0, level, wide, level), fill=metal, width=max(1, int(unit * 0.8)))
    sheet.colour.rectangle((0, floor, wide, floor + 3 * unit), fill=toned(metal, 0.6))
    sheet.colour.rectangle((0, floor + 3 * unit, wide, high), fill=(54, 54, 58))
    for x in (0.15, 0.85):
        sheet.colour.ellipse(
            (wide * x - 4.5 * unit, high - 8 * unit, wide * x + 4.5 * unit, high + unit), fill=(24, 24, 26)
        )
    handle = near(dice.pick(((190, 40, 40), (40, 90, 170), (230, 150, 40), (60, 60, 64))), dice)
    sheet.colour.rectangle((0, top, wide, goods + 1.5 * unit), fill=handle)
    sheet.cut.rectangle((0, top, wide, goods + 1.5 * unit), fill=255)
    return sheet.picture
