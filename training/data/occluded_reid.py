"""Occluded-REID (Zhuo et al., ICME 2018): 200 people, five whole and five occluded pictures of each, 64×128.

=========================  ========  ======
folder                     pictures  people
=========================  ========  ======
``whole_body_images/``        1,000     200
``occluded_body_images/``     1,000     200
=========================  ========  ======

Each has a folder for each person, with TIFF files ``012/012_03.tif``. Taken with moving cameras, none of
which is named. There is no training half: the papers train on Market-1501.

Source: Occluded_REID.zip at github.com/tinajia2012/ICME2018_Occluded-Person-Reidentification_datasets. Terms:
academic or educational use, not commercial.

    >>> probes = read(Path("data"), "occluded_body_images")
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from training.data.layout import find_folder
from training.data.records import Counts, Offer, Picture, Protocol
from training.data.whole_and_occluded import OCCLUDED, WHOLE, read_nested

__all__ = ["FOLDER", "OCCLUDED", "PROTOCOLS", "WHOLE", "read"]

FOLDER: Final = "Occluded_REID"

_FOLDERS: Final = (FOLDER, "Occluded-REID", "Occluded_ReID", "occluded-reid", "OccludedREID")


def read(root: Path, part: str) -> tuple[Picture, ...]:
    """The pictures of one part, by person and name; cameras as in ``training/data/whole_and_occluded.py``.

    Args:
        root: the folder that holds ``Occluded_REID``, or that folder itself.
        part: :data:`WHOLE` or :data:`OCCLUDED`.

    Raises:
        DatasetError: the layout or a name is not as above.
    """
    others = ("Partial-REID_Dataset", "Partial-REID", "Partial_REID", "PartialREID", "P-ETHZ")
    return read_nested(find_folder(root, _FOLDERS, (WHOLE, OCCLUDED), others) / part)


def _protocol(root: Path) -> Protocol:
    note = "Occluded pictures against whole ones, 200 people. Published figures trained on Market-1501."
    query, gallery = read(root, OCCLUDED), read(root, WHOLE)
    return Protocol("occluded-reid", (), query, gallery, camera_rule=False, note=note)


PROTOCOLS: Final = (
    Offer(
        "occluded-reid",
        _protocol,
        f"{FOLDER}/{{{OCCLUDED},{WHOLE}}}/PPP/",
        Counts(0, 0, 1000, 200, 1000, 200),
        "academic or educational use, not commercial",
    ),
)
