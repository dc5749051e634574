"""The seven body parts of a label map, in the grouping that MagnifierNet uses. No torch.

A label map is uint8 [H, W]: 0 where no body is seen (background, an occluder, a bag or an umbrella that is
carried), else 1 + the part's place in :data:`PARTS`. Clothes count as the part that they cover: a sleeve is
arm, a skirt leg. Hair, hat and neck count as head, a hand as lower arm, the trunk down to the hips as chest.
MagnifierNet (§4.1) takes the grouping from DensePose and splits it at the hips for its adversarial branch.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

__all__ = ["LOWER_TORSO", "PARTS", "UPPER_TORSO", "Part"]

PARTS: Final = ("head", "upper_arm", "lower_arm", "chest", "upper_leg", "lower_leg", "foot")
"""Names in the order of their codes; the first has code 1."""

UPPER_TORSO: Final = (1, 2, 3, 4)
LOWER_TORSO: Final = (5, 6, 7)
"""Codes of the two groups that MagnifierNet's Random-torso draws parts from."""


class Part(IntEnum):
    """Codes of a label map."""

    NONE = 0
    HEAD = 1
    UPPER_ARM = 2
    LOWER_ARM = 3
    CHEST = 4
    UPPER_LEG = 5
    LOWER_LEG = 6
    FOOT = 7
