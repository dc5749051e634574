"""CUHK01 (Li et al., ACCV 2012): 971 people, two pictures in each of two views: 3,884 in all, 60×160.

One folder ``campus/`` with names ``0001001.png``: person (four digits) and picture (three): 001 and 002 are
view A (camera 1 here), 003 and 004 view B (camera 2).

The papers split the people at random, 485 to train and 486 to test (or 871 and 100), each with draws of its
own that nobody published. Here the draw is fixed: the person's number hashed with the trial's, so that it
depends on no library's generator.

Source: CUHK01.zip, https://www.ee.cuhk.edu.hk/~xgwang/CUHK_identification.html. Terms: non-commercial
    research.

    >>> pictures = read(Path("data"))
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection
from pathlib import Path
from typing import Final

from training.data.layout import find_folder, list_pictures
from training.data.records import Counts, DatasetError, Offer, Picture, Protocol, people

__all__ = ["CAMERA_A", "CAMERA_B", "FOLDER", "PROTOCOLS", "draw_people", "parse_name", "read"]

FOLDER: Final = "campus"
CAMERA_A: Final = 1
CAMERA_B: Final = 2

_NAME = re.compile(r"(\d{4})(00[1-4])\.")


def parse_name(name: str) -> tuple[int, int]:
    """Person (1 to 971) and camera (1 = view A, 2 = view B) from a file's name.

    Raises:
        DatasetError: the name is not PPPPNNN with NNN 001 to 004.
    """
    match = _NAME.match(name)
    if match is None:
        raise DatasetError(f"{name!r} is not a CUHK01 name; expected PPPPNNN.png with NNN 001 to 004")
    return int(match[1]), CAMERA_A if int(match[2]) <= 2 else CAMERA_B


def read(root: Path) -> tuple[Picture, ...]:
    """All pictures, sorted by name.

    Args:
        root: the folder that holds ``campus`` (or ``CUHK01/campus``), or ``campus`` itself.

    Raises:
        DatasetError: the layout or a name is not as above.
    """
    outer = next((root / name for name in ("CUHK01", "cuhk01") if (root / name / FOLDER).is_dir()), root)
    folder = find_folder(outer, FOLDER)
    return tuple(Picture(path, *parse_name(path.name)) for path in list_pictures(folder))


def draw_people(everyone: Collection[int], number: int, trial: int = 0) -> frozenset[int]:
    """Who is tested in a trial: the ``number`` people whose hashes with the trial's number come first.

    Raises:
        DatasetError: there are not so many people.
    """
    if len(everyone) <= number:
        raise DatasetError(
            f"CUHK01 is split into people to train on and {number} to test; found {len(everyone)}"
        )

    def place(person: int) -> bytes:
        return hashlib.sha256(f"cuhk01/{trial}/{person}".encode()).digest()

    return frozenset(sorted(everyone, key=place)[:number])


def _protocol(root: Path) -> Protocol:
    return _split("cuhk01", root, 486)


def _protocol_100(root: Path) -> Protocol:
    return _split("cuhk01-100", root, 100)


def _split(name: str, root: Path, number: int) -> Protocol:
    pictures = read(root)
    tested = draw_people(people(pictures), number)
    return Protocol(
        name,
        tuple(picture for picture in pictures if picture.person not in tested),
        tuple(picture for picture in pictures if picture.person in tested and picture.camera == CAMERA_A),
        tuple(picture for picture in pictures if picture.person in tested and picture.camera == CAMERA_B),
        camera_rule=True,
        note=f"{number} of CUHK01's people, drawn once by Penumbra: published figures average other draws.",
    )


_TERMS: Final = "non-commercial research"

PROTOCOLS: Final = (
    Offer("cuhk01", _protocol, f"CUHK01/{FOLDER}/", Counts(1940, 485, 972, 486, 972, 486), _TERMS),
    Offer("cuhk01-100", _protocol_100, f"CUHK01/{FOLDER}/", Counts(3484, 871, 200, 100, 200, 100), _TERMS),
)
