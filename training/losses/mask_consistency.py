"""OAMN's two constraints on the mask module (Chen et al., ICCV 2021, eq. 2 to 4).

The paper writes squared ℓ2 norms of whole feature maps and does not say how they are scaled. Two ways:

- ``relative=False``, as written: the squares are averaged over the elements of the map (C·h·w), so that
  the paper's λ1 means the same for every backbone and picture size.
- ``relative=True``: the squares are divided by those of the feature that is to be reproduced. As written,
  both losses also fall when all features, or the whole mask, shrink, which costs nothing because batch
  normalisation restores the scale one layer later. Starting from weights that never saw ImageNet, that is
  what happens: training/README.md, "What was seen", has the figures. A ratio does not fall by shrinking.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from models.occlusion import PLACES

__all__ = ["mask_completeness", "mask_invariance"]

_SMALL = 1e-6
"""Keeps a ratio finite where a feature is zero."""


def mask_invariance(
    features: torch.Tensor, occluded: torch.Tensor, masks: torch.Tensor, relative: bool = False
) -> torch.Tensor:
    """L_mask1 (eq. 2): what the mask of an occluded copy keeps is the same in copy and original.

    Args:
        features: f, [N, C, h, w], of the whole pictures.
        occluded: f^p, [P, N, C, h, w], one for each place.
        masks: m^p, [P, N, 1, h, w].
        relative: divide by the square of f ⊙ m^p, see the module's text.

    Returns:
        Scalar: mean over pictures and elements, sum over the places.
    """
    kept = (features[None] - occluded).float() * masks.float()
    squares = kept.square().mean(dim=(1, 2, 3, 4))
    if relative:
        whole = features[None].float() * masks.float()
        squares = squares / (whole.square().mean(dim=(1, 2, 3, 4)) + _SMALL)
    return squares.sum()


def mask_completeness(
    masked: torch.Tensor,
    occluded: torch.Tensor,
    half: torch.Tensor,
    relative: bool = False,
    places: Sequence[str] = PLACES,
) -> torch.Tensor:
    """L_mask2 (eq. 3): the masked features of two opposite halves add up to the whole's.

    Args:
        masked: g, [N, C, h, w], of the whole pictures.
        occluded: g^p, [P, N, C, h, w].
        half: bool [N], the set I: pictures whose copies are half hidden.
        relative: divide by the square of g, see the module's text.
        places: what the P are; a pair of which one is missing is left out.

    Returns:
        Scalar: mean over I and elements, sum over the two pairs; 0 where I is empty.
    """
    pairs = [pair for pair in (("top", "bottom"), ("left", "right")) if set(pair) <= set(places)]
    if not pairs or not bool(half.any()):
        return masked.sum() * 0.0
    place = {name: occluded[index][half].float() for index, name in enumerate(places)}
    whole = masked[half].float()
    squares = torch.stack([(place[one] + place[other] - whole).square().mean() for one, other in pairs])
    return squares.sum() / (whole.square().mean() + _SMALL if relative else 1.0)
