"""One drawn picture: a person, a camera, and what stands between."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter

from models import occlusion as occlusions
from training.data.synthetic.backdrop import MARGIN, backdrop_of
from training.data.synthetic.camera import camera_of, develop
from training.data.synthetic.canvas import Frame
from training.data.synthetic.clock import FRAMES_PER_SECOND, moment
from training.data.synthetic.dice import Dice, Subject
from training.data.synthetic.figure import draw_figure
from training.data.synthetic.gait import Holding, Pose
from training.data.synthetic.identity import Identity, Twin, identity_of, twin_of
from training.data.synthetic.occluder import Kind, draw_occluder
from training.data.synthetic.sight import VIEWS, View

__all__ = ["SyntheticPicture", "draw"]

_SUPERSAMPLING: Final = 2
_SMALLEST: Final = 16
_ASIDE: Final = 0.3  # how far a person is turned away from a view's own angle, radians
_HOLDING: Final[dict[Holding, float]] = {"nothing": 8.0, "phone": 0.7, "pocket": 1.3}


@dataclass(frozen=True, slots=True, eq=False)
class SyntheticPicture:
    """A picture and the truth about it.

    Attributes:
        image: uint8 [H, W, 3], RGB.
        person, camera: whose and where; numbers as given to :func:`draw`.
        frame: when, in frames of the clock that all cameras share (``clock.py``).
        twin: whom the person can hardly be told from, None if nobody.
        view: which side of the person is seen.
        occlusion: code of ``models.occlusion``, 0 to 8.
        occluder: what hides the person, None where the code is 0.
        fraction: hidden share of the picture's pixels, 0 to 1: the mean of ``mask``.
        hidden: hidden share of the pixels that show the person's body without the occluder, 0 to 1.
        mask: bool [H, W], true where the occluder is.
        labels: uint8 [H, W], which part of the body is seen: codes of ``training.data.parts``, 0 where none
            is (background, occluder, what the person carries).
    """

    image: npt.NDArray[np.uint8]
    person: int
    camera: int
    frame: int
    twin: Twin | None
    view: View
    occlusion: int
    occluder: Kind | None
    fraction: float
    hidden: float
    mask: npt.NDArray[np.bool_]
    labels: npt.NDArray[np.uint8]


def draw(
    person: int,
    camera: int,
    index: int,
    *,
    seed: int,
    height: int = 128,
    width: int = 64,
    occlusion: int | None = 0,
    occluded_share: float = 0.5,
    near_identical: float = 0.0,
) -> SyntheticPicture:
    """Draw picture number ``index`` of a person in a camera.

    The picture depends on the arguments alone, not on what was drawn before. The occluder has a stream of
    its own: the same person, camera and index without an occluder is the same picture with nothing in front.

        >>> draw(3, 1, 0, seed=7, occlusion=4).image.shape
        (128, 64, 3)

    Args:
        person, camera, index: 0 to 2³²-1. Numbers name people and cameras of this seed; another seed, others.
        seed: 0 to 2³²-1.
        height, width: of the picture in pixels, at least 16.
        occlusion: code to hide, 0 for nothing, None to leave it to the dice.
        occluded_share: with ``occlusion=None``: probability of an occluder, 0 to 1; each code is then as
            likely.
        near_identical: share of the people who have a twin that differs in one detail only, 0 to 1.

    Raises:
        ValueError: an argument is out of its range.
    """
    if min(height, width) < _SMALLEST:
        raise ValueError(
            f"a picture must be at least {_SMALLEST} pixels high and wide, not {height} × {width}"
        )
    if not 0 <= occluded_share <= 1:
        raise ValueError(f"occluded_share must be 0 to 1, not {occluded_share}")
    if not 0 <= near_identical <= 1:
        raise ValueError(f"near_identical must be 0 to 1, not {near_identical}")
    if occlusion is not None and not 0 <= occlusion < occlusions.COUNT:
        raise ValueError(f"occlusion code must be 0 to {occlusions.COUNT - 1}, not {occlusion}")
    dice = Dice(seed, Subject.PICTURE, person, camera, index)
    hiding = Dice(seed, Subject.OCCLUSION, person, camera, index)
    drawn_code = hiding.integer(1, occlusions.COUNT - 1) if hiding.chance(occluded_share) else occlusions.NONE
    code = drawn_code if occlusion is None else occlusion
    habits = camera_of(seed, camera)
    size = (_SUPERSAMPLING * width, _SUPERSAMPLING * height)

    scene = _ground(seed, camera, size, dice)
    view = dice.weighted(habits.views)
    frame = moment(seed, person, camera, index)
    identity = identity_of(seed, person, near_identical)
    labels = _place_person(scene, identity, view, habits.tilt, frame, dice)
    mask = np.zeros((height, width), dtype=np.bool_)
    kind: Kind | None = None
    if code != occlusions.NONE:
        occluder = draw_occluder(code, size, hiding)
        scene.paste(occluder.picture, (0, 0), occluder.mask)
        mask = np.asarray(occluder.mask.reduce(_SUPERSAMPLING)) >= 128
        kind = occluder.kind
    hidden = 0.0
    if kind is not None:
        body = labels > 0
        hidden = float((body & mask).sum() / max(1, body.sum()))
        labels[mask] = 0
    return SyntheticPicture(
        image=develop(scene, habits, dice),
        person=person,
        camera=camera,
        frame=frame,
        twin=twin_of(seed, person, near_identical),
        view=view,
        occlusion=code,
        occluder=kind,
        fraction=float(mask.mean()),
        hidden=hidden,
        mask=mask,
        labels=labels,
    )


def _ground(seed: int, camera: int, size: tuple[int, int], dice: Dice) -> Image.Image:
    """A part of the camera's backdrop, as seen from where this picture was cut."""
    wide, high = size
    strip = backdrop_of(seed, camera, wide, high)
    left, top = dice.integer(0, strip.width - wide), dice.integer(0, int(high * MARGIN) - 1)
    return strip.crop((left, top, left + wide, top + high))


