"""Boxes of people in full frames as people write them: in options, and in a manifest's column."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from service.client import Box

__all__ = ["BoxError", "read_box", "read_boxes"]

NO_BOX: Final = "none"
"""In place of a box: the picture shows nothing but the person."""

_BETWEEN: Final = re.compile(r"\s*,\s*|\s+")
_NUMBER: Final = re.compile(r"[0-9]{1,7}")


class BoxError(ValueError):
    """A text states no box. The message says what was expected."""


def read_box(text: str) -> Box:
    """The box that ``120 40 64 128``, ``120,40,64,128`` or ``[120, 40, 64, 128]`` states.

    Raises:
        BoxError: it states none. Whether it lies in the picture, the service judges.
    """
    bare = text.strip()
    if bare.startswith("[") and bare.endswith("]"):
        bare = bare[1:-1].strip()
    numbers = _BETWEEN.split(bare)
    if len(numbers) != 4 or not all(map(_NUMBER.fullmatch, numbers)):
        raise BoxError(f"a box is x, y, width, height in whole pixels, e.g. 120,40,64,128, not {text!r}")
    x, y, width, height = map(int, numbers)
    return x, y, width, height


def read_boxes(options: Sequence[str], pictures: int) -> list[Box | None] | None:
    """The boxes that ``--box`` states, one for each picture in order; None where it is not given.

    Raises:
        BoxError: one states none, or there are not as many as pictures.
    """
    if not options:
        return None
    if len(options) != pictures:
        raise BoxError(
            f"--box is given once for each picture, in order ({NO_BOX} for one that shows the person alone): "
            f"there are {len(options)} for {pictures} pictures"
        )
    return [None if option.strip() == NO_BOX else read_box(option) for option in options]
