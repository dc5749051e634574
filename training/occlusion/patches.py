"""OAMN's occlusion augmentation (Chen et al., ICCV 2021, §3.1).

A patch is cut from a corner of another training picture, where a body rarely is, scaled to a half or a
quarter of the picture, and laid over its top, bottom, left and right: four occluded copies of each
picture, with exact labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.nn import functional

from models.networks.normalisation import MEAN
from models.occlusion import PLACES, TYPES, code_at, rectangle

__all__ = ["OccludedCopies", "grader_targets", "occlude_four_ways"]

PATCH_AREA = (0.02, 0.2)
"""ε: the patch's share of its picture's area."""

PATCH_RATIO = (0.3, 3.3)
"""r: the patch's height over its width (p_h² = a·r, p_w² = a/r)."""


@dataclass(frozen=True, slots=True)
class OccludedCopies:
    """The occluded copies of each picture, one for each of P places.

    Attributes:
        pictures: float [P, N, 3, H, W]; first axis in the order of the places.
        codes: int64 [P, N], the occlusion codes.
        half: bool [N], whether a picture's copies are half hidden (else a quarter).
    """

    pictures: torch.Tensor
    codes: torch.Tensor
    half: torch.Tensor


def occlude_four_ways(
    pictures: torch.Tensor,
    sources: torch.Tensor,
    half_share: float = 0.5,
    blank_share: float = 0.0,
    places: Sequence[str] = PLACES,
) -> OccludedCopies:
    """Lay one patch over each of the four places of each picture.

    The random numbers come from torch's default generator of the pictures' device. The four copies of a
    picture share the patch and the area, as eq. 3 needs them to.

    Args:
        pictures: float [N, 3, H, W], 0 to 255, the pictures to be occluded.
        sources: float [N, 3, H, W], randomly chosen training pictures, one for each patch.
        half_share: how many of the pictures are half hidden, 0 to 1; the others are hidden by a quarter.
        blank_share: how many of the pictures are hidden by the mean colour instead of a patch, 0 to 1: that
            is what occlusion unification lays over a picture at test time. The paper has none of it.
        places: fewer than the four, for table 3; at least one.
    """
    count, _, height, width = pictures.shape
    device = pictures.device

    def uniform(low: float, high: float) -> torch.Tensor:
        return low + (high - low) * torch.rand(count, device=device)

    area = uniform(*PATCH_AREA) * (height * width)
    ratio = uniform(*PATCH_RATIO)
    patch_height = (area * ratio).sqrt().clamp(1.0, float(height))
    patch_width = (area / ratio).sqrt().clamp(1.0, float(width))
    # One of the four corners: (x, y) ∈ {0, h - p_h} × {0, w - p_w}.
    patch_top = (height - patch_height) * torch.randint(0, 2, (count,), device=device)
    patch_left = (width - patch_width) * torch.randint(0, 2, (count,), device=device)
    half = torch.rand(count, device=device) < half_share
    blank = (torch.rand(count, device=device) < blank_share).view(count, 1, 1, 1)
    mean_colour = torch.tensor(MEAN, device=device).view(1, 3, 1, 1) * 255.0

    rows = torch.arange(height, device=device, dtype=torch.float32)
    columns = torch.arange(width, device=device, dtype=torch.float32)
    copies, codes = [], []
    for place in places:
        both = [code_at(place, 0.25), code_at(place, 0.5)]
        boxes = torch.tensor([rectangle(code, height, width) for code in both], device=device)
        top, left, bottom, right = boxes[half.long()].unbind(1)
        # Position of each pixel inside the hidden rectangle, 0 to 1, then inside the patch.
        down = (rows[None] + 0.5 - top[:, None]) / (bottom - top)[:, None]
        across = (columns[None] + 0.5 - left[:, None]) / (right - left)[:, None]
        y = patch_top[:, None] + down * patch_height[:, None]
        x = patch_left[:, None] + across * patch_width[:, None]
        grid = torch.stack(
            (
                (2.0 * x / width - 1.0)[:, None, :].expand(count, height, width),
                (2.0 * y / height - 1.0)[:, :, None].expand(count, height, width),
            ),
            dim=3,
        )
        patch = functional.grid_sample(
            sources, grid, mode="bilinear", padding_mode="border", align_corners=False
        )
        patch = torch.where(blank, mean_colour, patch)
        hidden_rows = (rows[None] >= top[:, None]) & (rows[None] < bottom[:, None])
        hidden_columns = (columns[None] >= left[:, None]) & (columns[None] < right[:, None])
        hidden = (hidden_rows[:, :, None] & hidden_columns[:, None, :])[:, None]
        copies.append(torch.where(hidden, patch, pictures))
        codes.append(torch.tensor(both, device=device)[half.long()])
    return OccludedCopies(torch.stack(copies), torch.stack(codes), half)


def grader_targets(codes: torch.Tensor) -> torch.Tensor:
    """What the grader should say of pictures with these codes: float [N, 4] (OAMN §3.4).

    The score at the hidden place is twice the hidden area (0.5 for a quarter, 1 for a half), elsewhere 0.
    """
    table = torch.zeros(len(TYPES), len(PLACES))
    for kind in TYPES[1:]:
        assert kind.place is not None
        table[kind.code, PLACES.index(kind.place)] = 2.0 * kind.area
    return table.to(codes.device)[codes]
