"""A head with hair and hat, seen from three sides."""

from __future__ import annotations

from training.data.synthetic.canvas import Frame, Painter
from training.data.synthetic.cloth import Aspect
from training.data.synthetic.colour import toned
from training.data.synthetic.identity import Identity

__all__ = ["draw_hair_behind", "draw_head"]

_ACROSS, _DOWN, _MIDDLE = 0.047, 0.064, 0.076  # radii of a head and its middle, in body heights


def draw_hair_behind(painter: Painter, frame: Frame, identity: Identity, aspect: Aspect) -> None:
    """Hair that falls behind the shoulders: to be drawn before the body, except when the back is seen."""
    hair = toned(identity.hair, 0.85)
    if aspect == "front" and identity.hairstyle == "long":
        painter.part(frame.polygon(((-0.058, 0.07), (0.058, 0.07), (0.066, 0.215), (-0.066, 0.215))), hair)
    elif aspect == "front" and identity.hairstyle == "bob":
        painter.part(frame.polygon(((-0.058, 0.06), (0.058, 0.06), (0.062, 0.14), (-0.062, 0.14))), hair)


def draw_head(painter: Painter, frame: Frame, identity: Identity, aspect: Aspect) -> None:
    """Neck, head, face, hair and hat. A head from the side looks towards positive x."""
    skin, hair = identity.skin, identity.hair
    lean = 0.014 if aspect == "side" else 0.0
    if aspect != "back":
        painter.part(frame.limb((lean * 0.5, 0.12, 0.026), (0.0, 0.17, 0.03)), skin, 70)
    if aspect == "front":
        _front(painter, frame, identity)
    elif aspect == "back":
        painter.part(frame.limb((0.0, 0.12, 0.026), (0.0, 0.165, 0.03)), skin, 50)
        painter.part(frame.ellipse(0.0, _MIDDLE, _ACROSS, _DOWN), skin)
        if identity.hairstyle != "bald":
            painter.part(frame.ellipse(0.0, _MIDDLE - 0.008, _ACROSS + 0.004, _DOWN), hair)
        if identity.hairstyle == "long":
            painter.part(
                frame.polygon(
                    (
                        (-0.054, 0.06),
                        (0.054, 0.06),
                        (0.062, 0.2),
                        (0.03, 0.235),
                        (-0.03, 0.235),
                        (-0.062, 0.2),
                    )
                ),
                hair,
            )
            painter.shade(frame.polygon(((-0.012, 0.1), (0.002, 0.1), (0.004, 0.225), (-0.016, 0.225))), 50)
        elif identity.hairstyle == "bob":
            painter.part(frame.polygon(((-0.055, 0.06), (0.055, 0.06), (0.06, 0.142), (-0.06, 0.142))), hair)
        elif identity.hairstyle == "ponytail":
            painter.part(frame.limb((0.0, 0.07, 0.016), (0.004, 0.15, 0.02), (0.0, 0.21, 0.008)), hair, 30)
    else:
        _side(painter, frame, identity, lean)
    if identity.hairstyle == "afro":
        _afro(painter, frame, identity, aspect, lean)
    elif identity.hairstyle == "bun" and identity.hat in ("none", "cap"):
        x, y = (lean - 0.045, 0.03) if aspect == "side" else (0.0, 0.004 if aspect == "front" else 0.03)
        painter.part(frame.ellipse(x, y, 0.026, 0.026), hair, 25)
    _hat(painter, frame, identity, aspect, lean)


def _front(painter: Painter, frame: Frame, identity: Identity) -> None:
    skin, hair = identity.skin, identity.hair
    if identity.hairstyle != "bald":
        painter.part(frame.ellipse(0.0, _MIDDLE - 0.012, _ACROSS + 0.006, _DOWN - 0.004), hair)
    painter.part(frame.ellipse(0.0, _MIDDLE + 0.006, _ACROSS - 0.002, _DOWN - 0.006), skin)
    if identity.hairstyle != "bald":
        fringe = 0.052 if identity.hairstyle in ("short", "bun", "ponytail") else 0.058
        painter.part(
            frame.polygon(
                (
                    (-0.046, 0.07),
                    (-0.04, 0.03),
                    (0.0, 0.012),
                    (0.04, 0.03),
                    (0.046, 0.07),
                    (0.03, fringe),
                    (-0.02, fringe - 0.008),
                )
            ),
            hair,
        )
    if identity.beard:
        painter.part(
            frame.polygon(
                (
                    (-0.044, 0.088),
                    (-0.02, 0.1),
                    (0.02, 0.1),
                    (0.044, 0.088),
                    (0.03, 0.125),
                    (0.0, 0.14),
                    (-0.03, 0.125),
                )
            ),
            toned(hair, 0.95),
        )
    for side in (-1, 1):
        painter.mark(frame.ellipse(side * 0.018, 0.074, 0.0065, 0.005), (34, 26, 26))
    painter.mark(
        frame.polygon(((-0.003, 0.078), (0.003, 0.078), (0.007, 0.094), (-0.006, 0.094))), toned(skin, 0.84)
    )
    painter.mark(frame.ellipse(0.0, 0.109, 0.014, 0.0035), toned(skin, 0.62))
    painter.shade(frame.polygon(((0.022, 0.05), (0.046, 0.07), (0.04, 0.11), (0.018, 0.132))), 34)


