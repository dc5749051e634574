"""What people carry: a backpack, a shoulder bag, a handbag."""

from __future__ import annotations

from training.data.synthetic.canvas import Frame, Painter
from training.data.synthetic.cloth import Aspect
from training.data.synthetic.colour import toned
from training.data.synthetic.identity import Identity

__all__ = ["draw_bag_behind", "draw_bag_on_body", "draw_handbag"]


def draw_bag_behind(painter: Painter, frame: Frame, identity: Identity, aspect: Aspect) -> None:
    """What of a bag is hidden by the body: drawn before it. The side view looks towards positive x."""
    if identity.bag == "backpack" and aspect == "side":
        depth = 0.062 * identity.build
        painter.part(
            frame.polygon(
                (
                    (-0.02, 0.175),
                    (-depth - 0.035, 0.18),
                    (-depth - 0.075, 0.215),
                    (-depth - 0.08, 0.36),
                    (-depth - 0.055, 0.405),
                    (-0.02, 0.405),
                )
            ),
            identity.bag_colour,
        )
        painter.shade(
            frame.polygon(((-depth - 0.08, 0.3), (-0.02, 0.3), (-0.02, 0.405), (-depth - 0.055, 0.405))), 55
        )
    elif identity.bag == "backpack" and aspect == "front":
        wide = 0.088 * identity.build
        painter.part(
            frame.polygon(((-wide, 0.155), (wide, 0.155), (wide, 0.2), (-wide, 0.2))),
            toned(identity.bag_colour, 0.7),
        )


def draw_bag_on_body(painter: Painter, frame: Frame, identity: Identity, aspect: Aspect) -> None:
    """What of a bag lies over the body: straps, the pack on a back, the shoulder bag at the hip."""
    colour = identity.bag_colour
    dark = toned(colour, 0.62)
    wide = identity.build
    if identity.bag == "backpack":
        if aspect == "front":
            for side in (-1, 1):
                x = side * 0.062 * wide
                painter.part(
                    frame.polygon(
                        (
                            (x - 0.011, 0.158),
                            (x + 0.011, 0.158),
                            (x * 1.12 + 0.011, 0.37),
                            (x * 1.12 - 0.011, 0.37),
                        )
                    ),
                    dark,
                )
        elif aspect == "side":
            painter.part(
                frame.limb((-0.012, 0.172, 0.011), (0.04 * wide, 0.235, 0.011), (-0.02, 0.345, 0.009)), dark
            )
        else:
            across = 0.087 * (0.5 + 0.5 * wide)
            painter.part(
                frame.polygon(
                    (
                        (-across * 0.6, 0.168), (across * 0.6, 0.168), (across, 0.2),
                        (across * 1.05, 0.385), (across * 0.85, 0.415),
                        (-across * 0.85, 0.415), (-across * 1.05, 0.385), (-across, 0.2),
                    )
                ),
                colour,
            )  # fmt: skip
            painter.shade(
                frame.polygon(
                    ((across * 0.45, 0.18), (across, 0.2), (across * 1.05, 0.385), (across * 0.5, 0.41))
                ),
                60,
            )
            painter.mark(
                frame.polygon(
                    (
                        (-across * 0.75, 0.305),
                        (across * 0.75, 0.305),
                        (across * 0.75, 0.314),
                        (-across * 0.75, 0.314),
                    )
                ),
                dark,
            )
            painter.mark(
                frame.polygon(
                    (
                        (-across * 0.8, 0.22),
                        (across * 0.8, 0.22),
                        (across * 0.8, 0.226),
                        (-across * 0.8, 0.226),
                    )
                ),
                dark,
            )
    elif identity.bag == "shoulder_bag":
        side = identity.bag_side * (-1 if aspect == "back" else 1)
        if aspect == "side":
            strap = frame.polygon(((-0.014, 0.165), (0.012, 0.165), (0.016, 0.44), (-0.006, 0.44)))
            painter.mark(strap, dark)
            painter.part(
                frame.polygon(((-0.062, 0.425), (0.07, 0.425), (0.078, 0.53), (-0.07, 0.53))), colour
            )
            painter.mark(
                frame.polygon(((-0.064, 0.425), (0.072, 0.425), (0.074, 0.46), (-0.066, 0.46))),
                toned(colour, 0.8),
            )
            return
        hip = side * 0.115 * wide
        painter.mark(
            frame.polygon(
                (
                    (-side * 0.066 * wide, 0.158),
                    (-side * 0.04 * wide, 0.158),
                    (hip + side * 0.012, 0.44),
                    (hip - side * 0.016, 0.44),
                )
            ),
            dark,
        )
        painter.part(
            frame.polygon(
                ((hip - 0.05, 0.425), (hip + 0.046, 0.425), (hip + 0.052, 0.525), (hip - 0.056, 0.525))
            ),
            colour,
        )
        painter.mark(
            frame.polygon(
                ((hip - 0.05, 0.425), (hip + 0.046, 0.425), (hip + 0.047, 0.458), (hip - 0.052, 0.458))
            ),
            toned(colour, 0.8),
        )


def draw_handbag(painter: Painter, frame: Frame, identity: Identity, hand: tuple[float, float]) -> None:
    """A bag with handles, hanging from a hand at a body point."""
    x, y = hand
    colour = identity.bag_colour
    for shift in (-0.02, 0.02):
        painter.mark(
            frame.polygon(
                ((x - 0.005, y), (x + 0.005, y), (x + shift + 0.005, y + 0.05), (x + shift - 0.005, y + 0.05))
            ),
            toned(colour, 0.6),
        )
    painter.part(
        frame.polygon(
            ((x - 0.042, y + 0.045), (x + 0.042, y + 0.045), (x + 0.054, y + 0.135), (x - 0.054, y + 0.135))
        ),
        colour,
    )
    painter.shade(
        frame.polygon(
            ((x + 0.016, y + 0.045), (x + 0.042, y + 0.045), (x + 0.054, y + 0.135), (x + 0.02, y + 0.135))
        ),
        55,
    )
