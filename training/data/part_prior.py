"""Where the parts of a walking person lie in a detector's box: body-part labels where nobody has parsed the
pictures. No torch.

A stated prior, the same for every picture: rectangles in fractions of the box, after the proportions of a
standing body (of the stature, from the top: shoulders 0.18, elbows 0.37, hips 0.48, wrists 0.52, knees 0.72,
ankles 0.95) in a box that a detector has cut closely above the head and below the feet. It holds for the
whole, upright people of Market-1501 and CUHK03 and does not know what hides a person, a bicycle, a bag or a
bent knee. So only the core of each part and the outermost strips are labelled; where two parts meet or arms
and legs swing, the label is ``UNKNOWN``, which takes no part in a loss.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from training.data.part_labels import UNKNOWN
from training.data.parts import Part

__all__ = ["PRIOR", "draw_prior"]

PRIOR: Final = (
    (Part.NONE, 0.00, 0.00, 1.00, 0.05),
    (Part.NONE, 0.00, 0.95, 1.00, 1.00),
    (Part.NONE, 0.00, 0.00, 0.14, 0.24),
    (Part.NONE, 0.00, 0.76, 0.14, 1.00),
    (Part.NONE, 0.60, 0.00, 0.85, 0.12),
    (Part.NONE, 0.60, 0.88, 0.85, 1.00),
    (Part.HEAD, 0.04, 0.38, 0.17, 0.62),
    (Part.CHEST, 0.20, 0.33, 0.48, 0.67),
    (Part.UPPER_ARM, 0.21, 0.17, 0.36, 0.29),
    (Part.UPPER_ARM, 0.21, 0.71, 0.36, 0.83),
    (Part.LOWER_ARM, 0.39, 0.15, 0.52, 0.27),
    (Part.LOWER_ARM, 0.39, 0.73, 0.52, 0.85),
    (Part.UPPER_LEG, 0.52, 0.34, 0.70, 0.66),
    (Part.LOWER_LEG, 0.74, 0.36, 0.88, 0.64),
    (Part.FOOT, 0.91, 0.32, 0.98, 0.68),
)
"""Part, top, left, bottom, right; fractions of the box's height and width."""


def draw_prior(height: int, width: int) -> npt.NDArray[np.uint8]:
    """The prior as a label map.

    Args:
        height, width: pixels.

    Returns:
        uint8 [height, width]: codes of ``training.data.parts``, ``UNKNOWN`` between them. A pixel belongs
        to a rectangle that holds its centre.
    """
    rows = ((np.arange(height) + 0.5) / height)[:, None]
    columns = ((np.arange(width) + 0.5) / width)[None, :]
    labels = np.full((height, width), UNKNOWN, dtype=np.uint8)
    for part, top, left, bottom, right in PRIOR:
        labels[(rows >= top) & (rows < bottom) & (columns >= left) & (columns < right)] = part
    return labels
