"""OPReID (Yan et al., ICCV 2021): supermarkets and malls, about 6,000 cameras, masked faces.

=========================  ========  ======
folder                     pictures  people
=========================  ========  ======
``bounding_box_train/``      27,228   1,744
``query/``                    4,200   3,515
``bounding_box_test/``       41,014   6,174
=========================  ========  ======

The counts are the paper's (§4). Its table 2 also gives 74,416 pictures in all, which its own parts do not
add up to: they make 72,442.

The folders and names here (``0001_c12_….jpg``: person, camera) are those of the code base that the paper
builds on, **not checked against a copy**, since none could be had. A copy that is laid out otherwise is
refused with what was expected and found, and can be read through a manifest
(``training/data/manifest.py``).

Source: https://git.io/OPReID. Terms: research, as its page says.

    >>> pictures = read(Path("data"), "query")
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from training.data.bounding_boxes import GALLERY, QUERY, TRAIN, BoundingBoxes
from training.data.records import Counts, Offer, Picture, Protocol

__all__ = ["FOLDER", "GALLERY", "PROTOCOLS", "QUERY", "TRAIN", "read"]

FOLDER: Final = "OPReID"

_BOXES: Final = BoundingBoxes(
    "OPReID",
    (FOLDER, "opreid"),
    re.compile(r"(\d+)_c(\d+)[_.s]"),
    "0001_c12_0003.jpg",
    others=("Market-1501-v15.09.15", "DukeMTMC-reID", "dukemtmc-reid", "Occluded_Duke"),
)


def read(root: Path, part: str) -> tuple[Picture, ...]:
    """The pictures of one part, sorted by name.

    Args:
        root: the folder that holds ``OPReID``, or that folder itself.
        part: :data:`TRAIN`, :data:`QUERY` or :data:`GALLERY`.

    Raises:
        DatasetError: the layout or a name is not as above.
    """
    return _BOXES.read(root, part)


def _protocol(root: Path) -> Protocol:
    return _BOXES.protocol(root, "opreid", "OPReID's own split; its layout was not checked against a copy.")


PROTOCOLS: Final = (
    Offer(
        "opreid",
        _protocol,
        f"{FOLDER}/{{{TRAIN},{QUERY},{GALLERY}}}/",
        Counts(27228, 1744, 4200, 3515, 41014, 6174),
        "research",
    ),
)
