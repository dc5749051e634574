"""DukeMTMC-reID (Ristani et al., ECCVW 2016; Zheng et al., ICCV 2017): eight cameras. **Withdrawn.**

=========================  ========  =======================================
folder                     pictures  people
=========================  ========  =======================================
``bounding_box_train/``      16,522  702
``query/``                    2,228  702
``bounding_box_test/``       17,661  1,110: the 702, and 408 of one camera only
=========================  ========  =======================================

Names are ``0005_c2_f0046985.jpg``: person, camera, frame. The 408 people of one camera have names of their
own and need no rule: nobody asks for them.

Source: DukeMTMC-reID.zip, taken off the net by its authors (``training/data/withdrawn.py`` says why). Terms:
academic use, while it was published.

    >>> pictures = read(Path("data"), "query", acknowledge_withdrawn=True)
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from training.data.bounding_boxes import GALLERY, QUERY, TRAIN, BoundingBoxes
from training.data.records import Counts, Offer, Picture, Protocol
from training.data.withdrawn import acknowledge

__all__ = ["FOLDER", "FRAME_NAME", "GALLERY", "PROTOCOLS", "QUERY", "TRAIN", "parse_name", "read"]

FOLDER: Final = "DukeMTMC-reID"
FRAME_NAME: Final = re.compile(r"(\d{4})_c([1-8])_f\d+\.")
"""Of a DukeMTMC-reID picture, also in the data sets made from it."""

_TITLE: Final = "DukeMTMC-reID"
_BOXES: Final = BoundingBoxes(
    _TITLE,
    (FOLDER, "dukemtmc-reid"),
    FRAME_NAME,
    "0005_c2_f0046985.jpg",
    others=("Market-1501-v15.09.15", "Occluded_Duke", "Occluded-DukeMTMC", "OPReID"),
)

parse_name = _BOXES.parse_name


def read(root: Path, part: str, *, acknowledge_withdrawn: bool = False) -> tuple[Picture, ...]:
    """The pictures of one part, sorted by name.

    Args:
        root: the folder that holds ``DukeMTMC-reID``, or that folder itself.
        part: :data:`TRAIN`, :data:`QUERY` or :data:`GALLERY`.
        acknowledge_withdrawn: you know that the data was withdrawn, and why.

    Raises:
        DatasetError: it is not acknowledged, or the layout or a name is not DukeMTMC-reID's.
    """
    acknowledge(_TITLE, acknowledge_withdrawn)
    return _BOXES.read(root, part)


def _protocol(root: Path) -> Protocol:
    return _BOXES.protocol(root, "dukemtmc-reid", "DukeMTMC-reID's own protocol. The data was withdrawn.")


PROTOCOLS: Final = (
    Offer(
        "dukemtmc-reid",
        _protocol,
        f"{FOLDER}/{{{TRAIN},{QUERY},{GALLERY}}}/",
        Counts(16522, 702, 2228, 702, 17661, 1110),
        "withdrawn by its authors",
        withdrawn=True,
    ),
)
