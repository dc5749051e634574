"""The trunk and what hangs from it: shirt, jacket, coat, skirt, collar."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from training.data.parts import Part
from training.data.synthetic.canvas import Frame, Painter
from training.data.synthetic.colour import Colour, toned
from training.data.synthetic.gait import Leg
from training.data.synthetic.identity import Identity
from training.data.synthetic.outfit import COAT_HEM, Outfit
from training.data.synthetic.sight import Sight

__all__ = ["Trunk", "draw_collar", "draw_skirt", "draw_trunk", "trunk_of"]

_CROTCH: Final = 0.515  # where the trunk ends and the label map goes over to the legs
_KNEE: Final = 0.725

Trunk = tuple[tuple[float, float, float, float], ...]
"""Levels from neck to hem: height, half-width, half-depth, how far forward the middle is."""


def trunk_of(identity: Identity) -> Trunk:
    """The shape of a clothed trunk: an upright column with an ellipse at each level."""
    build = identity.build
    shoulder, hip, deep = 0.104 * build * identity.shoulders, 0.084 * build, 0.5 * (0.064 + 0.064 * build)
    waist = 0.5 * (0.074 * build + min(shoulder, hip) * 0.86)
    levels: Trunk = (
        (0.15, 0.034, 0.031, 0.004),
        (0.168, shoulder * 0.84, deep * 0.62, -0.002),
        (0.196, shoulder, deep * 0.9, -0.002),
        (0.285, shoulder * 0.94, deep * 1.02, 0.005),
        (0.4, waist, deep * 0.92, 0.002),
    )
    if identity.lower == "dress":
        return *levels, (0.43, waist * 1.04, deep * 0.96, 0.0)
    levels = *levels, (_CROTCH, hip * 1.1, deep * 1.06, -0.004)
    return (*levels, (COAT_HEM, hip * 1.26, deep * 1.34, 0.0)) if identity.coat else levels


def draw_trunk(
    painter: Painter, frame: Frame, identity: Identity, sight: Sight, outfit: Outfit, trunk: Trunk
) -> None:
    """Shirt, jacket or coat, without the sleeves."""
    painter.part(frame.polygon(_outline(trunk, sight)), outfit.upper, Part.CHEST)
    if identity.coat:
        painter.label(frame.polygon(_outline(trunk[-2:], sight)), Part.UPPER_LEG)
    painter.shade(frame.polygon(_outline(trunk[1:], sight, start=0.42)), 60)
    fold = sight.point(0.0, 0.355, 0.05)[0]
    painter.shade(
        frame.polygon(
            ((fold - 0.045, 0.358), (fold + 0.03, 0.345), (fold + 0.035, 0.352), (fold - 0.04, 0.37))
        ),
        38,
    )
    if identity.shirt is not None:
        _draw_strip(painter, frame, sight, trunk, 0.36, identity.shirt)
        for side in (-1, 1):
            neck, squareness = sight.around(side * 0.8, trunk[0][1], trunk[0][2])
            if squareness > 0.25:
                tip = sight.around(side * 0.3, trunk[3][1], trunk[3][2])[0]
                lapel = frame.polygon(((neck - 0.005, 0.162), (neck + 0.005, 0.162), (tip, 0.27)))
                painter.mark(lapel, toned(identity.upper.colour, 0.68))
    elif identity.collar is None and sight.cosine > -0.1:
        x = sight.point(0.0, 0.0, 0.022)[0]
        wide = 0.006 + 0.02 * max(0.0, sight.cosine)
        painter.mark(frame.polygon(((x - wide, 0.15), (x + wide, 0.15), (x, 0.186))), identity.skin)


def draw_collar(painter: Painter, frame: Frame, identity: Identity, sight: Sight) -> None:
    """A band around the neck and two flaps in front."""
    if identity.collar is None:
        return
    middle = sight.point(0.0, 0.0, 0.004)[0]
    top, foot = sight.breadth(0.035, 0.033), sight.breadth(0.054, 0.046)
    band = (
        (middle - top, 0.141), (middle + top, 0.141), (middle + foot, 0.174),
        (middle, 0.174 + 0.012 * sight.cosine), (middle - foot, 0.174),
    )  # fmt: skip
    painter.part(frame.polygon(band), identity.collar, Part.CHEST)
    if sight.cosine > 0.25:  # the throat
        wide = 0.022 * sight.cosine
        x = middle + 0.03 * sight.sine
        painter.part(
            frame.polygon(((x - wide, 0.139), (x + wide, 0.139), (x, 0.166))), identity.skin, Part.HEAD, 60
        )
    for side in (-1, 1):
        root, _ = sight.around(side * 1.05, 0.05, 0.045)
        tip, squareness = sight.around(side * 0.5, 0.062, 0.066)
        inner, _ = sight.around(side * 0.12, 0.044, 0.05)
        if squareness > -0.1:
            flap = ((root, 0.16), (inner, 0.163), (tip, 0.212), (root, 0.186))
            painter.part(frame.polygon(flap), identity.collar, Part.CHEST, 24 if side > 0 else 0)


def draw_skirt(
    painter: Painter,
    frame: Frame,
    identity: Identity,
    sight: Sight,
    outfit: Outfit,
    legs: Sequence[Leg],
    trunk: Trunk,
) -> None:
    """Skirt or dress, as wide as its cut or as the step in it."""
    hip, deep = 0.084 * identity.build, 0.5 * (0.064 + 0.064 * identity.build)
    waist = sight.breadth(trunk[4][1], trunk[4][2])
    hips = sight.breadth(hip * 1.12, deep * 1.2)
    long = identity.lower == "long_skirt"
    hem = 0.86 if long else 0.7
    cut = hip * 1.3 + (0.014 if identity.lower == "skirt" else 0.024)
    flare = sight.breadth(cut, cut * 0.8)
    knees = [sight.point(*leg.knee)[0] for leg in legs]
    shins = [0.4 * knee + 0.6 * sight.point(*leg.ankle)[0] for knee, leg in zip(knees, legs, strict=True)]
    left, right = min(-flare, min(knees) - 0.042), max(flare, max(knees) + 0.042)
    above = ((-waist, 0.41), (waist, 0.41), (hips, 0.5))
    below: tuple[tuple[float, float], ...]
    if long:
        foot_left, foot_right = min(left, min(shins) - 0.03), max(right, max(shins) + 0.03)
        below = ((right, _KNEE), (foot_right, hem), (foot_left, hem), (left, _KNEE))
    else:
        below = ((right, hem), (left, hem))
    painter.part(frame.polygon((*above, *below, (-hips, 0.5))), outfit.skirt, Part.UPPER_LEG)
    if long:
        painter.label(frame.polygon(below), Part.LOWER_LEG)
    last = below[1] if long else below[0]
    painter.shade(
        frame.polygon(((waist * 0.4, 0.43), (waist, 0.43), (hips, 0.5), last, (last[0] * 0.45, hem))), 56
    )


def _outline(levels: Trunk, sight: Sight, start: float = -1.0) -> list[tuple[float, float]]:
    """The outline of a column: its right side downwards, then back up at ``start`` (-1 left, 1 right)."""
    rows = [
        (sight.point(0.0, 0.0, middle)[0], sight.breadth(wide, deep), height)
        for height, wide, deep, middle in levels
    ]
    return [(x + half, y) for x, half, y in rows] + [(x + start * half, y) for x, half, y in reversed(rows)]


def _draw_strip(
    painter: Painter, frame: Frame, sight: Sight, trunk: Trunk, reach: float, colour: Colour
) -> None:
    """A strip down the front of the trunk, ``reach`` radians to either side, as far as it is seen."""
    left_side, right_side = [], []
    for height, wide, deep, middle in trunk:
        shift = sight.point(0.0, 0.0, middle)[0]
        half = sight.breadth(wide, deep)
        narrow = 0.8 if height < 0.16 else 0.4 if height < 0.2 else 1.0
        edges = []
        for side in (-1, 1):
            x, squareness = sight.around(side * reach * narrow, wide, deep)
            if squareness < 0:  # turned away: the strip ends at the outline
                x = half if sight.sine > 0 else -half
            edges.append(x + shift)
        left_side.append((min(edges), height))
        right_side.append((max(edges), height))
    if sight.cosine > -0.25:
        painter.mark(frame.polygon(left_side + right_side[::-1]), colour)
