"""Market-1501 (Zheng et al., ICCV 2015): six cameras on a campus, boxes found by a detector, 64×128 pixels.

=========================  ========  ======
folder                     pictures  people
=========================  ========  ======
``bounding_box_train/``      12,936     751
``query/``                    3,368     750
``bounding_box_test/``       19,732     750 (and distractors, and junk)
=========================  ========  ======

Names are ``0002_c1s1_000451_03.jpg``: person, camera, sequence, frame, box. Person ``-1`` is junk (a box
that overlaps a person too little to count either way) and is left out everywhere; person ``0000`` is a
distractor (background): it stays in the gallery, where it can only be wrong, and never trains or asks.

    >>> pictures = read(Path("data"), "bounding_box_train")
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from training.data.layout import find_folder, list_pictures
from training.data.records import DatasetError, Picture

__all__ = ["DISTRACTOR", "FOLDER", "GALLERY", "JUNK", "QUERY", "TRAIN", "holds", "parse_name", "read"]

FOLDER: Final = "Market-1501-v15.09.15"
TRAIN: Final = "bounding_box_train"
GALLERY: Final = "bounding_box_test"
QUERY: Final = "query"

JUNK: Final = -1
DISTRACTOR: Final = 0

_NAME = re.compile(r"(-1|\d{4})_c([1-6])s\d+_\d+_\d{2}\.")


def parse_name(name: str) -> tuple[int, int]:
    """Person (-1 junk, 0 distractor, else the identity) and camera (1 to 6) from a file's name.

    Raises:
        DatasetError: the name is not one of Market-1501's.
    """
    match = _NAME.match(name)
    if match is None:
        raise DatasetError(f"{name!r} is not a Market-1501 name; expected e.g. 0002_c1s1_000451_03.jpg")
    return int(match[1]), int(match[2])


def holds(root: Path, part: str) -> bool:
    """Whether ``part`` (e.g. ``"query"``) is present: the training half is often handed on alone."""
    return (root / FOLDER / part).is_dir() or (root / part).is_dir()


def read(root: Path, part: str) -> tuple[Picture, ...]:
    """The pictures of one part, sorted by name, junk left out; distractors only in the gallery.

    Args:
        root: the folder that holds ``Market-1501-v15.09.15``, or that folder itself.
        part: :data:`TRAIN`, :data:`QUERY` or :data:`GALLERY`.

    Raises:
        DatasetError: the layout or a name is not Market-1501's.
    """
    folder = find_folder(root, FOLDER, (part,)) / part
    pictures = []
    for path in list_pictures(folder):
        person, camera = parse_name(path.name)
        if person == JUNK or (person == DISTRACTOR and part != GALLERY):
            continue
        pictures.append(Picture(path, person, camera))
    return tuple(pictures)
