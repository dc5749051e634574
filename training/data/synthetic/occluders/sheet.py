"""What an occluder is drawn on."""

from __future__ import annotations

from dataclasses import dataclass

from PIL import Image, ImageDraw

__all__ = ["Sheet"]


@dataclass(frozen=True, slots=True)
class Sheet:
    """What an occluder is drawn on.

    Attributes:
        picture, mask: as in :class:`Occluder`.
        colour, cut: for drawing on either.
        wide, high: size in pixels.
        depth: how far it reaches into the picture, in pixels, from the edge it stands at.
        unit: a hundredth of the height.
    """

    picture: Image.Image
    mask: Image.Image
    colour: ImageDraw.ImageDraw
    cut: ImageDraw.ImageDraw
    wide: int
    high: int
    depth: float
    unit: float
