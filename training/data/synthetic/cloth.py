"""Patterns on cloth: stripes, checks, dots, prints."""

from __future__ import annotations

from PIL import Image, ImageDraw

from training.data.synthetic.canvas import Frame
from training.data.synthetic.colour import Colour
from training.data.synthetic.identity import Cloth
from training.data.synthetic.sight import Sight

__all__ = ["weave"]

_GIRTH = 0.09  # how far a pattern moves across when the body turns by one radian


def weave(
    cloth: Cloth, size: tuple[int, int], frame: Frame, sight: Sight, top: float, bottom: float
) -> Colour | Image.Image:
    """A cloth laid out in the picture, ready to be cut by :meth:`Painter.part`.

    Args:
        cloth: what it is made of.
        size: of the picture, width and height.
        frame: where the body stands; the pattern is fixed to the body, not to the picture.
        sight: which side of the body is seen; a logo is on the chest only.
        top, bottom: between which body heights the garment hangs.

    Returns:
        One colour for what is plain, else an RGB picture of that size.
    """
    if cloth.pattern == "plain" or (cloth.pattern == "logo" and sight.cosine < 0.2):
        return cloth.colour
    image = Image.new("RGB", size, cloth.colour)
    draw = ImageDraw.Draw(image)
    period = cloth.period * frame.tall
    first, last = frame.y + top * frame.tall, frame.y + bottom * frame.tall
    reach = 0.3 * frame.wide
    left, right = frame.x - reach, frame.x + reach
    turned = _GIRTH * sight.turn * frame.wide
    if cloth.pattern in ("hoops", "checks"):
        thickness = period * (0.5 if cloth.pattern == "hoops" else 0.3)
        for row in range(int((last - first) / period) + 1):
            y = first + (row + 0.4) * period
            draw.rectangle((left, y, right, y + thickness), fill=cloth.accent)
    if cloth.pattern in ("pinstripes", "checks"):
        across = period * 0.8
        thickness = across * (0.42 if cloth.pattern == "pinstripes" else 0.34)
        count = int(reach / across) + 2
        for column in range(-count, count + 1):
            x = frame.x + turned % across + column * across - thickness / 2
            draw.rectangle((x, first, x + thickness, last), fill=cloth.accent)
    elif cloth.pattern == "dots":
        across, radius = period * 0.9, period * 0.27
        count = int(reach / across) + 2
        for row in range(int((last - first) / period) + 1):
            for column in range(-count, count + 1):
                x = frame.x + turned % across + (column + row % 2 / 2) * across
                y = first + (row + 0.5) * period
                draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=cloth.accent)
    elif cloth.pattern == "block":
        draw.rectangle((left, first - 2 * period, right, first + 0.4 * (last - first)), fill=cloth.accent)
    elif cloth.pattern == "diagonal":
        thickness = period * 1.6
        if sight.cosine < 0:  # seen from behind it runs the other way
            left, right, thickness = right, left, -thickness
        draw.polygon(
            (left, first - period, left + thickness, first - period, right, last, right - thickness, last),
            fill=cloth.accent,
        )
    elif cloth.pattern == "logo":
        middle = frame.x + 0.07 * sight.sine * frame.wide
        wide, y = 0.055 * frame.wide * sight.cosine, first + 0.3 * (last - first)
        high = 0.04 * frame.tall
        draw.ellipse((middle - wide, y - high, middle + wide, y + high), fill=cloth.accent)
        draw.rectangle((middle - wide, y + high * 1.4, middle + wide, y + high * 1.9), fill=cloth.accent)
    return image
