"""Augmentation of whole batches on the device that trains."""

from __future__ import annotations

import torch
from torch.nn import functional

__all__ = ["augment", "augment_labelled", "jitter_colours", "show_part"]

PART_HEIGHT = (0.4, 1.0)
"""Share of the height that a partial view keeps."""

PART_WIDTH = (0.6, 1.0)
"""Share of the width that a partial view keeps."""


def augment(
    pictures: torch.Tensor, flip: float, pad: int, partial: float = 0.0, colour: float = 0.0
) -> torch.Tensor:
    """Mirror, shift, show a part, change the light; each picture its own way.

    Random numbers come from the device's default generator.

    Args:
        pictures: uint8 or float [N, 3, H, W], 0 to 255.
        flip: probability of mirroring, 0 to 1.
        pad: pixels of black put around before cropping back at random; 0 switches it off.
        partial: probability of :func:`show_part`, 0 to 1.
        colour: strength of :func:`jitter_colours`, 0 to below 1.

    Returns:
        float32 [N, 3, H, W], 0 to 255.
    """
    return augment_labelled(pictures, None, flip, pad, partial, colour)[0]


def augment_labelled(
    pictures: torch.Tensor,
    labels: torch.Tensor | None,
    flip: float,
    pad: int,
    partial: float = 0.0,
    colour: float = 0.0,
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """:func:`augment`, with a label map moved along with each picture.

    The same random numbers are drawn with labels and without.

    Args:
        pictures, flip, pad, partial, colour: as there.
        labels: uint8 [N, H, W], or None.

    Returns:
        Pictures float32 [N, 3, H, W], 0 to 255, and labels uint8 [N, H, W] of the nearest pixel, 0 where
        black moved in; None where there were none.
    """
    count, _, height, width = pictures.shape
    device = pictures.device
    columns = torch.arange(width, device=device).expand(count, width)
    mirrored = torch.rand(count, 1, device=device) < flip
    columns = torch.where(mirrored, width - 1 - columns, columns)
    rows = torch.arange(height, device=device).expand(count, height)
    if pad:
        pictures = functional.pad(pictures, (pad, pad, pad, pad))
        labels = None if labels is None else functional.pad(labels, (pad, pad, pad, pad))
        rows = rows + torch.randint(0, 2 * pad + 1, (count, 1), device=device)
        columns = columns + torch.randint(0, 2 * pad + 1, (count, 1), device=device)
    each = torch.arange(count, device=device)[:, None, None]
    # Advanced indices around a slice come first: [N, H, W, 3], which is channels-last already.
    shown = pictures[each, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2).float()
    if labels is not None:
        labels = labels[each, rows[:, :, None], columns[:, None, :]]
    if partial:
        chosen = (torch.rand(count, device=device) < partial).nonzero()[:, 0]
        grid = _part_grid(len(chosen), height, width, device)
        shown[chosen] = _stretch(shown[chosen], grid, "bilinear")
        if labels is not None:
            stretched = _stretch(labels[chosen, None].float(), grid, "nearest")
            labels[chosen] = stretched[:, 0].to(labels.dtype)
    return (jitter_colours(shown, colour) if colour else shown), labels


def show_part(pictures: torch.Tensor) -> torch.Tensor:
    """Cut a part out of each picture, anywhere, and stretch it to the full size.

    What a detector or a person does who crops to the visible part, as in Partial-iLIDS: the whole picture
    then shows, say, an upper body.

    Args:
        pictures: float [N, 3, H, W].
    """
    count, _, height, width = pictures.shape
    return _stretch(pictures, _part_grid(count, height, width, pictures.device), "bilinear")


def _part_grid(count: int, height: int, width: int, device: torch.device) -> torch.Tensor:
    """Where :func:`show_part` looks: float [count, height, width, 2], in ``grid_sample``'s -1 to 1."""

    def uniform(low: float, high: float) -> torch.Tensor:
        return low + (high - low) * torch.rand(count, device=device)

    tall, wide = uniform(*PART_HEIGHT), uniform(*PART_WIDTH)
    # Centre of the part in grid_sample's -1 to 1, so that it lies inside the picture.
    down = (1.0 - tall) * uniform(-1.0, 1.0)
    across = (1.0 - wide) * uniform(-1.0, 1.0)
    zero = torch.zeros_like(tall)
    transform = torch.stack(
        (torch.stack((wide, zero, across), dim=1), torch.stack((zero, tall, down), dim=1)), dim=1
    )
    return functional.affine_grid(transform, [count, 1, height, width], align_corners=False)


def _stretch(pictures: torch.Tensor, grid: torch.Tensor, mode: str) -> torch.Tensor:
    """Pictures [N, C, H, W] as seen through a grid."""
    return functional.grid_sample(pictures, grid, mode=mode, padding_mode="border", align_corners=False)


def jitter_colours(pictures: torch.Tensor, strength: float) -> torch.Tensor:
    """Scale brightness, contrast and saturation, each by U(1 - strength, 1 + strength), picture by picture.

    Args:
        pictures: float [N, 3, H, W], 0 to 255.
        strength: 0 to below 1.

    Returns:
        float [N, 3, H, W], clamped to 0 to 255.
    """
    low, high = 1.0 - strength, 1.0 + strength
    brightness, contrast, saturation = low + (high - low) * torch.rand(
        3, len(pictures), 1, 1, 1, device=pictures.device
    )
    weights = torch.tensor((0.299, 0.587, 0.114), device=pictures.device).view(1, 3, 1, 1)
    shown = pictures * brightness
    grey = (shown * weights).sum(dim=1, keepdim=True)
    shown = grey + saturation * (shown - grey)
    mean = grey.mean(dim=(2, 3), keepdim=True)
    return (mean + contrast * (shown - mean)).clamp(0.0, 255.0)
