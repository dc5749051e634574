"""Your own pictures, a folder for each person.

::

    ROOT/{train,query,gallery}/ANNA/c1_0007.jpg      split by you: train may be missing, or be alone
    ROOT/ANNA/c1_0007.jpg                            or not: each person's first picture in each camera asks

Any names of people will do. Where every picture's name has a camera (``c1``, ``cam01``: at its beginning,
or after an underscore or hyphen), it counts, with the camera rule; where one lacks it, all are camera 0 and
there is no rule.

    >>> protocol = read(Path("my-pictures"))
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from training.data.layout import list_folders, list_pictures
from training.data.own_pictures import NOTE, OWN_TERMS, ask_first, number
from training.data.records import DatasetError, Offer, Picture, Protocol

__all__ = ["NAME", "PROTOCOLS", "SPLITS", "read"]

NAME: Final = "folders"
SPLITS: Final = ("train", "query", "gallery")

_CAMERA = re.compile(r"(?:^|[_-])c(?:am)?0*(\d+)(?![^\W_])", re.IGNORECASE)


def read(root: Path) -> Protocol:
    """The protocol of a folder of people.

    Raises:
        DatasetError: there are no folders, a folder has no pictures, queries have no gallery or it no
            queries, or nobody has a picture to be found by.
    """
    present = [name for name in SPLITS if (root / name).is_dir()]
    listed = {split: _list(root / split) for split in present} if present else {"": _list(root)}
    paths = [entry for entries in listed.values() for entry in entries]
    persons = number(person for person, _ in paths)
    cameras = {path: _CAMERA.search(path.name) for _, path in paths}
    known = all(match is not None for match in cameras.values())

    def pictures(split: str) -> tuple[Picture, ...]:
        entries = listed.get(split, [])
        return tuple(
            Picture(path, persons[person], _camera(cameras[path], known)) for person, path in entries
        )

    if present:
        train, query, gallery = (pictures(split) for split in SPLITS)
        if bool(query) != bool(gallery):
            raise DatasetError(
                f"{root} has {' and '.join(present)}; expected query/ and gallery/ both, or neither"
            )
    else:
        train, (query, gallery) = (), ask_first(pictures(""))
        if not gallery:
            raise DatasetError(
                f"nobody in {root} has two pictures in a camera: each needs one to ask and one to find"
            )
    return Protocol(NAME, train, query, gallery, camera_rule=known, note=NOTE)


def _list(folder: Path) -> list[tuple[str, Path]]:
    return [(inner.name, path) for inner in list_folders(folder) for path in list_pictures(inner)]


def _camera(match: re.Match[str] | None, known: bool) -> int:
    return int(match[1]) if known and match is not None else 0


PROTOCOLS: Final = (
    Offer(NAME, read, "PERSON/*.jpg, or {train,query,gallery}/PERSON/*.jpg", None, OWN_TERMS),
)
