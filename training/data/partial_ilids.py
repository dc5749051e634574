"""Partial-iLIDS (Zheng et al., CVPR 2011): 119 people at an airport, one whole and one occluded picture each.

===============================  =====================================================
``Gallery/k.jpg``                the whole person
``Probe/k.jpg``                  the part that can be seen, cropped by hand
``partial_iLIDS_Probe_nocrop/``  ``kkk.jpg``: the occluded picture before cropping
===============================  =====================================================

For people 20 and 100 the gallery picture and the uncropped probe are one and the same picture: both people
are left out, which leaves 117.

    >>> probes = read(Path("data"), "Probe")
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from training.data.layout import find_folder, list_pictures
from training.data.records import DatasetError, Picture

__all__ = ["FOLDER", "GALLERY", "LEFT_OUT", "PROBE", "PROBE_NOCROP", "parse_name", "read"]

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
