"""The layout that Market-1501 began: ``bounding_box_train/``, ``query/``, ``bounding_box_test/``.

Person and camera stand in each file's name. Person -1 is junk (a box that overlaps a person too little to
count either way) and is left out everywhere. Person 0 is a distractor (background): it stays in the gallery,
where it can only be wrong, and never trains or asks.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from training.data.layout import find_folder, list_pictures
from training.data.records import DatasetError, Picture, Protocol

__all__ = ["DISTRACTOR", "GALLERY", "JUNK", "QUERY", "TRAIN", "BoundingBoxes"]

TRAIN: Final = "bounding_box_train"
GALLERY: Final = "bounding_box_test"
QUERY: Final = "query"

JUNK: Final = -1
DISTRACTOR: Final = 0


@dataclass(frozen=True, slots=True)
class BoundingBoxes:
    """One data set of this layout.

    Attributes:
        title: how people call it.
        folders: how its folder is called, the usual name first.
        pattern: of a file's name; its two groups are person and camera.
        example: a name of that pattern, for messages.
        others: folders of other data sets that look the same.
    """

    title: str
    folders: tuple[str, ...]
    pattern: re.Pattern[str]
    example: str
    others: tuple[str, ...] = ()

    def parse_name(self, name: str) -> tuple[int, int]:
        """Person (-1 junk, 0 distractor, else the identity) and camera (from 1) from a file's name.

        Raises:
            DatasetError: the name is not one of this data set's.
        """
        match = self.pattern.match(name)
        if match is None:
            raise DatasetError(f"{name!r} is not a {self.title} name; expected e.g. {self.example}")
        return int(match[1]), int(match[2])

    def holds(self, root: Path, part: str) -> bool:
        """Whether ``part`` (e.g. ``"query"``) is present: a training half is often handed on alone."""
        return any((root / name / part).is_dir() for name in self.folders) or (root / part).is_dir()

    def folder(self, root: Path, part: str) -> Path:
        """Where a part lies.

        Raises:
            DatasetError: it is not there.
        """
        return find_folder(root, self.folders, (part,), self.others) / part

    def read(self, root: Path, part: str) -> tuple[Picture, ...]:
        """The pictures of one part, sorted by name, junk left out; distractors only in the gallery.

        Raises:
            DatasetError: the layout or a name is not this data set's.
        """
        parsed = self._parse(list_pictures(self.folder(root, part)))
        kept = (p for p in parsed if p.person != JUNK and (p.person != DISTRACTOR or part == GALLERY))
        return tuple(kept)

    def protocol(self, root: Path, name: str, note: str) -> Protocol:
        """The data set's own protocol: single query, camera rule.

        Raises:
            DatasetError: the layout or a name is not this data set's.
        """
        train, query, gallery = (self.read(root, part) for part in (TRAIN, QUERY, GALLERY))
        return Protocol(name, train, query, gallery, camera_rule=True, note=note)

    def _parse(self, paths: Iterable[Path]) -> Iterable[Picture]:
        return (Picture(path, *self.parse_name(path.name)) for path in paths)
