"""Market-1501 (Zheng et al., ICCV 2015): six cameras on a campus, boxes found by a detector, 64×128 pixels.

=========================  ========  =====================================================
folder                     pictures  people
=========================  ========  =====================================================
``bounding_box_train/``      12,936  751
``query/``                    3,368  750
``bounding_box_test/``       19,732  750; 15,913 are left without junk, 2,798 of them distractors
``gt_bbox/``                 25,259  all 1,501, drawn by hand: more pictures of a query's person and camera
``images/``                 500,000  none of the above: ``distractors_500k.zip``, got apart
=========================  ========  =====================================================

Names are ``0002_c1s1_000451_03.jpg``: person, camera, sequence, frame, box. Person ``-1`` is junk (a box
that overlaps a person too little to count either way) and is left out everywhere; person ``0000`` is a
distractor (background): it stays in the gallery, where it can only be wrong, and never trains or asks.
Of the 500,000 extra distractors the exact number is published nowhere we found, so it is not checked.

Source: https://zheng-lab-anu.github.io/Project/project_reid.html. Terms (its readme.txt): research
only, not to be distributed nor used commercially.

    >>> pictures = read(Path("data"), "bounding_box_train")
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Final

from training.data.bounding_boxes import DISTRACTOR, GALLERY, JUNK, QUERY, TRAIN, BoundingBoxes
from training.data.layout import find_folder, list_pictures
from training.data.records import Counts, Offer, Picture, Protocol

__all__ = [
    "DISTRACTOR", "DISTRACTORS", "FOLDER", "GALLERY", "HAND_DRAWN", "JUNK", "PROTOCOLS", "QUERY", "TERMS",
    "TRAIN", "holds", "parse_name", "read", "read_distractors",
]  # fmt: skip

FOLDER: Final = "Market-1501-v15.09.15"
DISTRACTORS: Final = "images"
HAND_DRAWN: Final = "gt_bbox"
"""For multi-query: the pictures to pool with a query of the same person and camera."""
TERMS: Final = "research only"

_BOXES: Final = BoundingBoxes(
    "Market-1501",
    (FOLDER, "Market-1501", "market1501"),
    re.compile(r"(-1|\d{4})_c([1-6])s\d+_\d+_\d{2}\."),
    "0002_c1s1_000451_03.jpg",
    others=("DukeMTMC-reID", "Occluded_Duke", "OPReID"),
)
_CAMERA = re.compile(r"_c([1-6])")

parse_name = _BOXES.parse_name
holds = _BOXES.holds


def read(root: Path, part: str) -> tuple[Picture, ...]:
    """The pictures of one part, sorted by name, junk left out; distractors only in the gallery.

    Args:
        root: the folder that holds ``Market-1501-v15.09.15``, or that folder itself.
        part: :data:`TRAIN`, :data:`QUERY`, :data:`GALLERY` or :data:`HAND_DRAWN`.

    Raises:
        DatasetError: the layout or a name is not Market-1501's.
    """
    return _BOXES.read(root, part)


def read_distractors(root: Path) -> tuple[Picture, ...]:
    """The pictures of ``images/`` (or ``distractors_500k/``), each as a :data:`DISTRACTOR`; junk left out.

    The camera is the name's where it has one (``_c1`` to ``_c6``), else 0: a distractor is nobody's picture,
    so that no rule ever asks for it.

    Raises:
        DatasetError: there is no such folder, or no picture in it.
    """
    folder = _BOXES.folder(root, GALLERY).parent
    extra = folder / "distractors_500k"
    parts = extra if extra.is_dir() else find_folder(folder, folder.name, (DISTRACTORS,)) / DISTRACTORS
    pictures = []
    for path in list_pictures(parts):
        if not path.name.startswith("-1_"):
            camera = _CAMERA.search(path.name)
            pictures.append(Picture(path, DISTRACTOR, int(camera[1]) if camera else 0))
    return tuple(pictures)


def _protocol(root: Path) -> Protocol:
    return _BOXES.protocol(root, "market1501", "Market-1501's own protocol, single query.")


def _protocol_500k(root: Path) -> Protocol:
    plain = _protocol(root)
    return replace(
        plain,
        name="market1501-500k",
        gallery=plain.gallery + read_distractors(root),
        note="Market-1501's own protocol, single query, with the 500,000 extra distractors.",
    )


_NEEDS: Final = f"{FOLDER}/{{{TRAIN},{QUERY},{GALLERY}}}/"

PROTOCOLS: Final = (
    Offer("market1501", _protocol, _NEEDS, Counts(12936, 751, 3368, 750, 15913, 751), TERMS),
    Offer(
        "market1501-500k",
        _protocol_500k,
        f"{_NEEDS} and {FOLDER}/{DISTRACTORS}/",
        Counts(12936, 751, 3368, 750, None, 751),
        TERMS,
    ),
)
