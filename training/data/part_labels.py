"""Body-part label maps beside a data set: the output of any human parser, as PNG files. No torch.

A folder of maps mirrors the data: the map of ``ROOT/Market-1501-v15.09.15/query/x.jpg`` is
``ROOT/FOLDER/Market-1501-v15.09.15/query/x.png``, of one 8-bit channel (grey or palette; the index counts),
as high and wide as its picture. Three kinds of labels are understood (:data:`LABELS`):

``parts``      this project's own codes (``training.data.parts``)
``densepose``  DensePose's 24 surface parts (Güler et al., CVPR 2018), 0 for background
``lip``        the common 20 classes of Look Into Person (Gong et al., CVPR 2017)

In all of them 255 is :data:`UNKNOWN`. DensePose's parts map one to one, hands to the lower arm:

==================  ============  ==================  ============
DensePose           part          DensePose           part
==================  ============  ==================  ============
1, 2                chest         11 to 14            lower leg
3, 4 (hands)        lower arm     15 to 18            upper arm
5, 6                foot          19 to 22            lower arm
7 to 10             upper leg     23, 24              head
==================  ============  ==================  ============

The 20 classes name clothes, and do not tell the upper half of a limb from the lower:

=====================================================  ==================================================
LIP                                                    part
=====================================================  ==================================================
1 hat, 2 hair, 4 sunglasses, 11 scarf, 13 face         head
5 upper clothes, 7 coat                                chest (with the sleeves, which they do not tell)
6 dress, 10 jumpsuit                                   chest, upper leg, lower leg by height
9 trousers, 12 skirt, 16, 17 legs                      upper leg or lower leg by height
8 socks                                                lower leg
14, 15 arms                                            upper arm or lower arm by height
3 glove                                                lower arm
18, 19 shoes                                           foot
=====================================================  ==================================================

"By height" means at the elbow, hip and knee of a standing body (:data:`JOINTS`), between the highest and the
lowest pixel of the person; a strip around each joint is unknown. On a person who is cut off that is wrong:
where a parser tells upper from lower limbs, use that one.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

from training.data.parts import Part
from training.data.records import DatasetError, Picture

__all__ = ["JOINTS", "LABELS", "UNKNOWN", "Labels", "group", "map_of", "read_labels"]

UNKNOWN: Final = 255
"""Label of a pixel about which nothing is said; it takes no part in a loss."""

Labels = Literal["parts", "densepose", "lip"]
LABELS: Final[tuple[Labels, ...]] = ("parts", "densepose", "lip")

JOINTS: Final = {"elbow": 0.38, "hip": 0.50, "knee": 0.72}
"""Heights of a standing body's joints, from the top, as fractions of the stature."""

_STRIP: Final = 0.02
"""Half the height of the unknown strip around a joint, a fraction of the stature."""

_FOREIGN: Final = 254
"""Label of no meaning in the kind of labels that was named."""

_DENSEPOSE: Final = {
    Part.CHEST: (1, 2),
    Part.LOWER_ARM: (3, 4, 19, 20, 21, 22),
    Part.FOOT: (5, 6),
    Part.UPPER_LEG: (7, 8, 9, 10),
    Part.LOWER_LEG: (11, 12, 13, 14),
    Part.UPPER_ARM: (15, 16, 17, 18),
    Part.HEAD: (23, 24),
}

_LIP: Final = {
    Part.HEAD: (1, 2, 4, 11, 13),
    Part.CHEST: (5, 7),
    Part.LOWER_ARM: (3,),
    Part.LOWER_LEG: (8,),
    Part.FOOT: (18, 19),
}
_LIP_TRUNK_AND_LEGS: Final = (6, 10)
_LIP_LEGS: Final = (9, 12, 16, 17)
_LIP_ARMS: Final = (14, 15)


def _table(groups: dict[Part, tuple[int, ...]]) -> npt.NDArray[np.uint8]:
    """A lookup uint8 [256]."""
    table = np.full(256, _FOREIGN, dtype=np.uint8)
    table[0], table[UNKNOWN] = Part.NONE, UNKNOWN
    for part, codes in groups.items():
        table[list(codes)] = part
    return table


_TABLES: Final[dict[Labels, npt.NDArray[np.uint8]]] = {
    "parts": _table({part: (int(part),) for part in Part if part is not Part.NONE}),
    "densepose": _table(_DENSEPOSE),
    "lip": _table(_LIP),
}


