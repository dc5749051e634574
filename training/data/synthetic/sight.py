"""From which side a body is seen: points of the body to points of the picture, and which is nearer."""

from __future__ import annotations

import math
from typing import Final, Literal

__all__ = ["VIEWS", "Sight", "View", "cosine", "sine"]

View = Literal["front", "front_right", "right", "back_right", "back", "back_left", "left", "front_left"]
"""Which side of the body the camera sees; left and right: the direction of walking in the picture."""

VIEWS: Final[dict[View, float]] = {
    "front": 0.0,
    "front_right": math.pi / 4,
    "right": math.pi / 2,
    "back_right": 3 * math.pi / 4,
    "back": math.pi,
    "back_left": -3 * math.pi / 4,
    "left": -math.pi / 2,
    "front_left": -math.pi / 4,
}
"""Each view's turn in radians: 0 faces the camera, π/2 walks to the picture's right."""

_DIGITS: Final = 9  # C libraries differ in a sine's last bit; pictures must not


def sine(angle: float) -> float:
    """The sine, the same on every machine."""
    return round(math.sin(angle), _DIGITS)


def cosine(angle: float) -> float:
    """The cosine, the same on every machine."""
    return round(math.cos(angle), _DIGITS)


class Sight:
    """How a camera sees a body.

    Body space: ``side`` to the body's own left, ``height`` down from the crown, ``forward`` where it walks;
    all in body heights.

    Args:
        turn: radians; 0 faces the camera, π/2 walks to the picture's right, π shows the back.
        tilt: how far down the camera looks: what is nearer by 1 appears lower by ``tilt``.
    """

    __slots__ = ("cosine", "sine", "tilt", "turn")

    def __init__(self, turn: float, tilt: float) -> None:
        self.turn = turn
        self.sine, self.cosine = sine(turn), cosine(turn)
        self.tilt = tilt

    def depth(self, side: float, forward: float) -> float:
        """How much nearer to the camera than the body's middle a point is."""
        return forward * self.cosine - side * self.sine

    def point(self, side: float, height: float, forward: float) -> tuple[float, float]:
        """Where a point of the body is seen, in the coordinates of ``canvas.Frame``."""
        across = side * self.cosine + forward * self.sine
        return across, height + self.tilt * (forward * self.cosine - side * self.sine)

    def around(self, angle: float, wide: float, deep: float) -> tuple[float, float]:
        """A point on an upright elliptical column.

        Args:
            angle: radians around the column, from straight ahead towards the body's left.
            wide, deep: half-axes along ``side`` and ``forward``.

        Returns:
            The point's x in the picture, and how squarely its surface faces the camera, -1 to 1.
        """
        side, forward = wide * sine(angle), deep * cosine(angle)
        return side * self.cosine + forward * self.sine, cosine(angle + self.turn)

    def breadth(self, wide: float, deep: float) -> float:
        """Half the width at which an upright elliptical column is seen."""
        return math.sqrt((wide * self.cosine) ** 2 + (deep * self.sine) ** 2)
