"""What stands between camera and person: walls, poles, cars, carts, umbrellas, luggage, signs, other people.

Each covers one of the eight occlusion types of ``models.occlusion``, with the edge that such a thing has in
truth (a roof line, a rim of cloth, a shoulder), a few percent before or behind the type's own straight edge.
Everything is drawn for the bottom, the top or the left; the right is the left, mirrored.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, Literal

from PIL import Image, ImageDraw, ImageOps

from models import occlusion
from training.data.synthetic.canvas import Frame
from training.data.synthetic.colour import CLOTHES, LEATHER, MASONRY, PAINT, near, toned
from training.data.synthetic.dice import Dice
from training.data.synthetic.figure import Pose, draw_figure
from training.data.synthetic.identity import make_identity
from training.data.synthetic.texture import bricks, foliage, grained, planks, rounded

__all__ = ["KINDS", "Kind", "Occluder", "draw_occluder"]

Kind = Literal["wall", "pole", "car", "cart", "umbrella", "luggage", "sign", "pedestrian"]

KINDS: Final[dict[str, dict[Kind, float]]] = {
    "top": {"umbrella": 2.0, "sign": 1.2, "wall": 0.8},
    "bottom": {"car": 2.0, "cart": 1.4, "luggage": 1.4, "wall": 1.2, "sign": 0.6},
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


@dataclass(frozen=True, slots=True)
class _Sheet:
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
    sheet = _Sheet(
        picture, mask, ImageDraw.Draw(picture), ImageDraw.Draw(mask), wide, high, depth, high / 100
    )
    kind = dice.weighted(KINDS[place])
    drawn = _DRAWN[place, kind](sheet, dice)
    if kind != "pedestrian":
        drawn = grained(drawn, dice)
    if mirrored:
        drawn, mask = ImageOps.mirror(drawn), ImageOps.mirror(mask)
    return Occluder(kind, drawn, mask)


def _umbrella(sheet: _Sheet, dice: Dice) -> Image.Image:
    """A canopy whose scalloped rim hangs across the picture."""
    wide, rim = sheet.wide, sheet.depth
    colour = near(dice.pick(CLOTHES), dice)
    other = colour if dice.chance(0.6) else near(dice.pick(CLOTHES), dice)
    middle = wide * dice.uniform(0.35, 0.65)
    # The apex is far enough above the picture for the canopy to fill its corners.
    apex = -rim * dice.uniform(1.3, 1.8)
    span = wide * dice.uniform(0.4, 0.5)
    sag = sheet.unit * 4.5
    if dice.chance(0.7):  # the shaft, where the person holds it
        thick = sheet.unit * 0.7
        for draw, fill in ((sheet.colour, (150, 150, 154)), (sheet.cut, 255)):
            draw.rectangle((middle - thick, rim, middle + thick, rim + sheet.high * 0.2), fill=fill)
    for panel in range(-3, 3):
        left, right = middle + panel * span, middle + (panel + 1) * span
        drop_left, drop_right = (abs(edge - middle) / wide * sheet.unit * 3 for edge in (left, right))
        outline = [middle, apex, left, rim + sag + drop_left]
        for step in range(1, 6):
            share = step / 6
            lift = sag * math.sin(math.pi * share)
            outline += [
                left + (right - left) * share,
                rim + sag - lift + drop_left + (drop_right - drop_left) * share,
            ]
        outline += [right, rim + sag + drop_right]
        shade = 1.0 - 0.09 * abs(panel + 0.5)
        sheet.colour.polygon(outline, fill=toned(colour if panel % 2 else other, shade))
        sheet.cut.polygon(outline, fill=255)
        sheet.colour.line(
            (middle, apex, left, rim + sag + drop_left),
            fill=toned(colour, 0.5),
            width=max(1, int(sheet.unit * 0.7)),
        )
    return sheet.picture


def _board(sheet: _Sheet, dice: Dice, box: tuple[float, float, float, float]) -> None:
    """A printed board in a box: frame, stripes of text, an arrow, a disc or a picture."""
    left, top, right, bottom = box
    unit = sheet.unit
    colour = near(
        dice.pick(
            ((30, 82, 150), (24, 110, 74), (232, 232, 228), (216, 176, 44), (176, 38, 40), (44, 46, 52))
        ),
        dice,
    )
    ink = (240, 240, 236) if sum(colour) < 400 else (36, 40, 52)
    sheet.colour.rectangle(box, fill=toned(colour, 0.6))
    sheet.colour.rectangle((left + unit, top + unit, right - unit, bottom - unit), fill=ink)
    sheet.colour.rectangle(
        (left + 2 * unit, top + 2 * unit, right - 2 * unit, bottom - 2 * unit), fill=colour
    )
    sheet.cut.rectangle(box, fill=255)
    x, y = left + 5 * unit, top + 5 * unit
    if dice.chance(0.6):
        size = min(right - left, bottom - top) * 0.3
        spot = near(dice.pick(CLOTHES), dice)
        if dice.chance(0.5):
            sheet.colour.ellipse((x, y, x + size, y + size), fill=spot)
        else:
            sheet.colour.polygon(
                (
                    x,
                    y + size / 2,
                    x + size * 0.6,
                    y,
                    x + size * 0.6,
                    y + size * 0.3,
                    x + size,
                    y + size * 0.3,
                    x + size,
                    y + size * 0.7,
                    x + size * 0.6,
                    y + size * 0.7,
                    x + size * 0.6,
                    y + size,
                ),
                fill=ink,
            )
        y += size + 2.5 * unit
    line = dice.uniform(2.2, 4.2) * unit
    while y + line < bottom - 3 * unit:
        at = x
        end = x + (right - left - 10 * unit) * dice.uniform(0.5, 1.0)
        while at < end:
            word = dice.uniform(2, 8) * unit
            sheet.colour.rectangle((at, y, min(end, at + word), y + line * 0.55), fill=ink)
            at += word + 1.2 * unit
        y += line * 1.3


def _sign_above(sheet: _Sheet, dice: Dice) -> Image.Image:
    bar = sheet.unit * 2
    _board(sheet, dice, (-3 * sheet.unit, -4 * sheet.unit, sheet.wide + 3 * sheet.unit, sheet.depth - bar))
    sheet.colour.rectangle((0, sheet.depth - bar, sheet.wide, sheet.depth), fill=(92, 94, 98))
    sheet.cut.rectangle((0, 0, sheet.wide, sheet.depth), fill=255)
    return sheet.picture


def _sign_below(sheet: _Sheet, dice: Dice) -> Image.Image:
    inset = dice.uniform(0.0, 0.04) * sheet.wide
    _board(sheet, dice, (inset, sheet.high - sheet.depth, sheet.wide - inset, sheet.high + 4 * sheet.unit))
    return sheet.picture


def _sign_beside(sheet: _Sheet, dice: Dice) -> Image.Image:
    top = dice.uniform(-0.05, 0.04) * sheet.high
    _board(sheet, dice, (-4 * sheet.unit, top, sheet.depth, sheet.high * dice.uniform(0.95, 1.05)))
    return sheet.picture


def _masonry(sheet: _Sheet, dice: Dice, box: tuple[float, float, float, float]) -> None:
    """A wall of bricks, boards, concrete or hedge in a box."""
    material = dice.weighted({"bricks": 3.0, "planks": 1.4, "concrete": 2.0, "hedge": 1.4})
    unit = sheet.unit
    if material == "bricks":
        bricks(sheet.colour, box, near(dice.pick(MASONRY[:4]), dice), dice.uniform(4, 6.5) * unit, dice)
    elif material == "planks":
        planks(
            sheet.colour,
            box,
            near(dice.pick(((140, 100, 64), (116, 88, 66), (170, 160, 146), (84, 104, 96))), dice),
            dice.uniform(6, 10) * unit,
            dice,
        )
    elif material == "hedge":
        foliage(sheet.colour, box, near((78, 112, 56), dice), 7 * unit, dice)
    else:
        colour = near(dice.pick(MASONRY[3:]), dice)
        left, top, right, bottom = box
        sheet.colour.rectangle(box, fill=colour)
        for _ in range(dice.integer(2, 4)):
            y = dice.uniform(top, bottom)
            sheet.colour.line((left, y, right, y), fill=toned(colour, 0.72), width=max(1, int(unit * 0.6)))
        for _ in range(5):
            x, y, size = dice.uniform(left, right), dice.uniform(top, bottom), dice.uniform(1, 6) * unit
            sheet.colour.ellipse(
                (x - size, y - size * 1.6, x + size, y + size * 1.6),
                fill=toned(colour, dice.uniform(0.84, 0.97)),
            )


def _wall_below(sheet: _Sheet, dice: Dice) -> Image.Image:
    top = sheet.high - sheet.depth
    slope = dice.uniform(-0.03, 0.03) * sheet.high
    _masonry(sheet, dice, (0, top - abs(slope), sheet.wide, sheet.high))
    edge = [0, top + slope, sheet.wide, top - slope, sheet.wide, sheet.high, 0, sheet.high]
    sheet.cut.polygon(edge, fill=255)
    cap = dice.uniform(2.5, 4.5) * sheet.unit
    stone = near(dice.pick(MASONRY[3:]), dice)
    sheet.colour.polygon(
        (0, top + slope, sheet.wide, top - slope, sheet.wide, top - slope + cap, 0, top + slope + cap),
        fill=toned(stone, 1.1),
    )
    sheet.colour.line(
        (0, top + slope + cap, sheet.wide, top - slope + cap),
        fill=toned(stone, 0.5),
        width=max(1, int(sheet.unit * 0.8)),
    )
    return sheet.picture


def _wall_above(sheet: _Sheet, dice: Dice) -> Image.Image:
    """A beam, or the edge of a roof."""
    slope = dice.uniform(-0.02, 0.02) * sheet.high
    _masonry(sheet, dice, (0, 0, sheet.wide, sheet.depth + abs(slope)))
    sheet.cut.polygon(
        (0, 0, sheet.wide, 0, sheet.wide, sheet.depth - slope, 0, sheet.depth + slope), fill=255
    )
    lip = 3 * sheet.unit
    sheet.colour.polygon(
        (
            0,
            sheet.depth + slope - lip,
            sheet.wide,
            sheet.depth - slope - lip,
            sheet.wide,
            sheet.depth - slope,
            0,
            sheet.depth + slope,
        ),
        fill=toned(near(dice.pick(MASONRY), dice), 0.6),
    )
    return sheet.picture


def _wall_beside(sheet: _Sheet, dice: Dice) -> Image.Image:
    """The corner of a house."""
    slope = dice.uniform(-0.03, 0.03) * sheet.wide
    _masonry(sheet, dice, (0, 0, sheet.depth + abs(slope), sheet.high))
    sheet.cut.polygon(
        (0, 0, sheet.depth + slope, 0, sheet.depth - slope, sheet.high, 0, sheet.high), fill=255
    )
    edge = dice.uniform(2, 5) * sheet.unit
    sheet.colour.polygon(
        (
            sheet.depth + slope - edge,
            0,
            sheet.depth + slope,
            0,
            sheet.depth - slope,
            sheet.high,
            sheet.depth - slope - edge,
            sheet.high,
        ),
        fill=toned(near(dice.pick(MASONRY), dice), dice.pick((0.55, 1.15))),
    )
    return sheet.picture


def _pole(sheet: _Sheet, dice: Dice) -> Image.Image:
    """A column or a trunk, part of it outside the picture."""
    right = sheet.depth
    left = right - sheet.depth * dice.uniform(1.02, 1.35)
    if dice.chance(0.35):  # a trunk
        colour = near(dice.pick(((104, 84, 66), (120, 106, 90), (84, 72, 60))), dice)
        sheet.colour.rectangle((left, 0, right + 9, sheet.high), fill=colour)
        for _ in range(26):
            x, y, long = (
                dice.uniform(left, right),
                dice.uniform(-10, 95) * sheet.unit,
                dice.uniform(6, 20) * sheet.unit,
            )
            sheet.colour.line(
                (x, y, x + dice.uniform(-2, 2) * sheet.unit, y + long),
                fill=toned(colour, dice.uniform(0.55, 1.2)),
                width=max(1, int(sheet.unit * dice.uniform(0.5, 1.4))),
            )
        outline: list[float] = [0, 0]
        for row in range(9):
            outline += [right + dice.uniform(-0.02, 0.02) * sheet.wide, row / 8 * sheet.high]
        sheet.cut.polygon([*outline, 0, sheet.high], fill=255)
    else:
        colour = near(dice.pick((*MASONRY[3:], *PAINT)), dice)
        sheet.colour.rectangle((left, 0, right, sheet.high), fill=colour)
        for _ in range(dice.integer(1, 3)):
            y, tall = dice.uniform(0, 100) * sheet.unit, dice.uniform(1, 4) * sheet.unit
            sheet.colour.rectangle(
                (left, y, right, y + tall), fill=toned(colour, dice.pick((0.6, 0.75, 1.2)))
            )
        if dice.chance(0.35):  # a bill posted on it
            y = dice.uniform(15, 60) * sheet.unit
            x = max(left, 0) + 0.2 * sheet.depth
            sheet.colour.rectangle((x, y, x + 0.5 * sheet.depth, y + 16 * sheet.unit), fill=(228, 226, 214))
            for line in range(4):
                sheet.colour.rectangle(
                    (
                        x + sheet.unit,
                        y + (2 + 3 * line) * sheet.unit,
                        x + 0.44 * sheet.depth,
                        y + (3 + 3 * line) * sheet.unit,
                    ),
                    fill=(90, 90, 96),
                )
        sheet.cut.rectangle((0, 0, right, sheet.high), fill=255)
    return rounded(sheet.picture, left, right)


def _car_below(sheet: _Sheet, dice: Dice) -> Image.Image:
    """A car in front of the person: bonnet or boot for a shallow one, windows and roof for a deep one."""
    wide, high, unit = sheet.wide, sheet.high, sheet.unit
    paint = near(dice.pick(PAINT), dice)
    top = high - sheet.depth
    belt = top + (0.0 if sheet.depth < 0.38 * high else sheet.depth * dice.uniform(0.4, 0.48))
    slope = dice.uniform(-0.02, 0.02) * high
    body = [0, top - slope, wide * 0.5, top - unit, wide, top + slope, wide, high, 0, high]
    sheet.cut.polygon(body, fill=255)
    sheet.colour.polygon(body, fill=toned(paint, 1.08))
    sheet.colour.rectangle((0, belt + 3 * unit, wide, high), fill=paint)
    sheet.colour.rectangle((0, belt + (high - belt) * 0.55, wide, high), fill=toned(paint, 0.8))
    sheet.colour.rectangle(
        (0, belt + (high - belt) * 0.5, wide, belt + (high - belt) * 0.5 + unit), fill=toned(paint, 1.35)
    )
    seam = wide * dice.uniform(0.25, 0.75)
    if belt > top:
        glass = dice.pick(((44, 52, 60), (70, 86, 100), (30, 34, 40)))
        frame = 3.5 * unit
        sheet.colour.polygon(
            (
                0,
                top - slope + frame,
                wide * 0.5,
                top + frame - unit,
                wide,
                top + slope + frame,
                wide,
                belt,
                0,
                belt,
            ),
            fill=glass,
        )
        for _ in range(2):
            x, broad = dice.uniform(0, wide), dice.uniform(3, 14) * unit
            sheet.colour.polygon(
                (
                    x,
                    top + frame + unit,
                    x + broad,
                    top + frame + unit,
                    x + broad - 9 * unit,
                    belt,
                    x - 9 * unit,
                    belt,
                ),
                fill=toned(glass, 1.45),
            )
        sheet.colour.rectangle((seam - 2.5 * unit, top, seam + 2.5 * unit, belt), fill=toned(paint, 0.5))
    sheet.colour.line((seam, belt, seam, high), fill=toned(paint, 0.45), width=max(1, int(unit)))
    sheet.colour.rectangle(
        (seam + 4 * unit, belt + 6 * unit, seam + 13 * unit, belt + 8 * unit), fill=toned(paint, 0.4)
    )
    wheel = wide * dice.pick((-0.05, 0.12, 0.9, 1.05))
    radius = 17 * unit
    sheet.colour.ellipse(
        (wheel - radius * 1.12, high - radius * 0.95, wheel + radius * 1.12, high + radius * 1.25),
        fill=(22, 22, 24),
    )
    sheet.colour.ellipse(
        (wheel - radius * 0.62, high - radius * 0.42, wheel + radius * 0.62, high + radius * 0.8),
        fill=(146, 148, 152),
    )
    lamp = wide * dice.uniform(0.0, 0.9)
    if belt == top:
        sheet.colour.ellipse(
            (lamp, top + 4 * unit, lamp + 11 * unit, top + 9 * unit),
            fill=dice.pick(((226, 222, 206), (176, 34, 34))),
        )
    return sheet.picture


def _car_beside(sheet: _Sheet, dice: Dice) -> Image.Image:
    """The tail of a van or a bus."""
    paint = near(dice.pick(PAINT), dice)
    right, high, unit = sheet.depth, sheet.high, sheet.unit
    curve = dice.uniform(2, 6) * unit
    body = [0, 0, right - curve, 0, right, 12 * unit, right, 90 * unit, right - curve, high, 0, high]
    sheet.cut.polygon(body, fill=255)
    sheet.colour.polygon(body, fill=paint)
    sheet.colour.rectangle((0, 60 * unit, right, high), fill=toned(paint, 0.84))
    glass = dice.pick(((44, 52, 60), (72, 88, 102)))
    sheet.colour.rectangle((0, 13 * unit, right - 6 * unit, 44 * unit), fill=toned(paint, 0.5))
    sheet.colour.rectangle((0, 14.5 * unit, right - 7.5 * unit, 42.5 * unit), fill=glass)
    sheet.colour.polygon(
        (
            right * 0.3,
            14.5 * unit,
            right * 0.5,
            14.5 * unit,
            right * 0.3,
            42.5 * unit,
            right * 0.1,
            42.5 * unit,
        ),
        fill=toned(glass, 1.4),
    )
    sheet.colour.rectangle((0, 53 * unit, right, 57 * unit), fill=near(dice.pick(CLOTHES), dice))
    sheet.colour.rectangle((right - 5 * unit, 62 * unit, right - unit, 74 * unit), fill=(178, 36, 32))
    sheet.colour.rectangle((0, 86 * unit, right, 91 * unit), fill=(52, 52, 56))
    sheet.colour.ellipse(
        (right * 0.1 - 16 * unit, 82 * unit, right * 0.1 + 8 * unit, 106 * unit), fill=(24, 24, 26)
    )
    sheet.colour.line(
        (right * 0.72, 46 * unit, right * 0.72, 86 * unit),
        fill=toned(paint, 0.5),
        width=max(1, int(unit * 0.8)),
    )
    return sheet.picture


def _cart(sheet: _Sheet, dice: Dice) -> Image.Image:
    """A trolley full of boxes behind its wire, or a pallet of cartons."""
    wide, high, unit = sheet.wide, sheet.high, sheet.unit
    top = high - sheet.depth
    goods = top + 2 * unit
    sheet.colour.rectangle((0, top, wide, high), fill=(112, 96, 74))
    sheet.cut.rectangle((0, goods + 3 * unit, wide, high), fill=255)
    floor = high - 9 * unit
    y = goods
    while y < floor:
        tall = dice.uniform(9, 16) * unit
        x = -dice.uniform(0, 10) * unit
        while x < wide:
            broad = dice.uniform(12, 24) * unit
            dip = dice.uniform(0, 2.5) * unit if y == goods else 0.0
            box = near(dice.pick(((186, 148, 100), (170, 130, 86), (204, 170, 122), *CLOTHES[5:22:4])), dice)
            sheet.colour.rectangle((x, y + dip, x + broad, y + tall), fill=box, outline=toned(box, 0.55))
            sheet.colour.rectangle(
                (x + broad * 0.42, y + dip + unit, x + broad * 0.56, y + tall - unit), fill=toned(box, 1.2)
            )
            sheet.cut.rectangle((x, y + dip, x + broad, y + tall), fill=255)
            x += broad
        y += tall
    metal = (188, 192, 196)
    if dice.chance(0.65):  # wire
        step = dice.uniform(5, 7) * unit
        for column in range(int(wide / step) + 2):
            sheet.colour.line(
                (column * step, goods + 5 * unit, column * step - 2 * unit, floor),
                fill=metal,
                width=max(1, int(unit * 0.8)),
            )
        for row in range(4):
            level = goods + 5 * unit + (floor - goods - 5 * unit) * row / 3
            sheet.colour.line((0, level, wide, level), fill=metal, width=max(1, int(unit * 0.8)))
    sheet.colour.rectangle((0, floor, wide, floor + 3 * unit), fill=toned(metal, 0.6))
    sheet.colour.rectangle((0, floor + 3 * unit, wide, high), fill=(54, 54, 58))
    for x in (0.15, 0.85):
        sheet.colour.ellipse(
            (wide * x - 4.5 * unit, high - 8 * unit, wide * x + 4.5 * unit, high + unit), fill=(24, 24, 26)
        )
    handle = near(dice.pick(((190, 40, 40), (40, 90, 170), (230, 150, 40), (60, 60, 64))), dice)
    sheet.colour.rectangle((0, top, wide, goods + 1.5 * unit), fill=handle)
    sheet.cut.rectangle((0, top, wide, goods + 1.5 * unit), fill=255)
    return sheet.picture


def _luggage(sheet: _Sheet, dice: Dice) -> Image.Image:
    """Suitcases side by side."""
    wide, high, unit = sheet.wide, sheet.high, sheet.unit
    top = high - sheet.depth
    x = -dice.uniform(0.0, 0.25) * wide
    while x < wide:
        broad = wide * dice.uniform(0.38, 0.62)
        head = top + dice.uniform(-1.5, 3.5) * unit
        colour = near(dice.pick((*LEATHER, *PAINT[4:])), dice)
        box = (x, head, x + broad - 0.6 * unit, high - 2 * unit)
        for draw, fill in ((sheet.colour, toned(colour, 0.5)), (sheet.cut, 255)):
            grip = x + broad * 0.5
            draw.rectangle((grip - 7 * unit, head - 2.4 * unit, grip + 7 * unit, head + 4 * unit), fill=fill)
            draw.rectangle((x, high - 5 * unit, x + broad, high), fill=fill)
        sheet.colour.rounded_rectangle(
            box, 3.5 * unit, fill=colour, outline=toned(colour, 0.6), width=max(1, int(unit * 0.7))
        )
        sheet.cut.rounded_rectangle(box, 3.5 * unit, fill=255)
        if dice.chance(0.6):
            for rib in range(1, 5):
                at = x + broad * rib / 5
                sheet.colour.line(
                    (at, head + 4 * unit, at, high - 5 * unit),
                    fill=toned(colour, 0.72),
                    width=max(1, int(unit)),
                )
                sheet.colour.line(
                    (at + unit, head + 4 * unit, at + unit, high - 5 * unit),
                    fill=toned(colour, 1.2),
                    width=max(1, int(unit * 0.6)),
                )
        else:
            level = head + (high - head) * 0.35
            sheet.colour.rectangle(
                (x + 3 * unit, level, x + broad - 4 * unit, level + (high - level) * 0.5),
                fill=toned(colour, 0.86),
                outline=toned(colour, 0.55),
            )
            sheet.colour.line(
                (x + 2 * unit, level - 4 * unit, x + broad - 3 * unit, level - 4 * unit),
                fill=(196, 190, 170),
                width=max(1, int(unit * 0.8)),
            )
        x += broad
    sheet.cut.rectangle((0, top + 9 * unit, wide, high), fill=255)
    return sheet.picture


def _pedestrian(sheet: _Sheet, dice: Dice) -> Image.Image:
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
    pose = Pose(dice.pick(("front", "back")), dice.uniform(0, 6.28), 0.3)
    draw_figure(sheet.picture, frame, identity, pose, sheet.mask)
    return sheet.picture


_DRAWN: Final[dict[tuple[str, Kind], Callable[[_Sheet, Dice], Image.Image]]] = {
    ("top", "umbrella"): _umbrella,
    ("top", "sign"): _sign_above,
    ("top", "wall"): _wall_above,
    ("bottom", "car"): _car_below,
    ("bottom", "cart"): _cart,
    ("bottom", "luggage"): _luggage,
    ("bottom", "wall"): _wall_below,
    ("bottom", "sign"): _sign_below,
    ("left", "pedestrian"): _pedestrian,
    ("left", "wall"): _wall_beside,
    ("left", "pole"): _pole,
    ("left", "car"): _car_beside,
    ("left", "sign"): _sign_beside,
}
