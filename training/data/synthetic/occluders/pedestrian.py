"""Somebody nearer to the camera, who fills the height and shows one shoulder."""

from __future__ import annotations

import math
from dataclasses import replace

from PIL import Image

from training.data.synthetic.canvas import Frame
from training.data.synthetic.dice import Dice
from training.data.synthetic.figure import draw_figure
from training.data.synthetic.gait import Pose
from training.data.synthetic.identity import make_identity
from training.data.synthetic.occluders.sheet import Sheet

__all__ = ["beside"]


def beside(sheet: Sheet, dice: Dice) -> Image.Image:
    """Somebody nearer to the camera, who fills the height and shows one shoulder."""
    identity = replace(
        make_identity(dice),
        coat=True,
        sleeves="long",
        lower="trousers",
        bag="none",
        stature=1.0,
        shoulders=0.9,
    )
    tall = sheet.high * dice.uniform(1.7, 1.95)
    reach = 0.104 * identity.build * identity.shoulders + 0.03
    broad = max(tall * 1.1, sheet.depth * 0.62 / reach)
    # The arm hangs a little beyond the type's edge, the coat below it stays a little behind.
    edge = sheet.depth + 0.03 * sheet.wide
    frame = Frame(edge - reach * broad, -dice.uniform(0.1, 0.15) * sheet.high, broad, tall)
    pose = Pose(dice.pick((0.0, math.pi)), dice.uniform(0, 6.28), 0.3)
    draw_figure(sheet.picture, frame, identity, pose, silhouette=sheet.mask)
    return sheet.picture
