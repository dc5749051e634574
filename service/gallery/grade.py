"""What the grader says of a picture, as enrolments and queries answer it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Grade"]


@dataclass(frozen=True, slots=True)
class Grade:
    """What the grader says of a picture.

    Attributes:
        occlusion: graded code c(x), 0 to 8; 0 without a grader.
        scores: float32 [4], order top, bottom, left, right; None without a grader.
    """

    occlusion: int
    scores: npt.NDArray[np.float32] | None
