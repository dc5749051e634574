"""The protocols: which pictures train, ask and answer. No torch.

=========================  =======================================================================
market1501                 Market-1501's own, where its query and gallery halves are present
market1501-val             every fifth of the 751 training identities, from the first: 151 people;
                           the other 600 train. Each person's and camera's first picture asks
market1501-val-occluded    the same, each query covered by an occluder (fixed seed)
cuhk03-val                 every fifth identity; camera A asks, camera B answers
partial-ilids              cropped probes against whole pictures, 117 people, no camera rule
partial-ilids-nocrop       the same with the uncropped probes
=========================  =======================================================================

    >>> protocol = load("market1501-val", Path("data"))
    >>> len(protocol.query), len(protocol.gallery)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from training.data import cuhk03, market1501, partial_ilids
from training.data.layout import list_pictures
from training.data.records import DatasetError, Picture, Protocol, people
from training.evaluation import occluders

__all__ = ["EXPECTED", "NAMES", "Counts", "count", "load", "of_folder", "split_people"]

_VAL_NOTE: Final = (
    "Validation people from Market-1501's training half: not comparable with published Market-1501 figures."
)
_CUHK_NOTE: Final = "Every fifth identity of CUHK03 (detected): not comparable with published CUHK03 figures."
_ILIDS_NOTE: Final = (
    "117 of 119 people: for 20 and 100 the gallery picture and the uncropped probe are one picture. "
    "Comparable with the papers only where training used Market-1501 alone."
)


@dataclass(frozen=True, slots=True)
class Counts:
    """How many pictures and people a protocol has on each side."""

    train: int
    train_people: int
    query: int
    query_people: int
    gallery: int
    gallery_people: int


EXPECTED: Final[Mapping[str, Counts]] = {
    "market1501": Counts(12936, 751, 3368, 750, 15913, 751),
    "market1501-val": Counts(10524, 600, 644, 151, 1768, 150),
    "market1501-val-occluded": Counts(10524, 600, 644, 151, 1768, 150),
    "cuhk03-val": Counts(11273, 1173, 1384, 294, 1440, 294),
    "partial-ilids": Counts(0, 0, 117, 117, 117, 117),
    "partial-ilids-nocrop": Counts(0, 0, 117, 117, 117, 117),
}
"""What a complete copy of each data set gives; ``penumbra-train datasets verify`` holds a root against it."""


def split_people(pictures: tuple[Picture, ...]) -> tuple[tuple[Picture, ...], tuple[Picture, ...]]:
    """Training and validation pictures: of the sorted identities every fifth, from the first, validates."""
    chosen = set(people(pictures)[::5])
    return (
        tuple(picture for picture in pictures if picture.person not in chosen),
        tuple(picture for picture in pictures if picture.person in chosen),
    )


def load(name: str, root: Path) -> Protocol:
    """A protocol from the data set under ``root``.

    Args:
        name: one of :data:`NAMES`.
        root: the folder that holds the data set's own folder, or that folder itself.

    Raises:
        ValueError: there is no protocol of that name.
        DatasetError: the data set is not laid out as expected.
    """
    try:
        build = _BUILDERS[name]
    except KeyError:
        raise ValueError(f"unknown protocol {name!r}; one of {', '.join(NAMES)}") from None
    return build(root)


def of_folder(folder: Path) -> Protocol:
    """A protocol from any folder of pictures whose names begin with the person, then an underscore.

    Each person's first picture by name asks, the others answer; no camera rule.

    Raises:
        DatasetError: there are no pictures, a name has no underscore, or nobody has two pictures.
    """
    query: dict[str, Picture] = {}
    gallery: list[Picture] = []
    for path in list_pictures(folder):
        name, underscore, _ = path.name.partition("_")
        if not underscore:
            raise DatasetError(f"{path.name!r} in {folder} does not begin with a person and an underscore")
        if name in query:
            gallery.append(Picture(path, query[name].person, 0))
        else:
            query[name] = Picture(path, len(query), 0)
    if not gallery:
        raise DatasetError(f"nobody in {folder} has two pictures")
    return Protocol(folder.name, (), tuple(query.values()), tuple(gallery), False, "A folder of pictures.")


def count(protocol: Protocol) -> Counts:
    """A protocol's pictures and people."""
    sides = (protocol.train, protocol.query, protocol.gallery)
    numbers = [number for side in sides for number in (len(side), len(people(side)))]
    return Counts(*numbers)


def _market1501(root: Path) -> Protocol:
    return Protocol(
        "market1501",
        market1501.read(root, market1501.TRAIN),
        market1501.read(root, market1501.QUERY),
        market1501.read(root, market1501.GALLERY),
        camera_rule=True,
        note="Market-1501's own protocol, single query.",
    )


def _market1501_val(root: Path) -> Protocol:
    train, validation = split_people(market1501.read(root, market1501.TRAIN))
    query: list[Picture] = []
    gallery: list[Picture] = []
    asked: set[tuple[int, int]] = set()
    for picture in validation:  # sorted by name
        place = (picture.person, picture.camera)
        (gallery if place in asked else query).append(picture)
        asked.add(place)
    return Protocol("market1501-val", train, tuple(query), tuple(gallery), camera_rule=True, note=_VAL_NOTE)


def _market1501_val_occluded(root: Path) -> Protocol:
    plain = _market1501_val(root)
    covered = occluders.cover(plain.query, plain.query + plain.gallery)
    note = f"{_VAL_NOTE} Each query is covered by a drawn occluder (seed {occluders.SEED})."
    return Protocol(
        "market1501-val-occluded", plain.train, covered, plain.gallery, camera_rule=True, note=note
    )


def _cuhk03_val(root: Path) -> Protocol:
    train, validation = split_people(cuhk03.read(root))
    return Protocol(
        "cuhk03-val",
        train,
        tuple(picture for picture in validation if picture.camera == cuhk03.CAMERA_A),
        tuple(picture for picture in validation if picture.camera == cuhk03.CAMERA_B),
        camera_rule=True,
        note=_CUHK_NOTE,
    )


def _partial_ilids(root: Path) -> Protocol:
    return _ilids("partial-ilids", root, partial_ilids.PROBE)


def _partial_ilids_nocrop(root: Path) -> Protocol:
    return _ilids("partial-ilids-nocrop", root, partial_ilids.PROBE_NOCROP)


def _ilids(name: str, root: Path, probes: str) -> Protocol:
    query = partial_ilids.read(root, probes)
    gallery = partial_ilids.read(root, partial_ilids.GALLERY)
    return Protocol(name, (), query, gallery, camera_rule=False, note=_ILIDS_NOTE)


_BUILDERS: Final[Mapping[str, Callable[[Path], Protocol]]] = {
    "market1501": _market1501,
    "market1501-val": _market1501_val,
    "market1501-val-occluded": _market1501_val_occluded,
    "cuhk03-val": _cuhk03_val,
    "partial-ilids": _partial_ilids,
    "partial-ilids-nocrop": _partial_ilids_nocrop,
}

NAMES: Final[tuple[str, ...]] = tuple(_BUILDERS)
