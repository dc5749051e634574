"""A camera: which side of people it sees, and what its lens, sensor and compression do to a picture."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from training.data.synthetic.dice import Dice, Subject
from training.data.synthetic.sight import View

__all__ = ["Camera", "camera_of", "develop"]

_FACING: Final[tuple[dict[View, float], ...]] = (
    {"front": 5.0, "front_left": 2.5, "front_right": 2.5, "back": 1.0, "left": 0.7, "right": 0.7},
    {"back": 5.0, "back_left": 2.5, "back_right": 2.5, "front": 1.0, "left": 0.7, "right": 0.7},
    {"left": 4.0, "right": 2.0, "front_left": 1.5, "back_right": 1.0, "front": 0.7, "back": 0.7},
    {"right": 4.0, "left": 2.0, "front_right": 1.5, "back_left": 1.0, "front": 0.7, "back": 0.7},
    {"front_left": 4.0, "back_right": 3.0, "left": 1.0, "front": 1.0, "back": 1.0},
    {"front_right": 4.0, "back_left": 3.0, "right": 1.0, "front": 1.0, "back": 1.0},
)

_HAZE: Final = 0.62  # how bright haze is, 0 to 1


@dataclass(frozen=True, slots=True)
class Camera:
    """One camera's habits.

    Attributes:
        views: how often each side of people is seen, as weights.
        tilt: how far down it looks, see :class:`sight.Sight`.
        cast: what red, green and blue are multiplied by, about 0.88 to 1.14.
        brightness: what all of them are multiplied by, 0.78 to 1.18.
        gamma: exponent, 0.85 to 1.2.
        haze: how much of grey is mixed in, 0 to 0.14.
        resolution: pixels that the sensor really has along a side, as a share of the picture's, 0.5 to 1.
        blur: radius of the lens' blur in 64ths of the picture's width.
        noise: largest step of the sensor's noise, 0 to 255.
    """

    views: dict[View, float]
    tilt: float
    cast: tuple[float, float, float]
    brightness: float
    gamma: float
    haze: float
    resolution: float
    blur: float
    noise: int


@lru_cache(maxsize=256)
def camera_of(seed: int, camera: int) -> Camera:
    """Camera number ``camera`` under a seed."""
    dice = Dice(seed, Subject.CAMERA, camera)
    warm = dice.uniform(-0.08, 0.08)
    return Camera(
        views=_FACING[camera % len(_FACING)],
        tilt=dice.uniform(0.03, 0.2),
        cast=(
            1 + warm + dice.uniform(-0.02, 0.02),
            1 + dice.uniform(-0.04, 0.04),
            1 - warm + dice.uniform(-0.04, 0.04),
        ),
        brightness=dice.uniform(0.78, 1.18),
        gamma=dice.uniform(0.85, 1.2),
        haze=dice.uniform(0.0, 0.14),
        resolution=dice.uniform(0.55, 1.0),
        blur=dice.uniform(0.0, 0.55),
        noise=dice.integer(1, 4),
    )


def develop(drawn: Image.Image, camera: Camera, dice: Dice) -> npt.NDArray[np.uint8]:
    """What the camera makes of a scene drawn at twice its size.

    Args:
        drawn: RGB, 2·width × 2·height.
        camera: whose.
        dice: of this picture: light and focus change a little from one to the next.

    Returns:
        uint8 [height, width, 3].
    """
    width, height = drawn.width // 2, drawn.height // 2
    level = camera.brightness * dice.uniform(0.93, 1.07)
    gains = tuple(part * level * dice.uniform(0.985, 1.015) for part in camera.cast)
    resolution = min(1.0, camera.resolution * dice.uniform(0.9, 1.12))
    radius = (camera.blur + (dice.uniform(0.2, 0.7) if dice.chance(0.15) else 0.0)) * width / 64
    # Antialiasing, then the sensor's own (coarser) pixels, then the picture's.
    small = drawn.resize(
        (max(1, int(width * resolution)), max(1, int(height * resolution))), Image.Resampling.BOX
    )
    picture = small.resize((width, height), Image.Resampling.BILINEAR)
    if radius > 0.1:
        picture = picture.filter(ImageFilter.BoxBlur(radius))
    scene = np.asarray(_soften_colour(picture))
    exposed = np.empty((height, width, 3), dtype=np.int16)
    for channel, gain in enumerate(gains):
        light = np.minimum(1.0, _curve(camera.gamma) * gain) * (1 - camera.haze) + _HAZE * camera.haze
        exposed[:, :, channel] = (light * 255 + 0.5).astype(np.int16)[scene[:, :, channel]]
    exposed += dice.generator.integers(-camera.noise, camera.noise + 1, (height, width, 1), dtype=np.int16)
    return np.clip(exposed, 0, 255).astype(np.uint8)


@lru_cache(maxsize=256)
def _curve(gamma: float) -> npt.NDArray[np.float64]:
    """Light for each of the 256 values. Not by numpy's power: its last bit differs between processors."""
    return np.array([(value / 255) ** gamma for value in range(256)])


def _soften_colour(picture: Image.Image) -> Image.Image:
    """Colour at half the resolution of light, as in every JPEG."""
    light, blue, red = picture.convert("YCbCr").split()
    half = ((picture.width + 1) // 2, (picture.height + 1) // 2)
    blue, red = (
        band.resize(half, Image.Resampling.BOX).resize(picture.size, Image.Resampling.BILINEAR)
        for band in (blue, red)
    )
    return Image.merge("YCbCr", (light, blue, red)).convert("RGB")
