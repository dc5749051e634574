"""Folders of whole and of occluded pictures of the same people, as three data sets have them.

A name begins with the person and an underscore (``012_003.jpg``), either in one flat folder or in a folder
for each person (``012/012_03.tif``). No camera is named: whole pictures get camera 1, occluded ones 2, and
there is no camera rule.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from training.data.layout import list_folders, list_pictures
from training.data.records import DatasetError, Picture

__all__ = ["OCCLUDED", "WHOLE", "read_flat", "read_nested"]

WHOLE: Final = "whole_body_images"
OCCLUDED: Final = "occluded_body_images"

_NAME = re.compile(r"(\d+)_")


def read_flat(folder: Path) -> tuple[Picture, ...]:
    """The pictures of a flat folder, sorted by name.

    Raises:
        DatasetError: there is no such folder, or a name does not begin with a person.
    """
    return tuple(Picture(path, _person(path), _camera(folder)) for path in list_pictures(folder))


def read_nested(folder: Path) -> tuple[Picture, ...]:
    """The pictures of a folder that has a folder for each person, sorted by person and name.

    Raises:
        DatasetError: there is no such folder, or a picture's person is not its folder's.
    """
    pictures = []
    for inner in list_folders(folder):
        for path in list_pictures(inner):
            person = _person(path)
            if not inner.name.isdecimal() or int(inner.name) != person:
                raise DatasetError(
                    f"{path} shows person {person} by its name, in the folder {inner.name!r}; expected the "
                    f"folder of its person, e.g. {path.name.partition('_')[0]}/{path.name}"
                )
            pictures.append(Picture(path, person, _camera(folder)))
    return tuple(pictures)


def _person(path: Path) -> int:
    match = _NAME.match(path.name)
    if match is None:
        raise DatasetError(
            f"{path} does not begin with a person and an underscore; expected e.g. 012_003.jpg"
        )
    return int(match[1])


def _camera(folder: Path) -> int:
    return 1 if folder.name == WHOLE else 2
