"""OAMN's two constraints on the mask module (Chen et al., ICCV 2021, eq. 2 to 4).

The paper writes squared ℓ2 norms of whole feature maps and does not say how they are scaled. Here each
is divided by the number of elements of the map (C·h·w), so that the paper's λ1 = 5 means the same for
every backbone and picture size.
"""

from __future__ import annotations

import torch

from models.occlusion import PLACES

__all__ = ["mask_completeness", "mask_invariance"]


def mask_invariance(features: torch.Tensor, occluded: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """L_mask1 (eq. 2): what the mask of an occluded copy keeps is the same in copy and original.

    Args:
        features: f, [N, C, h, w], of the whole pictures.
        occluded: f^p, [4, N, C, h, w].
        masks: m^p, [4, N, 1, h, w].

    Returns:
        Scalar: mean over pictures and elements, sum over the four places.
    """
    kept = (features[None] - occluded).float() * masks.float()
    return kept.square().mean(dim=(1, 2, 3, 4)).sum()


def mask_completeness(masked: torch.Tensor, occluded: torch.Tensor, half: torch.Tensor) -> torch.Tensor:
    """L_mask2 (eq. 3): the masked features of two opposite halves add up to the whole's.

    Args:
        masked: g, [N, C, h, w], of the whole pictures.
        occluded: g^p, [4, N, C, h, w].
        half: bool [N], the set I: pictures whose copies are half hidden.

    Returns:
        Scalar: mean over I and elements, sum over the two pairs; 0 where I is empty.
    """
    if not bool(half.any()):
        return masked.sum() * 0.0
    place = {name: occluded[index][half].float() for index, name in enumerate(PLACES)}
    whole = masked[half].float()
    vertical = (place["top"] + place["bottom"] - whole).square().mean()
    horizontal = (place["left"] + place["right"] - whole).square().mean()
    return vertical + horizontal
