"""A head with hair and hat, seen from any side."""

from __future__ import annotations

import math
from typing import Final

from training.data.parts import Part
from training.data.synthetic.canvas import Frame, Painter, Shape
from training.data.synthetic.colour import toned
from training.data.synthetic.identity import Identity
from training.data.synthetic.sight import Sight, sine

__all__ = ["draw_hair_behind", "draw_head", "draw_neck"]

_ACROSS, _DEEP, _DOWN, _MIDDLE = (
    0.047,
    0.053,
    0.064,
    0.076,
)  # radii of a skull and its middle, in body heights
_LEAN: Final = 0.012  # how far a walker's head is carried before the neck
_TURNED: Final = 0.25  # hair hangs before the trunk once the face is turned this far away


def draw_hair_behind(painter: Painter, frame: Frame, identity: Identity, sight: Sight) -> None:
    """Hair that the shoulders cover: to be drawn before the body."""
    if sight.cosine >= _TURNED:
        _fall(painter, frame, identity, sight, 0.85)


def draw_neck(painter: Painter, frame: Frame, identity: Identity, sight: Sight) -> None:
    """What a collar lies around."""
    x = sight.point(0.0, 0.0, _LEAN)[0]
    painter.part(frame.limb((x * 0.6, 0.12, 0.026), (0.0, 0.168, 0.03)), identity.skin, Part.HEAD, 62)


def draw_head(painter: Painter, frame: Frame, identity: Identity, sight: Sight) -> None:
    """Skull, face, hair and hat."""
    skin, hair, style = identity.skin, identity.hair, identity.hairstyle
    x = sight.point(0.0, 0.0, _LEAN)[0]
    across = sight.breadth(_ACROSS, _DEEP)
    if sight.cosine >= _TURNED:
        _tail(painter, frame, identity, sight, x)
    if identity.hat == "cap" and sight.cosine < 0:
        _peak(painter, frame, identity, sight, x)
    painter.part(frame.ellipse(x, _MIDDLE, across, _DOWN), skin, Part.HEAD)
    if abs(sight.sine) > 0.3 and sight.cosine > -0.45:  # the nose breaks the outline
        root, tip = x + across * 0.93 * sight.sine, x + across * 1.3 * sight.sine
        painter.part(frame.polygon(((root, 0.066), (tip, 0.092), (root, 0.101))), skin, Part.HEAD)
    if style == "afro":
        painter.part(frame.ellipse(x - 0.014 * sight.sine, 0.056, across + 0.022, 0.066), hair, Part.HEAD)
    elif style in ("bob", "long"):
        painter.part(frame.ellipse(x - 0.004 * sight.sine, 0.07, across + 0.006, 0.064), hair, Part.HEAD)
    elif style != "bald":
        painter.part(frame.ellipse(x - 0.005 * sight.sine, 0.06, across + 0.005, 0.053), hair, Part.HEAD)
    if sight.cosine < _TURNED:
        _fall(painter, frame, identity, sight, 1.0)
    _face(painter, frame, identity, sight, x, across)
    if sight.cosine < _TURNED:
        _tail(painter, frame, identity, sight, x)
    painter.shade(
        frame.polygon(
            ((x + 0.02, 0.03), (x + across * 0.9, 0.05), (x + across * 0.85, 0.105), (x + 0.014, 0.136))
        ),
        36,
    )
    _hat(painter, frame, identity, sight, x)


def _face(painter: Painter, frame: Frame, identity: Identity, sight: Sight, x: float, across: float) -> None:
    skin, style = identity.skin, identity.hairstyle
    framed = style in ("bob", "long", "afro")
    if style != "bald":
        painter.part(_patch(frame, sight, x, across, 0.95 if framed else 1.2, 0.047), skin, Part.HEAD)
    if identity.beard:
        painter.part(_patch(frame, sight, x, across, 1.15, 0.097), toned(identity.hair, 0.95), Part.HEAD)
    for side in (-1, 1):
        at, squareness = sight.around(side * 0.38, across * 0.84, across * 0.84)
        if squareness > 0.2:
            painter.mark(frame.ellipse(x + at, 0.073, 0.003 + 0.004 * squareness, 0.005), (34, 26, 26))
        at, squareness = sight.around(side * 1.62, across * 0.94, across * 0.94)
        if squareness > 0.25 and not framed:
            painter.mark(frame.ellipse(x + at, 0.083, 0.008 * squareness, 0.012), toned(skin, 0.82))
    if sight.cosine > 0.15:
        middle = x + across * 0.66 * sight.sine
        if sight.cosine > 0.6:
            nose = (
                (middle - 0.004, 0.078),
                (middle + 0.003, 0.078),
                (middle + 0.007, 0.094),
                (middle - 0.006, 0.094),
            )
            painter.mark(frame.polygon(nose), toned(skin, 0.84))
        painter.mark(frame.ellipse(middle, 0.11, 0.004 + 0.01 * sight.cosine, 0.0035), toned(skin, 0.62))


