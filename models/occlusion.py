"""The occlusion types that every part of Penumbra shares (OAMN §3.1): four places, two areas, and none.

A type is one small integer, its *code*. The rectangle that a code hides is given as fractions of the
picture, so that the picture, a feature map and a mask table of any size agree on it. No torch here: the
service, the bundle reader and the training code all import this file.

The grader of OAMN §3.4 answers four scores in the order of :data:`PLACES`. It ends in a softmax, and it
is trained towards *twice the hidden area* at the hidden place (paper, before eq. 7), which a softmax
cannot reach exactly: the least-squares optimum under "sums to one" is 0.25 for a whole picture, 0.625
for a quarter and 1 for a half. The paper's thresholds 0.5 and 0.75 (eq. 8) lie between those three.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

PLACES: Final = ("top", "bottom", "left", "right")
"""Order of the grader's four scores."""

QUARTER_THRESHOLD: Final = 0.5
"""A largest score below this means "nothing hidden" (OAMN eq. 8)."""

HALF_THRESHOLD: Final = 0.75
"""A largest score from here on means "half hidden" (OAMN eq. 8)."""


@dataclass(frozen=True, slots=True)
class OcclusionType:
    """One of the nine types.

    Attributes:
        code: 0 to 8.
        name: as used in REST, e.g. ``"bottom_half"``.
        place: one of :data:`PLACES`, or None for code 0.
        area: hidden part of the picture's area: 0, 0.25 or 0.5.
        box: hidden rectangle (top, left, bottom, right) in fractions of height and width, 0 to 1.
    """

    code: int
    name: str
    place: str | None
    area: float
    box: tuple[float, float, float, float]


TYPES: Final[tuple[OcclusionType, ...]] = (
    OcclusionType(0, "none", None, 0.0, (0.0, 0.0, 0.0, 0.0)),
    OcclusionType(1, "top_quarter", "top", 0.25, (0.0, 0.0, 0.25, 1.0)),
    OcclusionType(2, "top_half", "top", 0.5, (0.0, 0.0, 0.5, 1.0)),
    OcclusionType(3, "bottom_quarter", "bottom", 0.25, (0.75, 0.0, 1.0, 1.0)),
    OcclusionType(4, "bottom_half", "bottom", 0.5, (0.5, 0.0, 1.0, 1.0)),
    OcclusionType(5, "left_quarter", "left", 0.25, (0.0, 0.0, 1.0, 0.25)),
    OcclusionType(6, "left_half", "left", 0.5, (0.0, 0.0, 1.0, 0.5)),
    OcclusionType(7, "right_quarter", "right", 0.25, (0.0, 0.75, 1.0, 1.0)),
    OcclusionType(8, "right_half", "right", 0.5, (0.0, 0.5, 1.0, 1.0)),
)

NONE: Final = 0
"""Code of "nothing hidden"."""

COUNT: Final = len(TYPES)
NAMES: Final[tuple[str, ...]] = tuple(kind.name for kind in TYPES)


def code_of(name: str) -> int:
    """The code of a type's name.

    Raises:
        ValueError: the name is none of :data:`NAMES`.
    """
    try:
        return NAMES.index(name)
    except ValueError:
        raise ValueError(f"unknown occlusion type {name!r}; one of {', '.join(NAMES)}") from None


def code_at(place: str, area: float) -> int:
    """The code that hides ``area`` (0.25 or 0.5 of the picture) at ``place``.

    Raises:
        ValueError: no type hides that area at that place.
    """
    for kind in TYPES[1:]:
        if kind.place == place and kind.area == area:
            return kind.code
    raise ValueError(f"no occlusion type hides {area} of the picture at {place!r}")


def rectangle(code: int, height: int, width: int) -> tuple[int, int, int, int]:
    """Pixels that a code hides, as half-open ranges (top, left, bottom, right).

    Sides that do not divide by four are rounded to the nearest pixel, halves up, so that a place's
    quarter always lies inside its half and two opposite halves cover every pixel.

    Raises:
        ValueError: the code is not 0 to 8, or a side is not positive.
    """
    if not 0 <= code < COUNT:
        raise ValueError(f"occlusion code must be 0 to {COUNT - 1}, not {code}")
    if height < 1 or width < 1:
        raise ValueError(f"height and width must be positive, not {height} and {width}")
    top, left, bottom, right = TYPES[code].box
    return (
        int(top * height + 0.5),
        int(left * width + 0.5),
        int(bottom * height + 0.5),
        int(right * width + 0.5),
    )


def visibility_masks(height: int, width: int) -> npt.NDArray[np.float32]:
    """What each code leaves visible: float32 [9, height, width], 1 visible and 0 hidden."""
    masks = np.ones((COUNT, height, width), dtype=np.float32)
    for kind in TYPES[1:]:
        top, left, bottom, right = rectangle(kind.code, height, width)
        masks[kind.code, top:bottom, left:right] = 0.0
    return masks


def grade(
    scores: npt.ArrayLike,
    quarter_threshold: float = QUARTER_THRESHOLD,
    half_threshold: float = HALF_THRESHOLD,
) -> npt.NDArray[np.int64]:
    """Occlusion codes from the grader's scores (OAMN eq. 8).

    The largest score names the place; its value the area: below 0.5 none, below 0.75 a quarter, else
    a half. Among equal scores the first place in :data:`PLACES` wins.

    Args:
        scores: [N, 4], order top, bottom, left, right, each 0 to 1.
        quarter_threshold, half_threshold: a bundle's own, where its metadata gives others.

    Returns:
        int64 [N], codes 0 to 8.

    Raises:
        ValueError: the scores are not [N, 4], or one of them is not a finite number.
    """
    values = np.asarray(scores, dtype=np.float64)
    if values.ndim != 2 or values.shape[1] != len(PLACES):
        raise ValueError(f"scores must be [N, {len(PLACES)}], not {list(values.shape)}")
    if not np.isfinite(values).all():
        raise ValueError("scores must be finite numbers")
    place = values.argmax(axis=1)
    largest = values.max(axis=1)
    quarter = 1 + 2 * place
    codes = np.where(largest < half_threshold, quarter, quarter + 1)
    return np.where(largest < quarter_threshold, NONE, codes).astype(np.int64)
