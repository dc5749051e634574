"""Partial-REID (Zheng et al., ICCV 2015): 60 people on a campus, five whole and five occluded pictures each.

=========================  ========  =============================================
folder                     pictures  what
=========================  ========  =============================================
``whole_body_images/``          300  the whole person
``occluded_body_images/``       300  something stands in front
``partial_body_images/``        300  the same, cropped by hand to what can be seen
=========================  ========  =============================================

Names are ``012_003.jpg``: person, picture. There is no training half: the papers train on Market-1501. Most
of them ask with the occluded or with the cropped pictures without saying which; here each is a protocol.

Source: Partial-REID_Dataset.rar, Sun Yat-sen University (isee). Terms: research only.

    >>> probes = read(Path("data"), "partial_body_images")
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from training.data.layout import find_folder
from training.data.records import Counts, Offer, Picture, Protocol
from training.data.whole_and_occluded import OCCLUDED, WHOLE, read_flat

__all__ = ["FOLDER", "OCCLUDED", "PARTIAL", "PROTOCOLS", "WHOLE", "read"]

FOLDER: Final = "Partial-REID_Dataset"
PARTIAL: Final = "partial_body_images"

_FOLDERS: Final = (FOLDER, "Partial-REID", "Partial_REID", "PartialREID")


def read(root: Path, part: str) -> tuple[Picture, ...]:
    """The pictures of one part, sorted by name; cameras as in ``training/data/whole_and_occluded.py``.

    Args:
        root: the folder that holds ``Partial-REID_Dataset``, or that folder itself.
        part: :data:`WHOLE`, :data:`OCCLUDED` or :data:`PARTIAL`.

    Raises:
        DatasetError: the layout or a name is not as above.
    """
    return read_flat(find_folder(root, _FOLDERS, (WHOLE, part), ("Occluded_REID", "P-ETHZ")) / part)


def _partial(root: Path) -> Protocol:
    return _asking("partial-reid", root, PARTIAL, "cropped by hand")


def _occluded(root: Path) -> Protocol:
    return _asking("partial-reid-occluded", root, OCCLUDED, "as they were taken")


def _asking(name: str, root: Path, part: str, how: str) -> Protocol:
    note = f"Occluded pictures {how} against whole ones, 60 people. Published figures trained on Market-1501."
    return Protocol(name, (), read(root, part), read(root, WHOLE), camera_rule=False, note=note)


_COUNTS: Final = Counts(0, 0, 300, 60, 300, 60)
_TERMS: Final = "research only"

PROTOCOLS: Final = (
    Offer("partial-reid", _partial, f"{FOLDER}/{{{PARTIAL},{WHOLE}}}/", _COUNTS, _TERMS),
    Offer("partial-reid-occluded", _occluded, f"{FOLDER}/{{{OCCLUDED},{WHOLE}}}/", _COUNTS, _TERMS),
)