def group(labels: npt.NDArray[np.uint8], kind: Labels) -> npt.NDArray[np.uint8]:
    """A parser's labels as the seven parts.

    Args:
        labels: uint8 [H, W].
        kind: what they mean, one of :data:`LABELS`.

    Returns:
        uint8 [H, W], codes of ``training.data.parts`` and :data:`UNKNOWN`.

    Raises:
        ValueError: a label has no meaning in that kind.
    """
    parts = _TABLES[kind][labels]
    if kind == "lip":
        _split_by_height(labels, parts)
    if (parts == _FOREIGN).any():
        strangers = np.unique(labels[parts == _FOREIGN])
        raise ValueError(f"label {', '.join(map(str, strangers[:5]))} has no meaning among {kind} labels")
    return parts


def _split_by_height(labels: npt.NDArray[np.uint8], parts: npt.NDArray[np.uint8]) -> None:
    """Give the 20 classes that cover more than one part their part by height, in place."""
    rows = np.flatnonzero(((labels > 0) & (labels != UNKNOWN)).any(axis=1))
    if not len(rows):
        return
    height = ((np.arange(len(labels)) + 0.5 - rows[0]) / (rows[-1] + 1 - rows[0]))[:, None]
    for classes, above, joint, below in (
        (_LIP_ARMS, Part.UPPER_ARM, "elbow", Part.LOWER_ARM),
        (_LIP_LEGS, Part.UPPER_LEG, "knee", Part.LOWER_LEG),
        (_LIP_TRUNK_AND_LEGS, Part.UPPER_LEG, "knee", Part.LOWER_LEG),
    ):
        away = height - JOINTS[joint]
        side = np.where(abs(away) < _STRIP, UNKNOWN, np.where(away < 0, above, below))
        np.copyto(parts, side.astype(np.uint8), where=np.isin(labels, classes))
    away = height - JOINTS["hip"]
    trunk = np.isin(labels, _LIP_TRUNK_AND_LEGS)
    parts[trunk & (away < 0)] = Part.CHEST
    parts[trunk & (abs(away) < _STRIP)] = UNKNOWN


def map_of(picture: Path, root: Path, folder: Path) -> Path:
    """The label map's file of a picture.

    Raises:
        DatasetError: the picture does not lie under the root.
    """
    try:
        place = picture.relative_to(root)
    except ValueError:
        raise DatasetError(
            f"{picture} does not lie under {root}: label maps are found by the path from there"
        ) from None
    return root / folder / place.with_suffix(".png")


def read_labels(
    pictures: Sequence[Picture],
    root: Path,
    folder: Path,
    kind: Labels,
    height: int,
    width: int,
    advance: Callable[[int], object] | None = None,
) -> npt.NDArray[np.uint8]:
    """Read the label maps of pictures in threads, each fitted to the model's size by nearest neighbour.

    Args:
        pictures: whose maps.
        root: folder that holds the data sets' own folders.
        folder: of the maps, relative to the root, or absolute.
        kind: what the labels mean, one of :data:`LABELS`.
        height, width: of the result, pixels.

    Returns:
        uint8 [N, height, width], codes of ``training.data.parts`` and :data:`UNKNOWN`.

    Raises:
        DatasetError: a map is missing, is not a PNG of one 8-bit channel, has another size than its
            picture, or a label without meaning; the message names the file.
    """
    labels = np.empty((len(pictures), height, width), dtype=np.uint8)

    def read(index: int) -> None:
        picture = pictures[index].path
        labels[index] = _read(map_of(picture, root, folder), picture, kind, height, width)
        if advance is not None:
            advance(1)

    with ThreadPoolExecutor(max_workers=min(os.cpu_count() or 1, 8)) as pool:
        for _ in pool.map(read, range(len(pictures))):
            pass
    return labels


def _read(path: Path, picture: Path, kind: Labels, height: int, width: int) -> npt.NDArray[np.uint8]:
    try:
        with Image.open(path) as opened, Image.open(picture) as shown:
            if opened.size != shown.size:
                raise DatasetError(
                    f"label map {path} is {opened.width} × {opened.height} pixels, its picture "
                    f"{shown.width} × {shown.height}"
                )
            if opened.format != "PNG" or opened.mode not in ("L", "P"):
                raise DatasetError(
                    f"label map {path} is not a PNG of one 8-bit channel but {opened.format}, {opened.mode}"
                )
            parts = group(np.asarray(opened), kind)
    except FileNotFoundError as error:
        raise DatasetError(f"no label map {path} of the picture {picture}") from error
    except DatasetError:
        raise
    except (ValueError, OSError) as error:
        raise DatasetError(f"label map {path}: {error}") from error
    fitted = Image.fromarray(parts).resize((width, height), Image.Resampling.NEAREST)
    return np.asarray(fitted)
