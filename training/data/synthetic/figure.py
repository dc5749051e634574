"""A walking person, seen from the front, from the back or from the side."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from PIL import Image

from training.data.synthetic.bag import draw_bag_behind, draw_bag_on_body, draw_handbag
from training.data.synthetic.canvas import Frame, Painter, Shape
from training.data.synthetic.cloth import Aspect, weave
from training.data.synthetic.colour import Colour, toned
from training.data.synthetic.head import draw_hair_behind, draw_head
from training.data.synthetic.identity import Identity

__all__ = ["VIEWS", "Pose", "View", "draw_figure"]

View = Literal["front", "back", "left", "right"]
"""Which side of the body the camera sees; left and right: the direction of walking in the picture."""

VIEWS: tuple[View, ...] = ("front", "back", "left", "right")

_SHOULDER, _HIP, _KNEE, _ANKLE, _SOLE = 0.178, 0.5, 0.725, 0.93, 0.985  # body heights of the joints


@dataclass(frozen=True, slots=True)
class Pose:
    """How a person stands in one picture.

    Attributes:
        view: which side is seen.
        phase: of the step, radians: 0 is mid-stance, π/2 the widest step.
        stride: how far legs and arms swing, radians.
    """

    view: View
    phase: float
    stride: float


@dataclass(frozen=True, slots=True)
class _Outfit:
    """Cloths laid out for this picture."""

    upper: Colour | Image.Image
    legs: Colour | Image.Image
    skirt: Colour | Image.Image


def draw_figure(
    picture: Image.Image, frame: Frame, identity: Identity, pose: Pose, silhouette: Image.Image | None = None
) -> None:
    """Draw a person into an RGB picture, in place.

    Args:
        picture: RGB.
        frame: where the body stands; its ``wide`` must be positive.
        identity: who.
        pose: how.
        silhouette: L, of the same size; gets 255 where the person is.
    """
    aspect: Aspect = "front" if pose.view == "front" else "back" if pose.view == "back" else "side"
    # A shorter person stands on the same ground.
    frame = Frame(
        frame.x,
        frame.y + (1 - identity.stature) * frame.tall * _SOLE,
        frame.wide * (-1 if pose.view == "left" else 1) * (0.5 + 0.5 * identity.stature),
        frame.tall * identity.stature,
    )
    painter = Painter(picture, silhouette)
    hem = 0.68 if identity.coat else 0.53
    upper = weave(identity.upper, picture.size, frame, aspect, _SHOULDER, hem)
    legs = weave(identity.legwear, picture.size, frame, aspect, 0.46, 0.96)
    outfit = _Outfit(upper, legs, upper if identity.lower == "dress" else legs)
    if aspect == "side":
        _draw_side(painter, frame, identity, pose, outfit)
    else:
        _draw_upright(painter, frame, identity, pose, aspect, outfit)
    painter.finish(frame.tall / 110)


def _draw_upright(
    painter: Painter, frame: Frame, identity: Identity, pose: Pose, aspect: Aspect, outfit: _Outfit
) -> None:
    """Front and back."""
    build = identity.build
    swing = math.sin(pose.phase) * pose.stride / 0.45
    shoulder, hip = 0.104 * build * identity.shoulders, 0.084 * build
    waist = 0.5 * (0.074 * build + min(shoulder, hip) * 0.86)
    draw_hair_behind(painter, frame, identity, aspect)
    draw_bag_behind(painter, frame, identity, aspect)
    # The foot in front is nearer to the camera, so lower in the picture, and its leg is drawn over the other.
    sides = (-1, 1) if swing > 0 else (1, -1)
    nearer = 1 if aspect == "front" else -1
    for order, side in enumerate(sides):
        forward = 0.02 * side * swing * nearer
        x_hip, x_knee, x_foot = side * hip * 0.5, side * (hip * 0.5 + 0.006), side * (hip * 0.46 + 0.004)
        ankle = (x_foot, _ANKLE - 0.016 + forward, 0.021 * build)
        toe = 0.018 if aspect == "front" else 0.006
        shoe = frame.ellipse(x_foot + side * 0.006, ankle[1] + 0.02 + toe * 0.5, 0.03, 0.022 + toe * 0.4)
        painter.part(shoe, identity.shoes, 40 if order == 0 else 0)
        joints = ((x_hip, _HIP, 0.046 * build), (x_knee, _KNEE + forward * 0.5, 0.033 * build), ankle)
        _draw_leg(painter, frame, identity, outfit, joints, 62 if order == 0 else 18)
        painter.shade(
            frame.limb(
                (x_hip + 0.02, _HIP + 0.04, 0.014 * build), (x_foot + 0.012, _ANKLE - 0.04, 0.007 * build)
            ),
            88,
        )
    if identity.lower in ("skirt", "long_skirt", "dress"):
        hem = 0.86 if identity.lower == "long_skirt" else 0.7
        flare = hip * 1.3 + (0.016 if identity.lower == "skirt" else 0.026)
        sway = 0.012 * swing
        skirt = frame.polygon(
            ((-waist, 0.41), (waist, 0.41), (hip * 1.12, 0.5), (flare + sway, hem), (-flare + sway, hem))
        )
        painter.part(skirt, outfit.skirt)
        painter.shade(
            frame.polygon(
                (
                    (waist * 0.5, 0.43),
                    (waist, 0.43),
                    (hip * 1.12, 0.5),
                    (flare + sway, hem),
                    (flare * 0.45, hem),
                )
            ),
            58,
        )
    hem = 0.68 if identity.coat else 0.425 if identity.lower == "dress" else 0.515
    skirt_of_coat = 1.22 if identity.coat else 1.1
    torso = (
        (-0.034, 0.15), (0.034, 0.15), (shoulder * 0.86, 0.168), (shoulder, 0.196),
        (shoulder * 0.94, 0.29), (waist, 0.4),
        (hip * skirt_of_coat, hem), (-hip * skirt_of_coat, hem), (-waist, 0.4), (-shoulder * 0.94, 0.29),
        (-shoulder, 0.196),
        (-shoulder * 0.86, 0.168),
    )  # fmt: skip
    painter.part(frame.polygon(torso), outfit.upper)
    painter.shade(
        frame.polygon(
            (
                (shoulder * 0.5, 0.19),
                (shoulder, 0.2),
                (shoulder * 0.94, 0.29),
                (waist, 0.4),
                (hip * skirt_of_coat, hem),
                (hip * 0.5, hem),
            )
        ),
        62,
    )
    painter.shade(frame.polygon(((-0.05, 0.36), (0.03, 0.345), (0.035, 0.352), (-0.045, 0.37))), 40)  # a fold
    if aspect == "front":
        if identity.shirt is not None:
            painter.mark(
                frame.polygon(((-0.03, 0.152), (0.03, 0.152), (0.022, hem), (-0.016, hem))), identity.shirt
            )
            painter.mark(
                frame.polygon(((-0.034, 0.15), (-0.026, 0.15), (-0.006, 0.27), (-0.024, 0.27))),
                toned(identity.upper.colour, 0.7),
            )
            painter.mark(
                frame.polygon(((0.034, 0.15), (0.026, 0.15), (0.01, 0.27), (0.03, 0.27))),
                toned(identity.upper.colour, 0.7),
            )
        else:
            painter.mark(frame.polygon(((-0.03, 0.15), (0.03, 0.15), (0.0, 0.188))), identity.skin)
    draw_bag_on_body(painter, frame, identity, aspect)
    bag_hand = identity.bag_side * (-1 if aspect == "back" else 1)
    for side in (-1, 1):
        lift = 0.035 * max(0.0, -side * swing * nearer)
        elbow_x, hand_x = side * (shoulder + 0.022), side * (shoulder + 0.026 - lift * 0.6)
        joints = (
            (side * (shoulder - 0.014), _SHOULDER + 0.018, 0.031 * (0.4 + 0.6 * build)),
            (elbow_x, 0.335 - lift * 0.4, 0.025 * (0.4 + 0.6 * build)),
            (hand_x, 0.462 - lift, 0.02),
        )
        if identity.bag == "handbag" and side == bag_hand:
            draw_handbag(painter, frame, identity, (hand_x, 0.47 - lift))
        _draw_arm(painter, frame, identity, outfit, joints, 30 if side > 0 else 0)
        if side < 0:
            painter.shade(
                frame.limb((joints[0][0] + 0.022, 0.24, 0.008), (joints[1][0] + 0.02, 0.43, 0.006)), 80
            )
    draw_head(painter, frame, identity, aspect)


def _draw_side(painter: Painter, frame: Frame, identity: Identity, pose: Pose, outfit: _Outfit) -> None:
    """From the side, walking towards positive x; the frame mirrors those who walk the other way."""
    build = identity.build
    swing = math.sin(pose.phase) * pose.stride
    depth = 0.5 * (0.064 + 0.064 * build)
    legs = [_side_leg(angle, lifted, build) for angle, lifted in ((-swing, swing > 0), (swing, swing <= 0))]
    # The standing foot stays on the ground however wide the step.
    frame = frame.lowered(_SOLE - max(leg[-1][1] + 0.035 for leg in legs))
    draw_bag_behind(painter, frame, identity, "side")
    far_arm, near_arm = (_side_arm(angle, build) for angle in (swing * 0.85, -swing * 0.85))
    # Seen walking right, the body's right side is near; a bag on the other side is partly hidden.
    near_side = -1 if pose.view == "right" else 1
    if identity.bag == "handbag" and identity.bag_side != near_side:
        draw_handbag(painter, frame, identity, (far_arm[2][0], far_arm[2][1] + 0.008))
    _draw_arm(painter, frame, identity, outfit, far_arm, 90)
    for order, joints in enumerate(legs):
        x, y = joints[2][0], joints[2][1]
        painter.part(
            frame.polygon(
                (
                    (x - 0.026, y - 0.004),
                    (x + 0.022, y - 0.006),
                    (x + 0.06, y + 0.018),
                    (x + 0.068, y + 0.035),
                    (x - 0.03, y + 0.035),
                )
            ),
            identity.shoes,
            60 if order == 0 else 0,
        )
        _draw_leg(painter, frame, identity, outfit, joints, 84 if order == 0 else 12)
        if order == 1:
            painter.shade(
                frame.limb(
                    (joints[0][0] - 0.022, joints[0][1] + 0.05, 0.012),
                    (joints[1][0] - 0.016, joints[1][1], 0.009),
                    (x - 0.01, y - 0.03, 0.006),
                ),
                78,
            )
    if identity.lower in ("skirt", "long_skirt", "dress"):
        hem = 0.86 if identity.lower == "long_skirt" else 0.7
        reach = abs(swing) * (0.2 if hem < 0.8 else 0.26)
        painter.part(
            frame.polygon(
                (
                    (-depth, 0.41),
                    (depth * 0.95, 0.41),
                    (depth * 1.15, 0.5),
                    (depth + reach, hem),
                    (-depth - reach, hem),
                    (-depth * 1.25, 0.5),
                )
            ),
            outfit.skirt,
        )
        painter.shade(
            frame.polygon(
                (
                    (-depth, 0.43),
                    (-depth * 0.3, 0.43),
                    (-depth * 0.2, hem),
                    (-depth - reach, hem),
                    (-depth * 1.25, 0.5),
                )
            ),
            60,
        )
    hem = 0.68 if identity.coat else 0.425 if identity.lower == "dress" else 0.515
    tail = depth * (1.1 + (0.3 + abs(swing)) * identity.coat)
    torso = (
        (-0.03, 0.152), (0.03, 0.156), (depth * 0.9, 0.2), (depth * 1.04, 0.28), (depth * 0.98, 0.4),
        (tail, hem), (-tail, hem),
        (-depth * 0.92, 0.4), (-depth, 0.26), (-depth * 0.88, 0.19),
    )  # fmt: skip
    painter.part(frame.polygon(torso), outfit.upper)
    painter.shade(
        frame.polygon(
            (
                (-0.02, 0.165),
                (-depth * 0.88, 0.19),
                (-depth, 0.26),
                (-depth * 0.92, 0.4),
                (-tail, hem),
                (-tail * 0.4, hem),
                (-depth * 0.45, 0.3),
            )
        ),
        60,
    )
    if identity.shirt is not None:
        painter.mark(
            frame.polygon(
                (
                    (0.026, 0.156),
                    (depth * 0.9, 0.2),
                    (depth * 1.04, 0.28),
                    (depth * 0.98, 0.4),
                    (depth * 0.8, 0.4),
                    (depth * 0.78, 0.26),
                )
            ),
            identity.shirt,
        )
    if identity.bag == "shoulder_bag" and identity.bag_side != near_side:
        painter.mark(
            frame.polygon(((-0.004, 0.162), (0.018, 0.162), (-depth * 0.7, 0.42), (-depth * 0.98, 0.4))),
            toned(identity.bag_colour, 0.62),
        )
    draw_head(painter, frame, identity, "side")
    if identity.bag != "shoulder_bag" or identity.bag_side == near_side:
        draw_bag_on_body(painter, frame, identity, "side")
    if identity.bag == "handbag" and identity.bag_side == near_side:
        draw_handbag(painter, frame, identity, (near_arm[2][0], near_arm[2][1] + 0.008))
    _draw_arm(painter, frame, identity, outfit, near_arm, 0)
    painter.shade(
        frame.limb(
            (near_arm[0][0] - 0.016, 0.23, 0.009),
            (near_arm[1][0] - 0.014, near_arm[1][1], 0.008),
            (near_arm[2][0] - 0.01, near_arm[2][1] - 0.03, 0.005),
        ),
        70,
    )


def _side_leg(angle: float, lifted: bool, build: float) -> tuple[tuple[float, float, float], ...]:
    """Hip, knee and ankle of a leg that swings by ``angle`` (radians, forwards positive)."""
    bend = 0.12 + (0.75 * abs(angle) if angle < 0 else 0.18 * abs(angle)) + (0.1 if lifted else 0.0)
    knee_x, knee_y = 0.225 * math.sin(angle), _HIP + 0.225 * math.cos(angle)
    shin = angle - bend
    return (
        (0.0, _HIP, 0.05 * (0.3 + 0.7 * build)),
        (knee_x, knee_y, 0.034 * (0.3 + 0.7 * build)),
        (knee_x + 0.215 * math.sin(shin), knee_y + 0.215 * math.cos(shin), 0.021 * (0.5 + 0.5 * build)),
    )


def _side_arm(angle: float, build: float) -> tuple[tuple[float, float, float], ...]:
    """Shoulder, elbow and hand of an arm that swings by ``angle`` (radians, forwards positive)."""
    elbow_x, elbow_y = -0.004 + 0.15 * math.sin(angle), _SHOULDER + 0.026 + 0.15 * math.cos(angle)
    fore = angle + 0.22 + 0.3 * max(0.0, angle)
    width = 0.4 + 0.6 * build
    return (
        (-0.004, _SHOULDER + 0.022, 0.033 * width),
        (elbow_x, elbow_y, 0.026 * width),
        (elbow_x + 0.13 * math.sin(fore), elbow_y + 0.13 * math.cos(fore), 0.02),
    )


def _draw_arm(
    painter: Painter,
    frame: Frame,
    identity: Identity,
    outfit: _Outfit,
    joints: tuple[tuple[float, float, float], ...],
    shadow: int,
) -> None:
    shoulder, elbow, hand = joints
    bare: Shape = frame.limb((*hand[:2], 0.023))
    if identity.sleeves == "long":
        painter.part(bare, identity.skin, shadow)
        painter.part(frame.limb(shoulder, elbow, _between(elbow, hand, 0.86)), outfit.upper, shadow)
        return
    painter.part(
        bare + frame.limb(_slim(shoulder, 0.86), _slim(elbow, 0.86), _slim(hand, 0.86)), identity.skin, shadow
    )
    if identity.sleeves == "short":
        painter.part(frame.limb(shoulder, _between(shoulder, elbow, 0.72)), outfit.upper, shadow)


def _draw_leg(
    painter: Painter,
    frame: Frame,
    identity: Identity,
    outfit: _Outfit,
    joints: tuple[tuple[float, float, float], ...],
    shadow: int,
) -> None:
    hip, knee, ankle = joints
    if identity.lower == "trousers":
        cuff = (ankle[0], ankle[1] + 0.004, ankle[2] * 1.25)
        painter.part(frame.limb(hip, _slim(knee, 1.08), cuff), outfit.legs, shadow)
        if identity.side_stripe:
            side = math.copysign(0.8, hip[0]) if hip[0] else 0.0
            seam = [(x + side * radius * 0.8, y, 0.008) for x, y, radius in (hip, knee, cuff)]
            painter.mark(frame.limb(*seam), identity.legwear.accent)
        return
    painter.part(frame.limb(_slim(hip, 0.92), _slim(knee, 0.9), ankle), identity.skin, shadow)
    painter.part(frame.limb(_between(knee, ankle, 0.78), ankle), identity.socks, shadow)
    if identity.lower == "shorts":
        painter.part(frame.limb(hip, _slim(_between(hip, knee, 0.82), 1.1)), outfit.legs, shadow)


def _between(
    start: tuple[float, float, float], end: tuple[float, float, float], share: float
) -> tuple[float, float, float]:
    """The point, and the radius there, at a share of the way from one joint to the next."""
    x, y, radius = (a + (b - a) * share for a, b in zip(start, end, strict=True))
    return x, y, radius


def _slim(joint: tuple[float, float, float], factor: float) -> tuple[float, float, float]:
    return joint[0], joint[1], joint[2] * factor
