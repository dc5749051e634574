"""One picture that shows what is drawn: walkers with their label maps, occluders, near-identical pairs.

Rows: two people in six cameras, each picture with its label map; twelve people; the nine kinds of occluders
and the label maps of the first three; near-identical pairs, two that differ in shoes, two in the bag, two in
the collar.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, get_args

import numpy as np
import numpy.typing as npt
from PIL import Image

from models import occlusion
from training.data.synthetic.generator import SyntheticPicture, draw
from training.data.synthetic.identity import DETAILS, twin_of
from training.data.synthetic.occluder import Kind

__all__ = ["LABEL_COLOURS", "draw_sheet"]

LABEL_COLOURS: Final = np.array(
    (
        (24, 24, 28), (230, 70, 70), (90, 200, 90), (70, 90, 230),
        (235, 205, 60), (200, 80, 205), (60, 205, 215), (245, 245, 245),
    ),
    dtype=np.uint8,
)  # fmt: skip
"""uint8 [8, 3]: how a label map's codes are shown."""

_COLUMNS: Final = 12
_GAP: Final = 2
_PAIRS_OF_A_DETAIL: Final = 2
_PALETTE: Final = 256  # colours of the file, which keeps it small


def draw_sheet(path: Path, seed: int) -> None:
    """Draw the contact sheet into a PNG."""
    walkers = [draw(person, camera, 0, seed=seed) for person in (1, 2) for camera in range(6)]
    rows = [
        [part for picture in walkers[:6] for part in (picture.image, LABEL_COLOURS[picture.labels])],
        [part for picture in walkers[6:] for part in (picture.image, LABEL_COLOURS[picture.labels])],
        [draw(10 + place, place % 6, 0, seed=seed).image for place in range(_COLUMNS)],
        _occluded(seed),
        _pairs(seed),
    ]
    high, wide = rows[0][0].shape[:2]
    sheet = np.full(
        (len(rows) * (high + _GAP) - _GAP, _COLUMNS * (wide + _GAP) - _GAP, 3), 255, dtype=np.uint8
    )
    for row, cells in enumerate(rows):
        for column, cell in enumerate(cells):
            top, left = row * (high + _GAP), column * (wide + _GAP)
            sheet[top : top + high, left : left + wide] = cell
    image = Image.fromarray(sheet).quantize(_PALETTE, dither=Image.Dither.NONE)
    image.save(path, format="PNG", optimize=True)


def _occluded(seed: int) -> list[npt.NDArray[np.uint8]]:
    """A picture for each kind of occluder, then the first ones' label maps."""
    chosen: dict[Kind, SyntheticPicture] = {}
    person = 40
    while len(chosen) < len(get_args(Kind)):
        picture = draw(person, person % 6, 0, seed=seed, occlusion=1 + person % (occlusion.COUNT - 1))
        if picture.occluder is not None:
            chosen.setdefault(picture.occluder, picture)
        person += 1
    pictures = [chosen[kind] for kind in get_args(Kind)]
    shown = [picture.image for picture in pictures]
    return shown + [LABEL_COLOURS[picture.labels] for picture in pictures[: _COLUMNS - len(shown)]]


def _pairs(seed: int) -> list[npt.NDArray[np.uint8]]:
    """Near-identical pairs side by side in one camera."""
    shown = []
    for detail in DETAILS:
        found, person = 0, 1
        while found < _PAIRS_OF_A_DETAIL:
            twin = twin_of(seed, person, 1.0)
            if twin is not None and twin.detail == detail:
                shown += [draw(who, 0, 0, seed=seed, near_identical=1.0).image for who in (person, twin.of)]
                found += 1
            person += 2
    return shown
