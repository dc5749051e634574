"""A car in front of the person, or the tail of a van beside."""

from __future__ import annotations

from PIL import Image

from training.data.synthetic.colour import CLOTHES, PAINT, near, toned
from training.data.synthetic.dice import Dice
from training.data.synthetic.occluders.sheet import Sheet

__all__ = ["below", "beside"]


def below(sheet: Sheet, dice: Dice) -> Image.Image:
    """A car in front of the person: bonnet or boot for a shallow one, windows and roof for a deep one."""
    wide, high, unit = sheet.wide, sheet.high, sheet.unit
    paint = near(dice.pick(PAINT), dice)
    top = high - sheet.depth
    belt = top + (0.0 if sheet.depth < 0.38 * high else sheet.depth * dice.uniform(0.4, 0.48))
    slope = dice.uniform(-0.02, 0.02) * high
    body = [0, top - slope, wide * 0.5, top - unit, wide, top + slope, wide, high, 0, high]
    sheet.cut.polygon(body, fill=255)
    sheet.colour.polygon(body, fill=toned(paint, 1.08))
    sheet.colour.rectangle((0, belt + 3 * unit, wide, high), fill=paint)
    sheet.colour.rectangle((0, belt + (high - belt) * 0.55, wide, high), fill=toned(paint, 0.8))
    sheet.colour.rectangle(
        (0, belt + (high - belt) * 0.5, wide, belt + (high - belt) * 0.5 + unit), fill=toned(paint, 1.35)
    )
    seam = wide * dice.uniform(0.25, 0.75)
    if belt > top:
        glass = dice.pick(((44, 52, 60), (70, 86, 100), (30, 34, 40)))
        frame = 3.5 * unit
        sheet.colour.polygon(
            (
                0,
                top - slope + frame,
                wide * 0.5,
                top + frame - unit,
                wide,
                top + slope + frame,
                wide,
                belt,
                0,
                belt,
            ),
            fill=glass,
        )
        for _ in range(2):
            x, broad = dice.uniform(0, wide), dice.uniform(3, 14) * unit
            sheet.colour.polygon(
                (
                    x,
                    top + frame + unit,
                    x + broad,
                    top + frame + unit,
                    x + broad - 9 * unit,
                    belt,
                    x - 9 * unit,
                    belt,
                ),
                fill=toned(glass, 1.45),
            )
        sheet.colour.rectangle((seam - 2.5 * unit, top, seam + 2.5 * unit, belt), fill=toned(paint, 0.5))
    sheet.colour.line((seam, belt, seam, high), fill=toned(paint, 0.45), width=max(1, int(unit)))
    sheet.colour.rectangle(
        (seam + 4 * unit, belt + 6 * unit, seam + 13 * unit, belt + 8 * unit), fill=toned(paint, 0.4)
    )
    wheel = wide * dice.pick((-0.05, 0.12, 0.9, 1.05))
    radius = 17 * unit
    sheet.colour.ellipse(
        (wheel - radius * 1.12, high - radius * 0.95, wheel + radius * 1.12, high + radius * 1.25),
        fill=(22, 22, 24),
    )
    sheet.colour.ellipse(
        (wheel - radius * 0.62, high - radius * 0.42, wheel + radius * 0.62, high + radius * 0.8),
        fill=(146, 148, 152),
    )
    lamp = wide * dice.uniform(0.0, 0.9)
    if belt == top:
        sheet.colour.ellipse(
            (lamp, top + 4 * unit, lamp + 11 * unit, top + 9 * unit),
            fill=dice.pick(((226, 222, 206), (176, 34, 34))),
        )
    return sheet.picture


def beside(sheet: Sheet, dice: Dice) -> Image.Image:
    """The tail of a van or a bus."""
    paint = near(dice.pick(PAINT), dice)
    right, high, unit = sheet.depth, sheet.high, sheet.unit
    curve = dice.uniform(2, 6) * unit
    body = [0, 0, right - curve, 0, right, 12 * unit, right, 90 * unit, right - curve, high, 0, high]
    sheet.cut.polygon(body, fill=255)
    sheet.colour.polygon(body, fill=paint)
    sheet.colour.rectangle((0, 60 * unit, right, high), fill=toned(paint, 0.84))
    glass = dice.pick(((44, 52, 60), (72, 88, 102)))
    sheet.colour.rectangle((0, 13 * unit, right - 6 * unit, 44 * unit), fill=toned(paint, 0.5))
    sheet.colour.rectangle((0, 14.5 * unit, right - 7.5 * unit, 42.5 * unit), fill=glass)
    sheet.colour.polygon(
        (
            right * 0.3,
            14.5 * unit,
            right * 0.5,
            14.5 * unit,
            right * 0.3,
            42.5 * unit,
            right * 0.1,
            42.5 * unit,
        ),
        fill=toned(glass, 1.4),
    )
    sheet.colour.rectangle((0, 53 * unit, right, 57 * unit), fill=near(dice.pick(CLOTHES), dice))
    sheet.colour.rectangle((right - 5 * unit, 62 * unit, right - unit, 74 * unit), fill=(178, 36, 32))
    sheet.colour.rectangle((0, 86 * unit, right, 91 * unit), fill=(52, 52, 56))
    sheet.colour.ellipse(
        (right * 0.1 - 16 * unit, 82 * unit, right * 0.1 + 8 * unit, 106 * unit), fill=(24, 24, 26)
    )
    sheet.colour.line(
        (right * 0.72, 46 * unit, right * 0.72, 86 * unit),
        fill=toned(paint, 0.5),
        width=max(1, int(unit * 0.8)),
    )
    return sheet.picture
