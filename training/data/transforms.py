"""Augmentation of whole batches on the device that trains."""

from __future__ import annotations

import torch
from torch.nn import functional

__all__ = ["augment"]


def augment(pictures: torch.Tensor, flip: float, pad: int) -> torch.Tensor:
    """Mirror with probability ``flip``, pad with black, crop back at random; each picture its own way.

    Args:
        pictures: uint8 [N, 3, H, W].
        flip: 0 to 1.
        pad: pixels on each side; 0 switches cropping off.

    Returns:
        uint8 [N, 3, H, W]. Random numbers come from the device's default generator.
    """
    count, _, height, width = pictures.shape
    device = pictures.device
    columns = torch.arange(width, device=device).expand(count, width)
    mirrored = torch.rand(count, 1, device=device) < flip
    columns = torch.where(mirrored, width - 1 - columns, columns)
    rows = torch.arange(height, device=device).expand(count, height)
    if pad:
        pictures = functional.pad(pictures, (pad, pad, pad, pad))
        rows = rows + torch.randint(0, 2 * pad + 1, (count, 1), device=device)
        columns = columns + torch.randint(0, 2 * pad + 1, (count, 1), device=device)
    each = torch.arange(count, device=device)[:, None, None]
    # Advanced indices around a slice come first: [N, H, W, 3], which is channels-last already.
    return pictures[each, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
