"""CUHK03 (Li et al., CVPR 2014): 1,467 people on a campus, five pairs of cameras, two cameras a person.

============  ========  =====================================================
boxes         pictures  how they came about
============  ========  =====================================================
``detected``    14,097  found by a detector (deformable parts)
``labelled``    14,096  drawn by hand
============  ========  =====================================================

Read in two forms:

- **the release**, ``cuhk03/cuhk03_release/cuhk-03.mat`` with the files of the new protocol beside it
  (``training/data/cuhk03_release.py``), for the published protocols: the *new* one (Zhong et al., CVPR
  2017), 767 people to train and 700 to test, the camera rule as in Market-1501; and the *classic* one, 20
  test sets of 100 people, to be measured single-shot over 100 draws;
- **a plain folder** ``cuhk03-detected/`` of files ``IIII_KK.jpg``: person IIII, picture KK, where 00 to 04
  are camera A (1 here) and 05 to 09 camera B (2 here), for ``cuhk03-val``.

Source: https://www.ee.cuhk.edu.hk/~xgwang/CUHK_identification.html; the new protocol's files:
github.com/zhunzhong07/person-re-ranking. Terms: non-commercial research.

    >>> pictures = read(Path("data"))
    >>> protocol = read_new(Path("data"), "detected")
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy.typing as npt

from training.data import cuhk03_release
from training.data.cuhk03_release import Boxes
from training.data.layout import find_folder, list_pictures
from training.data.records import Counts, DatasetError, Offer, Picture, Protocol

__all__ = [
    "CAMERA_A", "CAMERA_B", "FOLDER", "PROTOCOLS", "TERMS", "parse_extracted", "parse_name", "read",
    "read_classic", "read_new",
]  # fmt: skip

FOLDER: Final = "cuhk03-detected"
CAMERA_A: Final = 1
CAMERA_B: Final = 2
TERMS: Final = "non-commercial research"

_NAME = re.compile(r"(\d{4})_0(\d)\.")
_EXTRACTED = re.compile(r"([1-5])_(\d{3})_([12])_(\d{2})\.png$")


def parse_name(name: str) -> tuple[int, int]:
    """Person (0 to 9999) and camera (1 = A, 2 = B) from a file's name in the plain folder.

    Raises:
        DatasetError: the name is not ``IIII_KK`` with KK 00 to 09.
    """
    match = _NAME.match(name)
    if match is None:
        raise DatasetError(f"{name!r} is not a CUHK03 name; expected IIII_KK.jpg with KK 00 to 09")
    return int(match[1]), CAMERA_A if int(match[2]) < 5 else CAMERA_B


def parse_extracted(name: str) -> tuple[int, int, int]:
    """Pair (1 to 5), person in the pair (from 1) and camera (1 to 10, two a pair) from ``1_001_2_06.png``.

    Raises:
        DatasetError: the name is not of that form.
    """
    match = _EXTRACTED.match(name)
    if match is None:
        raise DatasetError(f"{name!r} is not a name of CUHK03's new protocol; expected e.g. 1_001_2_06.png")
    pair = int(match[1])
    return pair, int(match[2]), 2 * (pair - 1) + int(match[3])


def read(root: Path) -> tuple[Picture, ...]:
    """All pictures of the plain folder, sorted by name.

    Args:
        root: the folder that holds ``cuhk03-detected``, or that folder itself.

    Raises:
        DatasetError: the layout or a name is not as above.
    """
    return tuple(Picture(path, *parse_name(path.name)) for path in list_pictures(find_folder(root, FOLDER)))


def read_new(root: Path, boxes: Boxes) -> Protocol:
    """The new protocol, 767 people to train and 700 to test, as its own file says.

    Args:
        root: the folder that holds ``cuhk03``, or that folder itself.
        boxes: ``"detected"`` or ``"labelled"``.

    Raises:
        DatasetError: a file is missing or not as expected, or names a picture that the release does not hold.
    """
    from training.data.matlab import MatFile

    release, config = cuhk03_release.find_release(root), cuhk03_release.find_config(root, boxes)
    with MatFile(config) as mat:
        names = [mat.text(cell) for cell in mat["filelist"].ravel()]
        persons = [int(label) for label in mat["labels"].ravel()]
        sides = [_indices(mat[f"{side}_idx"]) for side in ("train", "query", "gallery")]
    if len(names) != len(persons):
        raise DatasetError(f"{config} names {len(names)} files and {len(persons)} labels")
    folder = cuhk03_release.extract(release, boxes)
    there = {path.name for path in folder.iterdir()}
    missing = [name for name in names if name not in there]
    if missing:
        raise DatasetError(
            f"{config} names {len(missing)} pictures that {release} does not hold, e.g. {missing[0]}"
        )

    def pictures(side: Iterable[int]) -> tuple[Picture, ...]:
        return tuple(
            Picture(folder / names[place], persons[place], parse_extracted(names[place])[2]) for place in side
        )

    if any(not 0 <= place < len(names) for side in sides for place in side):
        raise DatasetError(f"{config} points beyond its {len(names)} files")
    train, query, gallery = (pictures(side) for side in sides)
    note = f"CUHK03's new protocol (767/700), {boxes} boxes."
    return Protocol(f"cuhk03-new-{boxes}", train, query, gallery, camera_rule=True, note=note)


def read_classic(root: Path, boxes: Boxes, test_set: int = 0) -> Protocol:
    """The classic protocol with one of the release's 20 test sets: 100 people tested, all others train.

    All their pictures from the pair's first camera ask and all from its second answer; the classic figure
    draws one gallery picture a person, 100 times. A person is numbered pair·1000 + person in the pair.

    Args:
        test_set: 0 to 19.

    Raises:
        DatasetError: the release is missing or not as expected, or has no such test set.
    """
    from training.data.matlab import MatFile

    release = cuhk03_release.find_release(root)
    with MatFile(release) as mat:
        test_sets = mat["testsets"].ravel()
        if not 0 <= test_set < len(test_sets):
            raise DatasetError(f"{release} has test sets 0 to {len(test_sets) - 1}, not {test_set}")
        tested = {int(pair) * 1000 + int(person) for pair, person in mat.read(test_sets[test_set])}
    train: list[Picture] = []
    query: list[Picture] = []
    gallery: list[Picture] = []
    for path in list_pictures(cuhk03_release.extract(release, boxes)):
        pair, person, camera = parse_extracted(path.name)
        picture = Picture(path, pair * 1000 + person, camera)
        if picture.person not in tested:
            train.append(picture)
        else:
            (query if camera % 2 else gallery).append(picture)
    note = f"CUHK03's classic protocol, test set {test_set}, {boxes} boxes. Published figures: single-shot."
    return Protocol(
        f"cuhk03-classic-{boxes}", tuple(train), tuple(query), tuple(gallery), camera_rule=True, note=note
    )


def _indices(values: npt.NDArray[Any]) -> list[int]:
    """Places from 0, of MATLAB's from 1."""
    return [int(value) - 1 for value in values.ravel()]


def _offers(boxes: Boxes, new: Counts) -> tuple[Offer, Offer]:
    release = f"{cuhk03_release.FOLDER}/cuhk03_release/{cuhk03_release.RELEASE}"
    config = f"{cuhk03_release.FOLDER}/{cuhk03_release.CONFIG.format(cuhk03_release.VARIABLES[boxes])}"
    return (
        Offer(f"cuhk03-new-{boxes}", partial(read_new, boxes=boxes), f"{release} and {config}", new, TERMS),
        Offer(
            f"cuhk03-classic-{boxes}",
            partial(read_classic, boxes=boxes),
            release,
            Counts(None, 1367, None, 100, None, 100),
            TERMS,
        ),
    )


PROTOCOLS: Final = (
    *_offers("detected", Counts(7365, 767, 1400, 700, 5332, 700)),
    *_offers("labelled", Counts(7368, 767, 1400, 700, 5328, 700)),
)