def _patch(frame: Frame, sight: Sight, x: float, across: float, reach: float, top: float) -> Shape:
    """What is seen of a head's front, ``reach`` radians to either side, from a height down to the chin."""
    turn = (sight.turn + math.pi) % (2 * math.pi) - math.pi
    first, last = max(turn - reach, -math.pi / 2), min(turn + reach, math.pi / 2)
    if first >= last:
        return []
    left, right = sine(first), sine(last)
    chin = []
    for step in range(6):
        place = right + (left - right) * step / 5
        chin.append((x + across * place, _MIDDLE + _DOWN * math.sqrt(max(0.0, 1 - place * place))))
    brow = top + 0.006
    return frame.polygon(
        [
            (x + across * left, max(brow, 0.0)),
            (x + across * (left + right) / 2, top),
            (x + across * right, brow),
            *chin,
        ]
    )


def _fall(painter: Painter, frame: Frame, identity: Identity, sight: Sight, tone: float) -> None:
    """Hair that hangs down the neck or the back."""
    length = {"long": 0.222, "bob": 0.145}.get(identity.hairstyle)
    if length is None:
        return
    x = sight.point(0.0, 0.0, -0.022)[0]
    lower = sight.point(0.0, 0.0, -0.04 if identity.hairstyle == "long" else -0.022)[0]
    upper_half, lower_half = sight.breadth(0.056, 0.036), sight.breadth(0.064, 0.03)
    fall = (
        (x - upper_half, 0.062), (x + upper_half, 0.062), (lower + lower_half, length - 0.02),
        (lower + lower_half * 0.5, length), (lower - lower_half * 0.5, length),
        (lower - lower_half, length - 0.02),
    )  # fmt: skip
    painter.part(frame.polygon(fall), toned(identity.hair, tone), Part.HEAD)
    if tone == 1.0:
        strand = (
            (x - 0.012, 0.1),
            (x + 0.002, 0.1),
            (lower + 0.004, length - 0.01),
            (lower - 0.016, length - 0.01),
        )
        painter.shade(frame.polygon(strand), 50)


def _tail(painter: Painter, frame: Frame, identity: Identity, sight: Sight, x: float) -> None:
    """A ponytail or a bun, at the back of the head."""
    root = x + sight.point(0.0, 0.0, -0.055)[0]
    if identity.hairstyle == "ponytail":
        hang, end = x + sight.point(0.0, 0.0, -0.082)[0], x + sight.point(0.0, 0.0, -0.076)[0]
        painter.part(
            frame.limb((root, 0.062, 0.016), (hang, 0.125, 0.019), (end, 0.195, 0.008)),
            identity.hair,
            Part.HEAD,
            28,
        )
    elif identity.hairstyle == "bun" and identity.hat in ("none", "cap"):
        painter.part(frame.ellipse(root, 0.022, 0.026, 0.026), identity.hair, Part.HEAD, 25)


def _hat(painter: Painter, frame: Frame, identity: Identity, sight: Sight, x: float) -> None:
    colour = identity.hat_colour
    if identity.hat == "none":
        return
    half = sight.breadth(_ACROSS, _DEEP) + 0.006
    crown = (
        (x - half, 0.054), (x - half * 0.93, 0.022), (x - half * 0.48, -0.002), (x + half * 0.48, -0.002),
        (x + half * 0.93, 0.022), (x + half, 0.054),
    )  # fmt: skip
    painter.part(frame.polygon(crown), colour, Part.HEAD)
    if identity.hat == "beanie":
        band = ((x - half, 0.04), (x + half, 0.04), (x + half, 0.062), (x - half, 0.062))
        painter.part(frame.polygon(band), toned(colour, 0.75), Part.HEAD)
        painter.part(frame.ellipse(x, -0.004, 0.016, 0.013), toned(colour, 1.15), Part.HEAD)
    elif identity.hat == "brim":
        painter.part(frame.ellipse(x, 0.056, half + 0.04, 0.013), toned(colour, 0.8), Part.HEAD)
        inside = half * 0.92
        band = ((x - inside, 0.036), (x + inside, 0.036), (x + inside, 0.048), (x - inside, 0.048))
        painter.mark(frame.polygon(band), toned(colour, 0.5))
    elif sight.cosine >= 0:
        _peak(painter, frame, identity, sight, x)
    elif sight.cosine < -0.6:
        painter.mark(frame.ellipse(x, 0.052, 0.016, 0.008), toned(colour, 0.6))


def _peak(painter: Painter, frame: Frame, identity: Identity, sight: Sight, x: float) -> None:
    """The peak of a cap; the crown covers it once the face is turned away."""
    peak = frame.ellipse(
        x + 0.058 * sight.sine,
        0.054 + 0.005 * sight.cosine,
        sight.breadth(0.049, 0.04),
        0.007 + 0.007 * max(0.0, sight.cosine),
    )
    painter.part(peak, toned(identity.hat_colour, 0.72), Part.HEAD)
