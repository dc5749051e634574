"""How a person walks: hip, knee, ankle, shoulder and elbow through one stride, in three dimensions.

A leg's stride runs from heel strike over stance and push-off (about half of it) through the swing, in which
the knee bends and the foot clears the ground. The arms swing against the legs. The angles are a likeness of a
walk, measured on nobody.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal

from training.data.synthetic.sight import cosine, sine

__all__ = ["SHOULDER", "SOLE", "Arm", "Holding", "Leg", "Point", "Pose", "arm_of", "leg_of"]

Point = tuple[float, float, float]
"""(side, height, forward) as in :class:`sight.Sight`."""

SHOULDER: Final = 0.178
SOLE: Final = 0.985
_HIP, _THIGH, _SHIN = 0.5, 0.225, 0.212
_UPPER_ARM, _FOREARM = 0.15, 0.135
_PUSH_OFF = 1.05 * math.pi  # where stance ends and swing begins

Holding = Literal["nothing", "bag", "phone", "pocket"]
"""What the arm does beside swinging."""


@dataclass(frozen=True, slots=True)
class Pose:
    """How a person stands in one picture.

    Attributes:
        turn: radians; 0 faces the camera, π/2 walks to the picture's right, π shows the back.
        phase: of the stride, radians: 0 is the heel strike of the left foot, π that of the right.
        stride: how far a thigh swings to either side, radians.
        tilt: how far down the camera looks, see :class:`sight.Sight`.
        left, right: what the arms do.
    """

    turn: float
    phase: float
    stride: float
    tilt: float = 0.1
    left: Holding = "nothing"
    right: Holding = "nothing"


@dataclass(frozen=True, slots=True)
class Leg:
    """Joints of a leg, and the two ends of its foot."""

    hip: Point
    knee: Point
    ankle: Point
    heel: Point
    toe: Point


@dataclass(frozen=True, slots=True)
class Arm:
    """Joints of an arm."""

    shoulder: Point
    elbow: Point
    hand: Point


def leg_of(pose: Pose, side: int, hips: float) -> Leg:
    """A leg as the pose has it, before the body is set on the ground.

    Args:
        side: 1 for the left leg, -1 for the right.
        hips: half the width of the hips.
    """
    phase = (pose.phase + (0.0 if side > 0 else math.pi)) % (2 * math.pi)
    vigour = pose.stride / 0.4
    swing = (phase - _PUSH_OFF) / (2 * math.pi - _PUSH_OFF)
    if swing > 0:
        bend = 0.07 + vigour * 0.92 * sine(math.pi * min(1.0, swing * 1.08))
        pitch = vigour * (-0.62 * (1 - swing) + 0.22 * swing)
    else:
        stance = phase / _PUSH_OFF
        bend = 0.07 + vigour * (0.14 * sine(math.pi * stance) + 0.1 * max(0.0, stance - 0.8) / 0.2)
        pitch = vigour * (0.22 * max(0.0, 1 - stance / 0.16) - 0.62 * max(0.0, stance - 0.62) / 0.38)
    thigh = 0.05 + pose.stride * cosine(phase)
    shin = thigh - bend
    at_hip, at_knee, at_ankle = side * hips * 0.5, side * (hips * 0.5 + 0.003), side * (hips * 0.44 + 0.002)
    knee = (at_knee, _HIP + _THIGH * cosine(thigh), _THIGH * sine(thigh))
    ankle = (at_ankle, knee[1] + _SHIN * cosine(shin), knee[2] + _SHIN * sine(shin))
    up, ahead = sine(pitch), cosine(pitch)

    def of_foot(forward: float, down: float, outward: float) -> Point:
        return (
            at_ankle + side * outward,
            ankle[1] + down * ahead - forward * up,
            ankle[2] + forward * ahead + down * up,
        )

    return Leg((at_hip, _HIP, 0.0), knee, ankle, of_foot(-0.014, 0.026, 0.0), of_foot(0.062, 0.031, 0.011))


def arm_of(pose: Pose, side: int, shoulders: float) -> Arm:
    """An arm as the pose has it.

    Args:
        side: 1 for the left arm, -1 for the right.
        shoulders: half the width of the shoulders.
    """
    phase = pose.phase + (0.0 if side > 0 else math.pi)
    holding = pose.left if side > 0 else pose.right
    back_and_forth = -cosine(phase)
    swing = pose.stride * 0.85 * back_and_forth
    bend, outward = 0.24 + 0.4 * max(0.0, swing), 0.02
    if holding == "bag":
        swing, bend = swing * 0.35, 0.06
    elif holding == "phone":
        swing, bend = 0.16 + swing * 0.1, 1.85
    elif holding == "pocket":
        swing, bend, outward = -0.2 + swing * 0.15, 0.62, 0.036
    # The shoulders turn a little against the hips.
    shoulder = (side * (shoulders - 0.013), SHOULDER + 0.02, 0.004 + 0.016 * back_and_forth)
    elbow = (
        side * (shoulders + outward),
        shoulder[1] + _UPPER_ARM * cosine(swing),
        shoulder[2] + _UPPER_ARM * sine(swing),
    )
    fore = swing + bend
    inward = {"nothing": 0.006, "bag": 0.0, "phone": 0.075, "pocket": 0.034}[holding]
    hand = (
        elbow[0] - side * inward,
        elbow[1] + _FOREARM * cosine(fore),
        elbow[2] + _FOREARM * sine(fore),
    )
    return Arm(shoulder, elbow, hand)
