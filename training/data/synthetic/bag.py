"""What people carry: a backpack, a shoulder bag, a handbag. None of it is a part of the body."""

from __future__ import annotations

from training.data.parts import Part
from training.data.synthetic.canvas import Frame, Painter
from training.data.synthetic.colour import toned
from training.data.synthetic.identity import Identity
from training.data.synthetic.sight import Sight
from training.data.synthetic.torso import Trunk

__all__ = ["draw_bag", "draw_handbag"]


def draw_bag(
    painter: Painter, frame: Frame, identity: Identity, sight: Sight, trunk: Trunk, *, over: bool
) -> None:
    """A backpack or shoulder bag: what the body covers of it, or (``over``) what covers the body."""
    if identity.bag == "backpack":
        _draw_backpack(painter, frame, identity, sight, trunk, over)
    elif identity.bag == "shoulder_bag":
        _draw_shoulder_bag(painter, frame, identity, sight, trunk, over)


def _draw_backpack(
    painter: Painter, frame: Frame, identity: Identity, sight: Sight, trunk: Trunk, over: bool
) -> None:
    colour, dark = identity.bag_colour, toned(identity.bag_colour, 0.62)
    _, wide, deep, _ = trunk[3]
    if over:
        for side in (-1, 1):  # straps
            top, squareness = sight.around(side * 0.72, wide * 0.86, deep)
            foot, _ = sight.around(side * 0.95, wide, deep)
            if squareness > 0.12:
                strap = ((top, 0.166, 0.011), ((top + foot) / 2, 0.25, 0.011), (foot, 0.36, 0.009))
                painter.part(frame.limb(*strap), dark, Part.NONE)
    if over != (sight.cosine < 0):
        return
    middle = sight.point(0.0, 0.0, -deep - 0.034)[0]
    half = sight.breadth(0.087 * (0.5 + 0.5 * identity.build), 0.046)
    pack = (
        (middle - half * 0.62, 0.166), (middle + half * 0.62, 0.166), (middle + half, 0.2),
        (middle + half * 1.06, 0.385), (middle + half * 0.85, 0.415),
        (middle - half * 0.85, 0.415), (middle - half * 1.06, 0.385), (middle - half, 0.2),
    )  # fmt: skip
    painter.part(frame.polygon(pack), colour, Part.NONE)
    painter.shade(
        frame.polygon(
            (
                (middle + half * 0.45, 0.18),
                (middle + half, 0.2),
                (middle + half * 1.06, 0.385),
                (middle + half * 0.5, 0.41),
            )
        ),
        60,
    )
    if over:
        for top, share in ((0.305, 0.8), (0.22, 0.85)):  # a pocket's seam and the zip
            left, right = middle - half * share, middle + half * share
            seam = ((left, top), (right, top), (right, top + 0.008), (left, top + 0.008))
            painter.mark(frame.polygon(seam), dark)


def _draw_shoulder_bag(
    painter: Painter, frame: Frame, identity: Identity, sight: Sight, trunk: Trunk, over: bool
) -> None:
    colour, dark = identity.bag_colour, toned(identity.bag_colour, 0.62)
    side = identity.bag_side
    _, wide, deep, _ = trunk[4]
    hip = side * (wide + 0.022)
    if over:  # the strap runs from the other shoulder over chest and back to the hip
        facing = 1.0 if sight.cosine >= 0 else -1.0
        shoulder = sight.point(-side * 0.062 * identity.build, 0.0, 0.0)[0]
        chest = sight.point(side * 0.012, 0.0, facing * deep)[0]
        foot = sight.point(side * wide, 0.0, facing * deep * 0.35)[0]
        strap = ((shoulder, 0.164, 0.0095), (chest, 0.29, 0.0095), (foot, 0.43, 0.0095))
        painter.part(frame.limb(*strap), dark, Part.NONE)
    near = sight.depth(hip, 0.0) > -0.03
    if over != near:
        return
    middle = sight.point(hip, 0.0, 0.0)[0]
    half = sight.breadth(0.03, 0.066)
    body = (
        (middle - half, 0.425), (middle + half, 0.425),
        (middle + half * 1.12, 0.527), (middle - half * 1.12, 0.527),
    )  # fmt: skip
    painter.part(frame.polygon(body), colour, Part.NONE)
    flap = (
        (middle - half * 0.94, 0.427), (middle + half * 0.94, 0.427),
        (middle + half * 0.96, 0.461), (middle - half * 0.96, 0.461),
    )  # fmt: skip
    painter.mark(frame.polygon(flap), toned(colour, 0.8))


def draw_handbag(painter: Painter, frame: Frame, identity: Identity, hand: tuple[float, float]) -> None:
    """A bag with handles, hanging from a hand at a point of the picture, in body units."""
    x, y = hand
    colour = identity.bag_colour
    for shift in (-0.02, 0.02):
        handle = (
            (x - 0.005, y),
            (x + 0.005, y),
            (x + shift + 0.005, y + 0.05),
            (x + shift - 0.005, y + 0.05),
        )
        painter.part(frame.polygon(handle), toned(colour, 0.6), Part.NONE)
    body = ((x - 0.042, y + 0.045), (x + 0.042, y + 0.045), (x + 0.054, y + 0.135), (x - 0.054, y + 0.135))
    painter.part(frame.polygon(body), colour, Part.NONE)
    painter.shade(
        frame.polygon(
            ((x + 0.016, y + 0.045), (x + 0.042, y + 0.045), (x + 0.054, y + 0.135), (x + 0.02, y + 0.135))
        ),
        55,
    )
