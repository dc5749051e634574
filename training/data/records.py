"""What a data set is made of: pictures with a person and a camera, and protocols of them. No torch."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Counts", "DatasetError", "Occluder", "Offer", "Picture", "Protocol", "count", "people"]


class DatasetError(ValueError):
    """A data set is not laid out as its reader expects. The message says what was expected and found."""


@dataclass(frozen=True, slots=True)
class Occluder:
    """Something drawn over a picture when it is read (``training/evaluation/occluders.py`` draws it).

    Attributes:
        code: which rectangle it covers (``models.occlusion``), 1 to 8.
        patch_of: the picture that the patch is cut from; None: the rectangle is blank, in the mean colour.
        box: the patch in ``patch_of`` (top, left, bottom, right), fractions of its height and width.
    """

    code: int
    patch_of: Path | None = None
    box: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture of one person.

    Attributes:
        path: the file.
        person: identity, unique within its data set.
        camera: camera, unique within its data set.
        occluder: what is drawn over it when it is read, or None.
        time: when it was taken, in seconds, where the data set tells; of a date, since 1970 in UTC.
    """

    path: Path
    person: int
    camera: int
    occluder: Occluder | None = None
    time: float | None = None


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


@dataclass(frozen=True, slots=True)
class Counts:
    """How many pictures and people a protocol has on each side; None where nobody published it."""

    train: int | None
    train_people: int | None
    query: int | None
    query_people: int | None
    gallery: int | None
    gallery_people: int | None


@dataclass(frozen=True, slots=True)
class Offer:
    """A protocol that a reader can build: a reader's ``PROTOCOLS`` is a tuple of these.

    Attributes:
        name: the protocol's.
        build: makes it from a root; raises :class:`DatasetError` where the layout is not as expected.
        needs: what must lie under the root.
        counts: of a complete copy; None for pictures of the user's own.
        terms: under which the pictures may be used.
        withdrawn: the authors took the data back, see ``training/data/withdrawn.py``.
    """

    name: str
    build: Callable[[Path], Protocol]
    needs: str
    counts: Counts | None
    terms: str
    withdrawn: bool = False


def people(pictures: Iterable[Picture]) -> list[int]:
    """The identities in ``pictures``, sorted, each once."""
    return sorted({picture.person for picture in pictures})


def count(protocol: Protocol) -> Counts:
    """A protocol's pictures and people."""
    sides = (protocol.train, protocol.query, protocol.gallery)
    return Counts(*(number for side in sides for number in (len(side), len(people(side)))))
