"""A walking person, seen from any side."""

from __future__ import annotations

from PIL import Image

from training.data.synthetic.bag import draw_bag
from training.data.synthetic.canvas import Frame, Painter
from training.data.synthetic.gait import SOLE, Pose, arm_of, leg_of
from training.data.synthetic.head import draw_hair_behind, draw_head, draw_neck
from training.data.synthetic.identity import Identity
from training.data.synthetic.limbs import draw_arm, draw_leg
from training.data.synthetic.outfit import lay_out
from training.data.synthetic.sight import Sight
from training.data.synthetic.torso import draw_collar, draw_skirt, draw_trunk, trunk_of

__all__ = ["draw_figure"]


def draw_figure(
    picture: Image.Image,
    frame: Frame,
    identity: Identity,
    pose: Pose,
    *,
    silhouette: Image.Image | None = None,
    labels: Image.Image | None = None,
) -> None:
    """Draw a person into an RGB picture, in place, from what is far to what is near.

    Args:
        picture: RGB.
        frame: where an average body stands.
        identity: who.
        pose: how.
        silhouette: L, of the same size; gets 255 where the person and what is carried are.
        labels: L, of the same size; gets the code of ``training.data.parts`` where a part of the body is, and
            0 where something carried is.
    """
    sight = Sight(pose.turn, pose.tilt)
    shoulders, hips = 0.104 * identity.build * identity.shoulders, 0.084 * identity.build
    legs = {side: leg_of(pose, side, hips) for side in (-1, 1)}
    arms = {side: arm_of(pose, side, shoulders) for side in (-1, 1)}
    # A shorter person stands on the same ground, and so does the lowest foot however wide the step.
    lowest = max(max(leg.heel[1], leg.toe[1]) for leg in legs.values()) + 0.017
    frame = Frame(
        frame.x,
        frame.y + (1 - identity.stature) * frame.tall * SOLE,
        frame.wide * (0.5 + 0.5 * identity.stature),
        frame.tall * identity.stature,
    ).lowered(SOLE - lowest)
    outfit = lay_out(identity, picture.size, frame, sight)
    trunk = trunk_of(identity)
    painter = Painter(picture, silhouette, labels)

    far_first = sorted((-1, 1), key=lambda side: sight.depth(legs[side].knee[0], legs[side].knee[2]))
    behind = [
        side for side in (-1, 1) if sight.depth(arms[side].elbow[0], arms[side].elbow[2]) < -0.5 * trunk[3][2]
    ]
    draw_hair_behind(painter, frame, identity, sight)
    draw_bag(painter, frame, identity, sight, trunk, over=False)
    for side in behind:
        draw_arm(painter, frame, identity, sight, outfit, arms[side], pose, side=side, shadow=74)
    for order, side in enumerate(far_first):
        draw_leg(painter, frame, identity, sight, outfit, legs[side], far=order == 0)
    if identity.lower in ("skirt", "long_skirt", "dress"):
        draw_skirt(painter, frame, identity, sight, outfit, list(legs.values()), trunk)
    draw_trunk(painter, frame, identity, sight, outfit, trunk)
    draw_neck(painter, frame, identity, sight)
    draw_collar(painter, frame, identity, sight)
    draw_head(painter, frame, identity, sight)
    draw_bag(painter, frame, identity, sight, trunk, over=True)
    for side in (-1, 1):
        if side not in behind:
            draw_arm(painter, frame, identity, sight, outfit, arms[side], pose, side=side, shadow=0)
    painter.finish(frame.tall / 110)
