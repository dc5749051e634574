"""L_mask: the mask module learns body-part labels (MagnifierNet §3.1 and eq. 4)."""

from __future__ import annotations

import torch
from torch.nn import functional

from training.data.part_labels import UNKNOWN

__all__ = ["segmentation"]


def segmentation(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Cross-entropy per pixel, averaged over all pixels, of which unknown ones count zero.

    So a picture of which little is known weighs little. The labels are taken at the centres of the
    prediction's pixels.

    Args:
        logits: float [N, 1 + K, h, w], background first.
        labels: uint8 [N, H, W], codes of ``training.data.parts``, 255 where unknown.
    """
    height, width = logits.shape[-2:]
    centres = functional.interpolate(labels[:, None].float(), (height, width), mode="nearest-exact")
    each = functional.cross_entropy(
        logits.float(), centres[:, 0].long(), ignore_index=UNKNOWN, reduction="none"
    )
    return each.mean()
