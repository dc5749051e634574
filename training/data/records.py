"""What a data set is made of: pictures with a person and a camera, and protocols of them. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["DatasetError", "Occluder", "Picture", "Protocol", "people"]


class DatasetError(ValueError):
    """A data set is not laid out as its reader expects. The message says what was expected and found."""


@dataclass(frozen=True, slots=True)
class Occluder:
    """Something drawn over a picture when it is read (``training/evaluation/occluders.py`` draws it).

    Attributes:
        code: which rectangle it covers (``models.occlusion``), 1 to 8.
        patch_of: the picture that the patch is cut from.
        box: the patch in ``patch_of`` (top, left, bottom, right), fractions of its height and width.
    """

    code: int
    patch_of: Path
    box: tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture of one person.

    Attributes:
        path: the file.
        person: identity, unique within its data set.
        camera: camera, unique within its data set.
        occluder: what is drawn over it when it is read, or None.
    """

    path: Path
    person: int
    camera: int
    occluder: Occluder | None = None


@dataclass(frozen=True, slots=True)
class Protocol:
    """Which pictures train, which ask, which answer.

    Attributes:
        name: e.g. ``"market1501-val"``.
        train: pictures to train on; empty where the data set is for testing only.
        query: pictures that ask.
        gallery: pictures that are ranked.
        camera_rule: gallery pictures of the query's own person *and* camera are ignored.
        note: what must be said wherever a figure on this protocol is shown.
    """

    name: str
    train: tuple[Picture, ...]
    query: tuple[Picture, ...]
    gallery: tuple[Picture, ...]
    camera_rule: bool
    note: str


def people(pictures: tuple[Picture, ...]) -> list[int]:
    """The identities in ``pictures``, sorted, each once."""
    return sorted({picture.person for picture in pictures})
