"""Colours that people, clothes and streets come in, and small steps away from them."""

from __future__ import annotations

from typing import Final

from training.data.synthetic.dice import Dice

__all__ = ["CLOTHES", "HAIR", "LEATHER", "MASONRY", "PAINT", "SKIN", "TROUSERS", "Colour", "near", "toned"]

Colour = tuple[int, int, int]
"""Red, green, blue, 0 to 255."""

SKIN: Final[tuple[Colour, ...]] = (
    (244, 208, 186), (232, 190, 162), (222, 174, 140), (205, 152, 118),
    (182, 128, 94), (152, 104, 74), (120, 80, 56), (88, 58, 42),
)  # fmt: skip
HAIR: Final[tuple[Colour, ...]] = (
    (28, 24, 24), (28, 24, 24), (52, 36, 28), (84, 56, 38), (120, 78, 44), (168, 126, 74),
    (206, 172, 112), (150, 66, 36), (150, 148, 146), (206, 204, 200),
)  # fmt: skip
CLOTHES: Final[tuple[Colour, ...]] = (
    (236, 236, 232), (206, 206, 204), (140, 142, 146), (82, 84, 90), (36, 36, 40), (24, 32, 62),
    (36, 70, 140),
    (70, 124, 196), (146, 190, 226), (30, 130, 136), (28, 96, 58), (84, 158, 84), (112, 116, 60),
    (186, 206, 96),
    (240, 214, 74), (240, 154, 46), (226, 98, 44), (202, 42, 44), (130, 28, 44), (226, 112, 142),
    (244, 190, 200),
    (118, 62, 140), (172, 146, 206), (196, 164, 122), (122, 84, 56),
)  # fmt: skip
TROUSERS: Final[tuple[Colour, ...]] = (
    (30, 30, 34), (48, 50, 56), (92, 94, 100), (34, 48, 84), (62, 88, 132), (112, 146, 188), (22, 28, 50),
    (190, 170, 136), (120, 96, 70), (84, 88, 60), (222, 220, 212), (112, 40, 48), (52, 84, 70),
    (160, 152, 146),
)  # fmt: skip
LEATHER: Final[tuple[Colour, ...]] = (
    (30, 28, 30), (92, 58, 36), (150, 100, 60), (168, 36, 40), (40, 60, 112), (216, 196, 160), (96, 108, 60),
    (226, 130, 40), (200, 90, 130), (120, 122, 128), (232, 230, 226),
)  # fmt: skip
PAINT: Final[tuple[Colour, ...]] = (
    (188, 190, 194), (226, 226, 224), (38, 40, 46), (110, 114, 122), (150, 28, 34), (34, 62, 120),
    (28, 84, 70),
    (214, 170, 50), (196, 92, 40), (84, 120, 150),
)  # fmt: skip
MASONRY: Final[tuple[Colour, ...]] = (
    (158, 88, 68), (136, 74, 60), (176, 128, 96), (176, 170, 160), (146, 146, 146), (200, 186, 158),
    (118, 112, 106),
    (206, 204, 196),
)  # fmt: skip


def near(colour: Colour, dice: Dice, distance: int = 12) -> Colour:
    """A colour within ``distance`` of another in each channel."""
    red, green, blue = (min(255, max(0, part + dice.integer(-distance, distance))) for part in colour)
    return red, green, blue


def toned(colour: Colour, factor: float) -> Colour:
    """Darker (factor below 1) or lighter (above 1)."""
    red, green, blue = (min(255, int(part * factor + 0.5)) for part in colour)
    return red, green, blue
