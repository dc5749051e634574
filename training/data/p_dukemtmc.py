"""P-DukeMTMC-reID (Zhuo et al., ICME 2018): DukeMTMC people with whole and occluded pictures. **Withdrawn.**

=================================  ========  ======
folder                             pictures  people
=================================  ========  ======
``train/{whole,occluded}_…``         12,927     665
``test/occluded_body_images/``        2,163     634
``test/whole_body_images/``           9,053     634
=================================  ========  ======

24,143 pictures of 1,299 people in all. Each part has a folder for each person, with names that begin with the
person (``0005/0005_….jpg``). Like the public evaluators, this reader takes no camera from the names: occluded
pictures ask, whole ones answer, and no camera rule leaves any out.

Source: P-DukeMTMC-reid.zip at github.com/tinajia2012/ICME2018_Occluded-Person-Reidentification_datasets.
    Terms:
academic or educational use, while DukeMTMC was published (``training/data/withdrawn.py`` says why it is not).

    >>> probes = read(Path("data"), "test", "occluded_body_images", acknowledge_withdrawn=True)
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from training.data.layout import find_folder
from training.data.records import Counts, Offer, Picture, Protocol
from training.data.whole_and_occluded import OCCLUDED, WHOLE, read_nested
from training.data.withdrawn import acknowledge

__all__ = ["FOLDER", "OCCLUDED", "PROTOCOLS", "TEST", "TRAIN", "WHOLE", "read"]

FOLDER: Final = "P-DukeMTMC-reid"
TRAIN: Final = "train"
TEST: Final = "test"

_TITLE: Final = "P-DukeMTMC-reID"
_FOLDERS: Final = (FOLDER, "P-DukeMTMC-reID", "P-DukeMTMC")
_NEEDED: Final = tuple(f"{half}/{side}" for half in (TRAIN, TEST) for side in (OCCLUDED, WHOLE))


def read(root: Path, half: str, side: str, *, acknowledge_withdrawn: bool = False) -> tuple[Picture, ...]:
    """The pictures of one side of one half, sorted by person and name.

    Args:
        root: the folder that holds ``P-DukeMTMC-reid``, or that folder itself.
        half: :data:`TRAIN` or :data:`TEST`.
        side: :data:`WHOLE` or :data:`OCCLUDED`.
        acknowledge_withdrawn: you know that the data was withdrawn, and why.

    Raises:
        DatasetError: it is not acknowledged, or the layout or a name is not as above.
    """
    acknowledge(_TITLE, acknowledge_withdrawn)
    return _read(root, half, side)


def _read(root: Path, half: str, side: str) -> tuple[Picture, ...]:
    return read_nested(find_folder(root, _FOLDERS, _NEEDED) / half / side)


def _protocol(root: Path) -> Protocol:
    return Protocol(
        "p-dukemtmc",
        _read(root, TRAIN, WHOLE) + _read(root, TRAIN, OCCLUDED),
        _read(root, TEST, OCCLUDED),
        _read(root, TEST, WHOLE),
        camera_rule=False,
        note="Occluded pictures against whole ones, no camera rule. The data was withdrawn.",
    )


PROTOCOLS: Final = (
    Offer(
        "p-dukemtmc",
        _protocol,
        f"{FOLDER}/{{{TRAIN},{TEST}}}/{{{OCCLUDED},{WHOLE}}}/PPPP/",
        Counts(12927, 665, 2163, 634, 9053, 634),
        "withdrawn by its authors",
        withdrawn=True,
    ),
)
