"""Partial-iLIDS (Zheng et al., CVPR 2011): 119 people at an airport, one whole and one occluded picture each.

===============================  =====================================================
``Gallery/k.jpg``                the whole person
``Probe/k.jpg``                  the part that can be seen, cropped by hand
``partial_iLIDS_Probe_nocrop/``  ``kkk.jpg``: the occluded picture before cropping
===============================  =====================================================

For people 20 and 100 the gallery picture and the uncropped probe are one and the same picture: both people
are left out, which leaves 117. There is no training half: the papers train on Market-1501.

Source: made from the i-LIDS airport videos by the authors of Partial-REID (Sun Yat-sen University). Terms:
    research
only.

    >>> probes = read(Path("data"), "Probe")
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from training.data.layout import find_folder, list_pictures
from training.data.records import Counts, DatasetError, Offer, Picture, Protocol

__all__ = ["FOLDER", "GALLERY", "LEFT_OUT", "PROBE", "PROBE_NOCROP", "PROTOCOLS", "parse_name", "read"]

FOLDER: Final = "Partial_iLIDS"
GALLERY: Final = "Gallery"
PROBE: Final = "Probe"
PROBE_NOCROP: Final = "partial_iLIDS_Probe_nocrop"

LEFT_OUT: Final = frozenset({20, 100})
"""People whose gallery picture and uncropped probe are one picture."""

_CAMERAS: Final = {GALLERY: 1, PROBE: 2, PROBE_NOCROP: 2}
_NAME = re.compile(r"0*(\d{1,3})\.")


def parse_name(name: str) -> int:
    """The person's number, 1 to 119, from ``7.jpg`` or ``007.jpg``.

    Raises:
        DatasetError: the name is not a number.
    """
    match = _NAME.match(name)
    if match is None:
        raise DatasetError(f"{name!r} is not a Partial-iLIDS name; expected e.g. 7.jpg or 007.jpg")
    return int(match[1])


def read(root: Path, part: str, leave_out: frozenset[int] = LEFT_OUT) -> tuple[Picture, ...]:
    """The pictures of one part, by person; people in ``leave_out`` left out.

    The data set names no cameras: gallery pictures get camera 1, probes 2; there is no camera rule.

    Args:
        root: the folder that holds ``Partial_iLIDS``, or that folder itself.
        part: :data:`GALLERY`, :data:`PROBE` or :data:`PROBE_NOCROP`.

    Raises:
        DatasetError: the layout or a name is not as above.
    """
    folder = find_folder(root, FOLDER, (part,)) / part
    pictures = (Picture(path, parse_name(path.name), _CAMERAS[part]) for path in list_pictures(folder))
    return tuple(
        sorted((p for p in pictures if p.person not in leave_out), key=lambda picture: picture.person)
    )


def _partial(root: Path) -> Protocol:
    return _asking("partial-ilids", root, PROBE)


def _uncropped(root: Path) -> Protocol:
    return _asking("partial-ilids-nocrop", root, PROBE_NOCROP)


def _asking(name: str, root: Path, probes: str) -> Protocol:
    note = (
        "117 of 119 people: for 20 and 100 the gallery picture and the uncropped probe are one picture. "
        "Comparable with the papers only where training used Market-1501 alone."
    )
    return Protocol(name, (), read(root, probes), read(root, GALLERY), camera_rule=False, note=note)


_COUNTS: Final = Counts(0, 0, 117, 117, 117, 117)
_TERMS: Final = "research only"

PROTOCOLS: Final = (
    Offer("partial-ilids", _partial, f"{FOLDER}/{{{PROBE},{GALLERY}}}/", _COUNTS, _TERMS),
    Offer("partial-ilids-nocrop", _uncropped, f"{FOLDER}/{{{PROBE_NOCROP},{GALLERY}}}/", _COUNTS, _TERMS),
)
