"""How a figure gets onto pixels: body coordinates, shapes, and the painter that lays them over each other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from PIL import Image, ImageDraw, ImageFilter

from training.data.parts import Part
from training.data.synthetic.colour import Colour

__all__ = ["Frame", "Painter", "Shape", "paint"]

Shape = list[tuple[Literal["polygon", "ellipse"], list[float]]]
"""Polygons (x, y, x, y, ...) and ellipses (left, top, right, bottom) in pixels; shapes add up by ``+``."""


def paint(draw: ImageDraw.ImageDraw, shape: Shape, fill: int | Colour) -> None:
    """Fill every piece of a shape."""
    for kind, points in shape:
        if kind == "polygon":
            draw.polygon(points, fill=fill)
        else:
            draw.ellipse(points, fill=fill)


@dataclass(frozen=True, slots=True)
class Frame:
    """Where a body stands in the picture.

    Body coordinates: y runs from 0 at the crown to 1 at the soles; x from the middle of the body to the right
    of the picture, in the same unit.

    Attributes:
        x, y: pixel of the body's (0, 0).
        wide, tall: pixels per unit along x and along y.
    """

    x: float
    y: float
    wide: float
    tall: float

    def polygon(self, points: Sequence[tuple[float, float]]) -> Shape:
        """The polygon through body points."""
        return [("polygon", [p for x, y in points for p in (self.x + x * self.wide, self.y + y * self.tall)])]

    def ellipse(self, x: float, y: float, across: float, down: float) -> Shape:
        """The ellipse around a body point with two radii in body units."""
        centre_x, centre_y = self.x + x * self.wide, self.y + y * self.tall
        across, down = across * self.wide, down * self.tall
        return [("ellipse", [centre_x - across, centre_y - down, centre_x + across, centre_y + down])]

    def limb(self, *joints: tuple[float, float, float]) -> Shape:
        """A tube through joints (x, y, radius), round at each joint and straight between them."""
        shape: Shape = []
        before: tuple[float, float, float] | None = None
        for x, y, radius in joints:
            here = (self.x + x * self.wide, self.y + y * self.tall, radius * self.wide)
            shape.append(
                ("ellipse", [here[0] - here[2], here[1] - here[2], here[0] + here[2], here[1] + here[2]])
            )
            if before is not None:
                along_x, along_y = here[0] - before[0], here[1] - before[1]
                length = math.sqrt(along_x * along_x + along_y * along_y) or 1.0
                across_x, across_y = -along_y / length, along_x / length
                shape.append(
                    (
                        "polygon",
                        [
                            before[0] + across_x * before[2], before[1] + across_y * before[2],
                            here[0] + across_x * here[2], here[1] + across_y * here[2],
                            here[0] - across_x * here[2], here[1] - across_y * here[2],
                            before[0] - across_x * before[2], before[1] - across_y * before[2],
                        ],
                    )
                )  # fmt: skip
            before = here
        return shape

    def lowered(self, distance: float) -> Frame:
        """The same body, moved down by body units."""
        return Frame(self.x, self.y + distance * self.tall, self.wide, self.tall)


class Painter:
    """Lays shapes over a picture from back to front, and keeps shadows and label map in step.

    Shadows are collected in a mask of their own: a part that comes later covers the shadows below it and then
    gets its own, so that one soft paste at the end (:meth:`finish`) shades the whole figure.

    Args:
        picture: RGB, painted in place.
        silhouette: L, gets 255 wherever the figure is; None where nobody asks.
        labels: L, gets the code of ``training.data.parts`` of what is seen; None where nobody asks.
    """

    def __init__(
        self,
        picture: Image.Image,
        silhouette: Image.Image | None = None,
        labels: Image.Image | None = None,
    ) -> None:
        self.picture = picture
        self.draw = ImageDraw.Draw(picture)
        self.shadow = Image.new("L", picture.size)
        self.shadow_draw = ImageDraw.Draw(self.shadow)
        self.silhouette_draw = None if silhouette is None else ImageDraw.Draw(silhouette)
        self.labels_draw = None if labels is None else ImageDraw.Draw(labels)

    def part(self, shape: Shape, fill: Colour | Image.Image, body: Part, shadow: int = 0) -> None:
        """Add a part in one colour, or cut from a cloth of the picture's size.

        Args:
            shape: where.
            fill: in what.
            body: what the label map says there; ``Part.NONE`` for what is carried.
            shadow: 0 to 255, darkens all of it.
        """
        if isinstance(fill, Image.Image):
            stencil = Image.new("L", self.picture.size)
            paint(ImageDraw.Draw(stencil), shape, 255)
            box = stencil.getbbox()
            if box is not None:
                self.picture.paste(fill.crop(box), box, stencil.crop(box))
        else:
            paint(self.draw, shape, fill)
        paint(self.shadow_draw, shape, shadow)
        if self.silhouette_draw is not None:
            paint(self.silhouette_draw, shape, 255)
        self.label(shape, body)

    def label(self, shape: Shape, body: Part) -> None:
        """Say which part a piece is, where one garment covers several."""
        if self.labels_draw is not None:
            paint(self.labels_draw, shape, int(body))

    def mark(self, shape: Shape, colour: Colour) -> None:
        """Draw on top of a part without touching its shadow or its label: eyes, stripes, buttons."""
        paint(self.draw, shape, colour)

    def shade(self, shape: Shape, depth: int) -> None:
        """Darken what lies there; ``depth`` 0 to 255."""
        paint(self.shadow_draw, shape, depth)

    def finish(self, softness: float) -> None:
        """Put the shadows on, their edges blurred over ``softness`` pixels."""
        box = self.shadow.getbbox()
        if box is None:
            return
        left, top, right, bottom = box
        rim = int(softness) + 1
        box = (
            max(0, left - rim), max(0, top - rim),
            min(self.shadow.width, right + rim), min(self.shadow.height, bottom + rim),
        )  # fmt: skip
        self.picture.paste((8, 8, 16), box, self.shadow.crop(box).filter(ImageFilter.BoxBlur(softness)))
