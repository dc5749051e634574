"""Occluded-DukeMTMC (Miao et al., ICCV 2019): DukeMTMC-reID split anew, every query occluded. **Withdrawn.**

=========================  ========  ======
folder                     pictures  people
=========================  ========  ======
``bounding_box_train/``      15,618     702
``query/``                    2,210     519
``bounding_box_test/``       17,661   1,110
=========================  ========  ======

Names are DukeMTMC-reID's. Source: lists of names at github.com/lightas/Occluded-DukeMTMC-Dataset, which its
script turns into the folder ``Occluded_Duke`` from one's own DukeMTMC-reID.zip. Terms: as DukeMTMC-reID,
withdrawn (``training/data/withdrawn.py`` says why).

    >>> pictures = read(Path("data"), "query", acknowledge_withdrawn=True)
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from training.data.bounding_boxes import GALLERY, QUERY, TRAIN, BoundingBoxes
from training.data.dukemtmc_reid import FRAME_NAME
from training.data.records import Counts, Offer, Picture, Protocol
from training.data.withdrawn import acknowledge

__all__ = ["FOLDER", "GALLERY", "PROTOCOLS", "QUERY", "TRAIN", "read"]

FOLDER: Final = "Occluded_Duke"

_TITLE: Final = "Occluded-DukeMTMC"
_BOXES: Final = BoundingBoxes(
    _TITLE,
    (FOLDER, "Occluded-DukeMTMC", "Occluded-Duke"),
    FRAME_NAME,
    "0005_c2_f0046985.jpg",
    others=("Market-1501-v15.09.15", "DukeMTMC-reID", "dukemtmc-reid", "OPReID"),
)


def read(root: Path, part: str, *, acknowledge_withdrawn: bool = False) -> tuple[Picture, ...]:
    """The pictures of one part, sorted by name.

    Args:
        root: the folder that holds ``Occluded_Duke``, or that folder itself.
        part: :data:`TRAIN`, :data:`QUERY` or :data:`GALLERY`.
        acknowledge_withdrawn: you know that the data was withdrawn, and why.

    Raises:
        DatasetError: it is not acknowledged, or the layout or a name is not as above.
    """
    acknowledge(_TITLE, acknowledge_withdrawn)
    return _BOXES.read(root, part)


def _protocol(root: Path) -> Protocol:
    note = "Occluded-DukeMTMC's own protocol. The data was withdrawn."
    return _BOXES.protocol(root, "occluded-dukemtmc", note)


PROTOCOLS: Final = (
    Offer(
        "occluded-dukemtmc",
        _protocol,
        f"{FOLDER}/{{{TRAIN},{QUERY},{GALLERY}}}/",
        Counts(15618, 702, 2210, 519, 17661, 1110),
        "withdrawn by its authors",
        withdrawn=True,
    ),
)
