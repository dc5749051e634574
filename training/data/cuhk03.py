"""CUHK03 (Li et al., CVPR 2014), detected boxes: 14,097 pictures of 1,467 people, two cameras a person.

Read from a plain folder ``cuhk03-detected/`` of files ``IIII_KK.jpg``: person IIII, picture KK, where 00 to
04 are camera A (1 here) and 05 to 09 camera B (2 here).

    >>> pictures = read(Path("data"))
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from training.data.layout import find_folder, list_pictures
from training.data.records import DatasetError, Picture

__all__ = ["CAMERA_A", "CAMERA_B", "FOLDER", "parse_name", "read"]

FOLDER: Final = "cuhk03-detected"
CAMERA_A: Final = 1
CAMERA_B: Final = 2

_NAME = re.compile(r"(\d{4})_0(\d)\.")


def parse_name(name: str) -> tuple[int, int]:
    """Person (0 to 9999) and camera (1 = A, 2 = B) from a file's name.

    Raises:
        DatasetError: the name is not ``IIII_KK`` with KK 00 to 09.
    """
    match = _NAME.match(name)
    if match is None:
        raise DatasetError(f"{name!r} is not a CUHK03 name; expected IIII_KK.jpg with KK 00 to 09")
    return int(match[1]), CAMERA_A if int(match[2]) < 5 else CAMERA_B


def read(root: Path) -> tuple[Picture, ...]:
    """All pictures, sorted by name.

    Args:
        root: the folder that holds ``cuhk03-detected``, or that folder itself.

    Raises:
        DatasetError: the layout or a name is not as above.
    """
    return tuple(Picture(path, *parse_name(path.name)) for path in list_pictures(find_folder(root, FOLDER)))
