"""A rank list as one picture: each query in a row, its best matches beside it, right ones framed green."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from PIL import Image, ImageDraw, ImageFont

from models import occlusion

__all__ = ["RankRow", "RankedTile", "draw_rank_list"]

Colour = tuple[int, int, int]
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

RIGHT: Final[Colour] = (22, 138, 74)
WRONG: Final[Colour] = (204, 41, 41)
ASKED: Final[Colour] = (70, 78, 92)
HIDDEN: Final[Colour] = (245, 158, 11)
INK: Final[Colour] = (24, 28, 36)
FAINT: Final[Colour] = (104, 112, 126)
PAPER: Final[Colour] = (255, 255, 255)
RULE: Final[Colour] = (226, 230, 236)

TILE: Final = (96, 192)
FRAME: Final = 5
GAP: Final = 28
MARGIN: Final = 32
CAPTION: Final = 56
HEADER: Final = 100
QUERY_COLUMN: Final = TILE[0] + 2 * FRAME + 64


@dataclass(frozen=True, slots=True)
class RankedTile:
    """One match.

    Attributes:
        picture: its file.
        person: as enrolled.
        score: cosine.
        compared: types hidden on both sides.
        right: it is the person asked for.
    """

    picture: Path
    person: str
    score: float
    compared: str
    right: bool


@dataclass(frozen=True, slots=True)
class RankRow:
    """One query with its matches, best first.

    Attributes:
        picture: the query's file.
        person: whom it shows, if that is known.
        graded: name of its graded occlusion type; None where the model has no grader.
        matches: best first.
    """

    picture: Path
    person: str | None
    graded: str | None
    matches: Sequence[RankedTile]


def draw_rank_list(rows: Sequence[RankRow], title: str, subtitle: str = "") -> Image.Image:
    """Draw a rank list.

    Args:
        rows: at least one.
        title, subtitle: what the picture shows, above it.

    Returns:
        RGB, as large as it needs to be.

    Raises:
        ValueError: there are no rows.
        OSError: a picture cannot be read.
    """
    if not rows:
        raise ValueError("a rank list needs at least one query")
    columns = max(len(row.matches) for row in rows)
    cell = TILE[0] + 2 * FRAME + GAP
    row_height = TILE[1] + 2 * FRAME + CAPTION + GAP
    large, normal, small = (ImageFont.load_default(size) for size in (22, 14, 12))
    width = 2 * MARGIN + QUERY_COLUMN + columns * cell - GAP
    width = max(width, 2 * MARGIN + int(max(large.getlength(title), normal.getlength(subtitle))))
    canvas = Image.new("RGB", (width, HEADER + len(rows) * row_height + MARGIN), PAPER)
    pen = ImageDraw.Draw(canvas)
    pen.text((MARGIN, 20), title, fill=INK, font=large)
    pen.text((MARGIN, 50), subtitle, fill=FAINT, font=normal)
    pen.text((MARGIN, HEADER - 22), "query", fill=FAINT, font=small)
    for column in range(columns):
        centre = MARGIN + QUERY_COLUMN + column * cell + FRAME + TILE[0] / 2
        pen.text((centre, HEADER - 22), f"{column + 1}", fill=FAINT, font=small, anchor="ma")
    for number, row in enumerate(rows):
        top = HEADER + number * row_height
        if number:
            pen.line((MARGIN, top - GAP // 2, width - MARGIN, top - GAP // 2), fill=RULE)
        box = _tile(canvas, row.picture, MARGIN, top, ASKED)
        if row.graded is not None:
            _outline_hidden(pen, box, row.graded)
        left, below = MARGIN, top + TILE[1] + 2 * FRAME + 4
        person = "?" if row.person is None else row.person
        pen.text((left, below), _fit(person, normal, QUERY_COLUMN - 8), fill=INK, font=normal)
        grade = "not graded" if row.graded is None else "graded " + row.graded.replace("_", " ")
        pen.text((left, below + 18), grade, fill=FAINT, font=small)
        for column, match in enumerate(row.matches):
            left = MARGIN + QUERY_COLUMN + column * cell
            colour = RIGHT if match.right else WRONG
            box = _tile(canvas, match.picture, left, top, colour)
            _badge(pen, box, match.right, colour)
            hidden = match.compared.replace("_", " ")
            hidden = "whole pictures" if hidden == "none" else f"without {hidden}"
            pen.text((left, below), _fit(match.person, normal, cell - 4), fill=colour, font=normal)
            pen.text((left, below + 18), f"{match.score:.3f}", fill=INK, font=small)
            pen.text((left, below + 33), _fit(hidden, small, cell - 4), fill=FAINT, font=small)
    return canvas


def _fit(text: str, font: Font, width: float) -> str:
    """The text, cut where it would be wider than ``width`` pixels."""
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "...") > width:
        text = text[:-1]
    return text + "..."


def _tile(
    canvas: Image.Image, picture: Path, left: int, top: int, colour: Colour
) -> tuple[int, int, int, int]:
    """Paste a framed picture; its own box (left, top, right, bottom) without the frame, inclusive."""
    with Image.open(picture) as opened:
        tile = opened.convert("RGB").resize(TILE, Image.Resampling.BICUBIC)
    outer = (left, top, left + TILE[0] + 2 * FRAME - 1, top + TILE[1] + 2 * FRAME - 1)
    ImageDraw.Draw(canvas).rectangle(outer, fill=colour)
    canvas.paste(tile, (left + FRAME, top + FRAME))
    return outer[0] + FRAME, outer[1] + FRAME, outer[2] - FRAME, outer[3] - FRAME


def _outline_hidden(pen: ImageDraw.ImageDraw, box: tuple[int, int, int, int], graded: str) -> None:
    """Dashes around what the grader thinks is hidden."""
    code = occlusion.code_of(graded)
    if code == occlusion.NONE:
        return
    top, left, bottom, right = occlusion.rectangle(code, box[3] - box[1] + 1, box[2] - box[0] + 1)
    x0, y0, x1, y1 = box[0] + left + 1, box[1] + top + 1, box[0] + right - 2, box[1] + bottom - 2
    dash, period = 6, 10
    for x in range(x0, x1 + 1, period):
        for y in (y0, y1):
            pen.line((x, y, min(x + dash, x1), y), fill=HIDDEN, width=2)
    for y in range(y0, y1 + 1, period):
        for x in (x0, x1):
            pen.line((x, y, x, min(y + dash, y1)), fill=HIDDEN, width=2)


def _badge(pen: ImageDraw.ImageDraw, box: tuple[int, int, int, int], right: bool, colour: Colour) -> None:
    """A tick or a cross in the corner, for eyes that do not tell green from red."""
    x, y, radius = box[2] - 9, box[1] + 9, 10
    pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour, outline=PAPER)
    if right:
        pen.line([(x - 5, y), (x - 1, y + 4), (x + 5, y - 4)], fill=PAPER, width=2, joint="curve")
    else:
        pen.line((x - 4, y - 4, x + 4, y + 4), fill=PAPER, width=2)
        pen.line((x - 4, y + 4, x + 4, y - 4), fill=PAPER, width=2)