def _side(painter: Painter, frame: Frame, identity: Identity, lean: float) -> None:
    skin, hair = identity.skin, identity.hair
    style = identity.hairstyle
    if style == "long":
        painter.part(
            frame.polygon(
                ((lean - 0.056, 0.06), (lean, 0.05), (lean - 0.006, 0.15), (-0.03, 0.225), (-0.075, 0.215))
            ),
            hair,
        )
    elif style == "ponytail":
        painter.part(
            frame.limb((lean - 0.05, 0.06, 0.016), (-0.072, 0.12, 0.02), (-0.072, 0.19, 0.008)), hair, 30
        )
    painter.part(frame.ellipse(lean, _MIDDLE, _ACROSS + 0.004, _DOWN), skin)
    painter.part(
        frame.polygon(((lean + 0.046, 0.066), (lean + 0.064, 0.092), (lean + 0.046, 0.1))), skin
    )  # nose
    if style != "bald":
        nape = 0.145 if style in ("bob", "long") else 0.112
        painter.part(
            frame.polygon(
                (
                    (lean + 0.044, 0.05), (lean + 0.034, 0.024), (lean, 0.008), (lean - 0.036, 0.02),
                    (lean - 0.055, 0.055),
                    (lean - 0.056, 0.09), (lean - 0.046, nape), (lean - 0.016, nape),
                    (lean - 0.006, 0.075), (lean + 0.016, 0.05),
                )
            ),
            hair,
        )  # fmt: skip
    if identity.beard:
        painter.part(
            frame.polygon(
                ((lean - 0.004, 0.09), (lean + 0.044, 0.106), (lean + 0.034, 0.138), (lean + 0.004, 0.13))
            ),
            toned(hair, 0.95),
        )
    painter.mark(frame.ellipse(lean - 0.008, 0.086, 0.006, 0.011), toned(skin, 0.8))
    painter.mark(frame.ellipse(lean + 0.034, 0.072, 0.0055, 0.0045), (34, 26, 26))


def _afro(painter: Painter, frame: Frame, identity: Identity, aspect: Aspect, lean: float) -> None:
    if aspect == "back":
        painter.part(frame.ellipse(0.0, 0.062, 0.072, 0.072), identity.hair)
        return
    shift = -0.02 if aspect == "side" else 0.0
    for x, y, radius in (
        (-0.048, 0.062, 0.026),
        (-0.03, 0.024, 0.032),
        (0.0, 0.012, 0.034),
        (0.03, 0.024, 0.03),
    ):
        painter.part(frame.ellipse(lean + shift + x, y, radius, radius), identity.hair)
    if aspect == "front":
        painter.part(frame.ellipse(0.048, 0.062, 0.026, 0.026), identity.hair)


def _hat(painter: Painter, frame: Frame, identity: Identity, aspect: Aspect, lean: float) -> None:
    colour = identity.hat_colour
    if identity.hat == "none":
        return
    rim = 0.054
    crown = frame.polygon(
        (
            (lean - 0.054, rim), (lean - 0.05, 0.022), (lean - 0.026, -0.002), (lean + 0.026, -0.002),
            (lean + 0.05, 0.022),
            (lean + 0.054, rim),
        )
    )  # fmt: skip
    painter.part(crown, colour)
    if identity.hat == "beanie":
        painter.part(
            frame.polygon(
                ((lean - 0.056, 0.04), (lean + 0.056, 0.04), (lean + 0.056, 0.062), (lean - 0.056, 0.062))
            ),
            toned(colour, 0.75),
        )
        painter.part(frame.ellipse(lean, -0.004, 0.016, 0.013), toned(colour, 1.15))
    elif identity.hat == "brim":
        painter.part(frame.ellipse(lean, 0.056, 0.094, 0.013), toned(colour, 0.8))
        painter.mark(
            frame.polygon(
                ((lean - 0.052, 0.036), (lean + 0.052, 0.036), (lean + 0.053, 0.048), (lean - 0.053, 0.048))
            ),
            toned(colour, 0.5),
        )
    elif aspect == "front":
        painter.part(frame.ellipse(0.0, 0.057, 0.05, 0.013), toned(colour, 0.72))
    elif aspect == "side":
        painter.part(
            frame.polygon(
                ((lean + 0.03, 0.044), (lean + 0.098, 0.056), (lean + 0.096, 0.066), (lean + 0.03, 0.06))
            ),
            toned(colour, 0.72),
        )
    else:
        painter.mark(frame.ellipse(0.0, 0.052, 0.016, 0.01), toned(colour, 0.6))
