"""From stored pictures to what a network takes, and the rectangle that a code hides.

Hiding comes after normalisation, so a hidden pixel is 0: the mean colour of ImageNet (design: "The
bundle").
"""

from __future__ import annotations

import torch

from models.occlusion import visibility_masks

__all__ = ["MEAN", "STD", "hide", "normalise"]

MEAN = (0.485, 0.456, 0.406)
"""ImageNet's mean of R, G and B, in 0 to 1."""

STD = (0.229, 0.224, 0.225)
"""ImageNet's standard deviation of R, G and B, in 0 to 1."""


def normalise(pictures: torch.Tensor) -> torch.Tensor:
    """uint8 or float [N, 3, H, W], 0 to 255, to float32 with ImageNet's mean and deviation removed."""
    mean = torch.tensor(MEAN, device=pictures.device).view(1, 3, 1, 1) * 255.0
    scale = 1.0 / (torch.tensor(STD, device=pictures.device).view(1, 3, 1, 1) * 255.0)
    return (pictures.float() - mean) * scale


def hide(pictures: torch.Tensor, codes: torch.Tensor) -> torch.Tensor:
    """Set each picture's rectangle to zero.

    Args:
        pictures: normalised, float [N, 3, H, W].
        codes: int64 [N], occlusion codes 0 to 8.
    """
    height, width = pictures.shape[-2:]
    masks = torch.from_numpy(visibility_masks(int(height), int(width))).to(pictures)
    return pictures * masks[codes].unsqueeze(1)
