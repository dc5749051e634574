"""What stands between camera and person: a car, a wall, an umbrella, another person: all of :data:`Kind`.

Each covers one of the eight occlusion types of ``models.occlusion``, with the edge that such a thing has in
truth (a roof line, a rim of cloth, a shoulder), a few percent before or behind the type's own straight edge.
Everything is drawn for the bottom, the top or the left; the right is the left, mirrored.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from PIL import Image, ImageDraw, ImageOps

from models import occlusion
from training.data.synthetic.dice import Dice
from training.data.synthetic.occluders import (
    bicycle,
    car,
    cart,
    luggage,
    pedestrian,
    pole,
    sign,
    umbrella,
    wall,
)
from training.data.synthetic.occluders.sheet import Sheet
from training.data.synthetic.texture import grained

__all__ = ["KINDS", "Kind", "Occluder", "draw_occluder"]

Kind = Literal["car", "bicycle", "cart", "pole", "wall", "sign", "umbrella", "luggage", "pedestrian"]

KINDS: Final[dict[str, dict[Kind, float]]] = {
    "top": {"umbrella": 2.0, "sign": 1.2, "wall": 0.8},
    "bottom": {"car": 2.0, "bicycle": 1.2, "cart": 1.4, "luggage": 1.4, "wall": 1.2, "sign": 0.6},
    "left": {"pedestrian": 2.0, "wall": 1.2, "pole": 1.4, "car": 0.8, "sign": 0.7},
}
"""What covers a place, and how often; the right side is covered by what covers the left."""


@dataclass(frozen=True, slots=True)
class Occluder:
    """A drawn occluder.

    Attributes:
        kind: what it is.
        picture: RGB, of the size asked for; only what lies under the mask matters.
        mask: L, of the same size: 255 where it hides, 0 elsewhere.
    """

    kind: Kind
    picture: Image.Image
    mask: Image.Image


_DRAWN: Final[dict[tuple[str, Kind], Callable[[Sheet, Dice], Image.Image]]] = {
    ("top", "umbrella"): umbrella.above,
    ("top", "sign"): sign.above,
    ("top", "wall"): wall.above,
    ("bottom", "car"): car.below,
    ("bottom", "bicycle"): bicycle.below,
    ("bottom", "cart"): cart.below,
    ("bottom", "luggage"): luggage.below,
    ("bottom", "wall"): wall.below,
    ("bottom", "sign"): sign.below,
    ("left", "pedestrian"): pedestrian.beside,
    ("left", "wall"): wall.beside,
    ("left", "pole"): pole.beside,
    ("left", "car"): car.beside,
    ("left", "sign"): sign.beside,
}


def draw_occluder(code: int, size: tuple[int, int], dice: Dice) -> Occluder:
    """An occluder for a code from 1 to 8, drawn for a picture of ``size`` (width, height).

    Raises:
        ValueError: the code is none of 1 to 8.
    """
    if not 1 <= code < occlusion.COUNT:
        raise ValueError(f"an occluder covers code 1 to {occlusion.COUNT - 1}, not {code}")
    mirrored = occlusion.TYPES[code].place == "right"
    place = "left" if mirrored else occlusion.TYPES[code].place or ""
    wide, high = size
    area = occlusion.TYPES[code].area * dice.uniform(0.97, 1.09)
    picture, mask = Image.new("RGB", size), Image.new("L", size)
    depth = area * (wide if place == "left" else high)
    sheet = Sheet(picture, mask, ImageDraw.Draw(picture), ImageDraw.Draw(mask), wide, high, depth, high / 100)
    kind = dice.weighted(KINDS[place])
    drawn = _DRAWN[place, kind](sheet, dice)
    if kind != "pedestrian":
        drawn = grained(drawn, dice)
    if mirrored:
        drawn, mask = ImageOps.mirror(drawn), ImageOps.mirror(mask)
    return Occluder(kind, drawn, mask)
