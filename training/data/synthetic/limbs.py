"""Arms and legs with what covers them: sleeves, trousers, shorts, socks, shoes."""

from __future__ import annotations

import math

from training.data.parts import Part
from training.data.synthetic.bag import draw_handbag
from training.data.synthetic.canvas import Frame, Painter
from training.data.synthetic.colour import toned
from training.data.synthetic.gait import Arm, Leg, Pose
from training.data.synthetic.identity import Identity
from training.data.synthetic.outfit import Outfit
from training.data.synthetic.sight import Sight

__all__ = ["draw_arm", "draw_leg"]

Joint = tuple[float, float, float]
"""Where a joint is seen, and the limb's radius there: x, y, radius in body units."""

_BEHIND = 62  # shadow of the limb that is farther from the camera


def draw_leg(
    painter: Painter, frame: Frame, identity: Identity, sight: Sight, outfit: Outfit, leg: Leg, *, far: bool
) -> None:
    """A leg and its foot; ``far`` is the one that the other may cover."""
    shadow = _BEHIND if far else 12
    # A leg is thicker from front to back than across.
    build = 0.3 + 0.7 * identity.build
    thick = (0.046 + 0.005 * abs(sight.sine)) * build
    hip: Joint = (*sight.point(*leg.hip), thick)
    knee: Joint = (*sight.point(*leg.knee), 0.034 * build)
    ankle: Joint = (*sight.point(*leg.ankle), 0.021 * (0.5 + 0.5 * identity.build))
    _draw_foot(painter, frame, identity, sight, leg, shadow)
    if identity.lower == "trousers":
        cuff = (ankle[0], ankle[1] + 0.004, ankle[2] * 1.25)
        knee = _slim(knee, 1.08)
        painter.part(frame.limb(hip, knee, cuff), outfit.legs, Part.LOWER_LEG, shadow)
        if identity.side_stripe and (side := math.copysign(1.0, leg.hip[0])) * -sight.sine > -0.8:
            out = side * sight.cosine * 0.62
            painter.mark(
                frame.limb(*((x + out * radius, y, 0.008) for x, y, radius in (hip, knee, cuff))),
                identity.legwear.accent,
            )
    else:
        knee = _slim(knee, 0.9)
        painter.part(frame.limb(_slim(hip, 0.92), knee, ankle), identity.skin, Part.LOWER_LEG, shadow)
        painter.part(frame.limb(_between(knee, ankle, 0.78), ankle), identity.socks, Part.LOWER_LEG, shadow)
        hip = _slim(hip, 0.92)
    painter.label(frame.limb(hip, knee), Part.UPPER_LEG)
    if identity.lower == "shorts":
        painter.part(
            frame.limb(_slim(hip, 1.1), _slim(_between(hip, knee, 0.82), 1.12)),
            outfit.legs,
            Part.UPPER_LEG,
            shadow,
        )
    painter.shade(
        frame.limb(
            (hip[0] + 0.022, hip[1] + 0.05, 0.012),
            (knee[0] + 0.014, knee[1], 0.009),
            (ankle[0] + 0.009, ankle[1] - 0.03, 0.006),
        ),
        shadow + 66,
    )


def _draw_foot(
    painter: Painter, frame: Frame, identity: Identity, sight: Sight, leg: Leg, shadow: int
) -> None:
    heel, toe = sight.point(*leg.heel), sight.point(*leg.toe)
    # Seen from the front a foot is foreshortened: the shoe's cap looms a little larger.
    cap = 0.017 + 0.004 * max(0.0, sight.cosine)
    instep = sight.point(*leg.ankle)
    shoe = frame.limb((instep[0], instep[1] + 0.008, 0.017), (*heel, 0.02), (*toe, cap))
    shoe += frame.polygon(((instep[0] - 0.014, instep[1]), (instep[0] + 0.014, instep[1]), toe, heel))
    painter.part(shoe, identity.shoes, Part.FOOT, shadow)
    sole = toned(identity.shoes, 1.5) if sum(identity.shoes) < 200 else toned(identity.shoes, 0.62)
    painter.mark(frame.limb((heel[0], heel[1] + 0.011, 0.006), (toe[0], toe[1] + 0.009, 0.005)), sole)


def draw_arm(
    painter: Painter,
    frame: Frame,
    identity: Identity,
    sight: Sight,
    outfit: Outfit,
    arm: Arm,
    pose: Pose,
    *,
    side: int,
    shadow: int,
) -> None:
    """An arm, its hand, and the handbag that may hang from it; ``side`` is 1 for the left arm."""
    width = 0.4 + 0.6 * identity.build
    shoulder: Joint = (*sight.point(*arm.shoulder), 0.032 * width)
    elbow: Joint = (*sight.point(*arm.elbow), 0.0255 * width)
    hand: Joint = (*sight.point(*arm.hand), 0.02)
    holding = pose.left if side > 0 else pose.right
    if holding == "bag":
        draw_handbag(painter, frame, identity, hand[:2])
    if holding == "phone":
        painter.part(frame.limb((hand[0], hand[1] - 0.012, 0.013)), (34, 36, 42), Part.NONE)
    if holding != "pocket" or identity.sleeves != "long":
        painter.part(frame.limb((*hand[:2], 0.0225)), identity.skin, Part.LOWER_ARM, shadow)
    if identity.sleeves == "long":
        wrist = _between(elbow, hand, 0.88)
        painter.part(frame.limb(shoulder, elbow, wrist), outfit.upper, Part.LOWER_ARM, shadow)
        painter.label(frame.limb(shoulder, elbow), Part.UPPER_ARM)
    else:
        bare = [_slim(joint, 0.86) for joint in (shoulder, elbow, hand)]
        painter.part(frame.limb(*bare), identity.skin, Part.LOWER_ARM, shadow)
        painter.label(frame.limb(*bare[:2]), Part.UPPER_ARM)
        if identity.sleeves == "short":
            painter.part(
                frame.limb(shoulder, _between(shoulder, elbow, 0.72)), outfit.upper, Part.UPPER_ARM, shadow
            )
    painter.shade(
        frame.limb(
            (shoulder[0] + 0.014, shoulder[1] + 0.04, 0.009),
            (elbow[0] + 0.012, elbow[1], 0.008),
            (hand[0] + 0.009, hand[1] - 0.03, 0.005),
        ),
        shadow + 64,
    )


def _between(start: Joint, end: Joint, share: float) -> Joint:
    """The point, and the radius there, at a share of the way from one joint to the next."""
    x, y, radius = (a + (b - a) * share for a, b in zip(start, end, strict=True))
    return x, y, radius


def _slim(joint: Joint, factor: float) -> Joint:
    return joint[0], joint[1], joint[2] * factor
