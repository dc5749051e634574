"""A canopy whose scalloped rim hangs across the top of the picture."""

from __future__ import annotations

import math

from PIL import Image

from training.data.synthetic.colour import CLOTHES, near, toned
from training.data.synthetic.dice import Dice
from training.data.synthetic.occluders.sheet import Sheet

__all__ = ["above"]


def above(sheet: Sheet, dice: Dice) -> Image.Image:
    """A canopy whose scalloped rim hangs across the picture."""
    wide, rim = sheet.wide, sheet.depth
    colour = near(dice.pick(CLOTHES), dice)
    other = colour if dice.chance(0.6) else near(dice.pick(CLOTHES), dice)
    middle = wide * dice.uniform(0.35, 0.65)
    # The apex is far enough above the picture for the canopy to fill its corners.
    apex = -rim * dice.uniform(1.3, 1.8)
    span = wide * dice.uniform(0.4, 0.5)
    sag = sheet.unit * 4.5
    if dice.chance(0.7):  # the shaft, where the person holds it
        thick = sheet.unit * 0.7
        for draw, fill in ((sheet.colour, (150, 150, 154)), (sheet.cut, 255)):
            draw.rectangle((middle - thick, rim, middle + thick, rim + sheet.high * 0.2), fill=fill)
    for panel in range(-3, 3):
        left, right = middle + panel * span, middle + (panel + 1) * span
        drop_left, drop_right = (abs(edge - middle) / wide * sheet.unit * 3 for edge in (left, right))
        outline = [middle, apex, left, rim + sag + drop_left]
        for step in range(1, 6):
            share = step / 6
            lift = sag * math.sin(math.pi * share)
            outline += [
                left + (right - left) * share,
                rim + sag - lift + drop_left + (drop_right - drop_left) * share,
            ]
        outline += [right, rim + sag + drop_right]
        shade = 1.0 - 0.09 * abs(panel + 0.5)
        sheet.colour.polygon(outline, fill=toned(colour if panel % 2 else other, shade))
        sheet.cut.polygon(outline, fill=255)
        sheet.colour.line(
            (middle, apex, left, rim + sag + drop_left),
            fill=toned(colour, 0.5),
            width=max(1, int(sheet.unit * 0.7)),
        )
    return sheet.picture