def _place_person(
    scene: Image.Image, identity: Identity, view: View, tilt: float, when: int, dice: Dice
) -> npt.NDArray[np.uint8]:
    """The person, with a shadow on the ground, about the middle of the box as a detector would cut it.

    Returns:
        The label map, uint8 [H, W] of the finished picture.
    """
    wide, high = scene.size
    tall = high * dice.uniform(0.87, 0.97)
    x = wide * (0.5 + dice.uniform(-0.06, 0.06))
    y = high * dice.uniform(0.012, 0.04) + max(0.0, 0.5 * (high * 0.96 - tall))
    frame = Frame(x, y, tall * 2.24 * wide / high, tall)
    feet = y + 0.975 * tall
    long, side = wide * dice.uniform(0.26, 0.42), dice.uniform(-0.12, 0.12) * wide
    shadow = Image.new("L", (wide, int(0.07 * high)))
    ImageDraw.Draw(shadow).ellipse((x + side - long, 0.016 * high, x + side + long, 0.052 * high), fill=110)
    scene.paste((16, 16, 22), (0, int(feet - 0.032 * high)), shadow.filter(ImageFilter.BoxBlur(high / 100)))
    holding = {1: dice.weighted(_HOLDING), -1: dice.weighted(_HOLDING)}
    if identity.bag == "handbag":
        holding[identity.bag_side] = "bag"
    pose = Pose(
        turn=VIEWS[view] + dice.uniform(-_ASIDE, _ASIDE),
        phase=2 * math.pi * (when * identity.cadence / FRAMES_PER_SECOND % 1.0),
        stride=identity.stride,
        tilt=tilt,
        left=holding[1],
        right=holding[-1],
    )
    labels = Image.new("L", scene.size)
    draw_figure(scene, frame, identity, pose, labels=labels)
    return _most_of_four(np.asarray(labels))


def _most_of_four(labels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """The commonest label of each 2 × 2 pixels; among equals the one that is read first."""
    a, b, c, d = labels[::2, ::2], labels[::2, 1::2], labels[1::2, ::2], labels[1::2, 1::2]
    pair_without_a = np.where((b == c) | (b == d), b, np.where(c == d, c, a))
    return np.where((a == b) | (a == c) | (a == d), a, pair_without_a)
