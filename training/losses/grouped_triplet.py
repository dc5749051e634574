"""OAMN's grouped triplet loss (Chen et al., ICCV 2021, eq. 6)."""

from __future__ import annotations

import torch

from training.losses.triplet import batch_hard_triplet

__all__ = ["grouped_triplet"]


def grouped_triplet(
    representations: torch.Tensor, identities: torch.Tensor, margin: float, squared: bool = True
) -> torch.Tensor:
    """The triplet loss inside each occlusion group, averaged over the groups.

    An anchor's positive and negative are searched among pictures occluded at the same place, so that
    no pull is exerted between an occluded picture and a whole one.

    Eq. 6 sums over the anchors; here their mean is taken, so that the loss weight does not depend on
    the batch size (the paper does not say which its λ2 is meant for).

    Args:
        representations: float [G, N, D], one group for each place and one for whole pictures.
        identities: int64 [N], the same in each group.
        margin: 0.5 in the paper.
        squared: see :func:`training.losses.triplet.batch_hard_triplet`.
    """
    losses = [batch_hard_triplet(group, identities, margin, squared) for group in representations]
    return torch.stack(losses).mean()
