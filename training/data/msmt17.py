"""MSMT17 (Wei et al., CVPR 2018): 15 cameras inside and outside a campus, four days, 4,101 people.

========================  ========  ======  ==================================
list                      pictures  people  under
========================  ========  ======  ==================================
``list_train.txt``          30,248   1,041  ``train/`` (V2: ``mask_train_v2/``)
``list_val.txt``             2,373   1,041  the same folder
``list_query.txt``          11,659   3,060  ``test/`` (V2: ``mask_test_v2/``)
``list_gallery.txt``        82,161   3,060  the same folder
========================  ========  ======  ==================================

A line is ``0000/0000_012_04_0303morning_0050_1.jpg 0``: file and person; the name's third number is the
camera. People of both halves are numbered from 0, but are not the same: those of the test half are told
apart here by adding :data:`TEST_OFFSET`. V2 differs in that faces are masked.

Common practice differs on the pictures of ``list_val.txt``: ``msmt17`` leaves them out of training, as the
conventional setting does; ``msmt17-trainval`` takes them (32,621 in all).

Source: https://www.pkuvmc.com/dataset.html, on a signed agreement. Terms: that agreement's, research only.

    >>> pictures = read(Path("data"), "list_query.txt")
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Final

from training.data.layout import find_folder, found
from training.data.records import Counts, DatasetError, Offer, Picture, Protocol

__all__ = ["FOLDERS", "GALLERY", "PROTOCOLS", "QUERY", "TEST_OFFSET", "TRAIN", "VAL", "parse_line", "read"]

FOLDERS: Final = ("MSMT17_V1", "MSMT17_V2", "MSMT17")
TRAIN: Final = "list_train.txt"
VAL: Final = "list_val.txt"
QUERY: Final = "list_query.txt"
GALLERY: Final = "list_gallery.txt"

TEST_OFFSET: Final = 10_000
"""Added to the number of a person of the test half."""

_LINE = re.compile(r"(\S+/\d{4}_\d{3}_(\d{2})_\S*\.jpg) (\d+)$")


def parse_line(line: str) -> tuple[str, int, int]:
    """Path inside the half's folder, person as numbered there, and camera (1 to 15) from a line of a list.

    Raises:
        DatasetError: the line is not one of MSMT17's.
    """
    match = _LINE.match(line.strip())
    if match is None:
        raise DatasetError(
            f"{line.strip()!r} is not a line of MSMT17's lists; "
            "expected e.g. 0000/0000_012_04_0303morning_0050_1.jpg 0"
        )
    return match[1], int(match[3]), int(match[2])


def read(root: Path, name: str) -> tuple[Picture, ...]:
    """The pictures of one list, in its order.

    Args:
        root: the folder that holds ``MSMT17_V1`` or ``MSMT17_V2``, or that folder itself.
        name: :data:`TRAIN`, :data:`VAL`, :data:`QUERY` or :data:`GALLERY`.

    Raises:
        DatasetError: the layout or a line is not as above, or the first picture named is not there.
    """
    folder = find_folder(root, FOLDERS, (name,))
    training = name in (TRAIN, VAL)
    halves = ("train", "mask_train_v2") if training else ("test", "mask_test_v2")
    half = next((folder / part for part in halves if (folder / part).is_dir()), None)
    if half is None:
        raise DatasetError(f"{folder} has no folder {' or '.join(halves)}. Found: {found(folder)}")
    pictures = []
    for line in (folder / name).read_text(encoding="utf-8").splitlines():
        if line.strip():
            path, person, camera = parse_line(line)
            pictures.append(Picture(half / path, person + (0 if training else TEST_OFFSET), camera))
    if not pictures:
        raise DatasetError(f"{folder / name} is empty")
    if not pictures[0].path.is_file():
        raise DatasetError(f"{name} names {pictures[0].path}, which is not there. Found: {found(half)}")
    return tuple(pictures)


def _protocol(root: Path) -> Protocol:
    train, query, gallery = (read(root, name) for name in (TRAIN, QUERY, GALLERY))
    note = "MSMT17's own protocol; trained without the pictures of list_val.txt."
    return Protocol("msmt17", train, query, gallery, camera_rule=True, note=note)


def _protocol_trainval(root: Path) -> Protocol:
    plain = _protocol(root)
    note = "MSMT17's own protocol; trained also on the pictures of list_val.txt."
    return replace(plain, name="msmt17-trainval", train=plain.train + read(root, VAL), note=note)


_NEEDS: Final = "MSMT17_V1/ or MSMT17_V2/ with both halves and list_*.txt"
_TERMS: Final = "signed agreement, research only"

PROTOCOLS: Final = (
    Offer("msmt17", _protocol, _NEEDS, Counts(30248, 1041, 11659, 3060, 82161, 3060), _TERMS),
    Offer(
        "msmt17-trainval", _protocol_trainval, _NEEDS, Counts(32621, 1041, 11659, 3060, 82161, 3060), _TERMS
    ),
)
