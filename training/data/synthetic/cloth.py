"""Patterns on cloth: stripes, checks, dots, prints."""

from __future__ import annotations

from typing import Literal

from PIL import Image, ImageDraw

from training.data.synthetic.canvas import Frame
from training.data.synthetic.colour import Colour
from training.data.synthetic.identity import Cloth

__all__ = ["Aspect", "weave"]

Aspect = Literal["front", "back", "side"]


def weave(
    cloth: Cloth, size: tuple[int, int], frame: Frame, aspect: Aspect, top: float, bottom: float
) -> Colour | Image.Image:
    """A cloth laid out in the picture, ready to be cut by :meth:`Painter.part`.

    Args:
        cloth: what it is made of.
        size: of the picture, width and height.
        frame: where the body stands; the pattern is fixed to the body, not to the picture.
        aspect: which side of the body is seen; a logo is on the chest only.
        top, bottom: between which body heights the garment hangs.

    Returns:
        One colour for what is plain, else an RGB picture of that size.
    """
    if cloth.pattern == "plain" or (cloth.pattern == "logo" and aspect != "front"):
        return cloth.colour
    image = Image.new("RGB", size, cloth.colour)
    draw = ImageDraw.Draw(image)
    period = cloth.period * frame.tall
    first, last = frame.y + top * frame.tall, frame.y + bottom * frame.tall
    reach = 0.3 * abs(frame.wide)
    left, right = frame.x - reach, frame.x + reach
    if cloth.pattern in ("hoops", "checks"):
        thickness = period * (0.5 if cloth.pattern == "hoops" else 0.3)
        for row in range(int((last - first) / period) + 1):
            y = first + (row + 0.4) * period
            draw.rectangle((left, y, right, y + thickness), fill=cloth.accent)
    if cloth.pattern in ("pinstripes", "checks"):
        across = period * 0.8
        thickness = across * (0.42 if cloth.pattern == "pinstripes" else 0.34)
        count = int(reach / across) + 1
        for column in range(-count, count + 1):
            x = frame.x + column * across - thickness / 2
            draw.rectangle((x, first, x + thickness, last), fill=cloth.accent)
    elif cloth.pattern == "dots":
        across, radius = period * 0.9, period * 0.27
        count = int(reach / across) + 1
        for row in range(int((last - first) / period) + 1):
            for column in range(-count, count + 1):
                x, y = frame.x + (column + row % 2 / 2) * across, first + (row + 0.5) * period
                draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=cloth.accent)
    elif cloth.pattern == "block":
        draw.rectangle((left, first - 2 * period, right, first + 0.4 * (last - first)), fill=cloth.accent)
    elif cloth.pattern == "diagonal":
        thickness = period * 1.6
        draw.polygon(
            (left, first - period, left + thickness, first - period, right, last, right - thickness, last),
            fill=cloth.accent,
        )
    elif cloth.pattern == "logo":
        wide, y = 0.055 * abs(frame.wide), first + 0.3 * (last - first)
        high = 0.04 * frame.tall
        draw.ellipse((frame.x - wide, y - high, frame.x + wide, y + high), fill=cloth.accent)
        draw.rectangle((frame.x - wide, y + high * 1.4, frame.x + wide, y + high * 1.9), fill=cloth.accent)
    return image
