"""The triplet loss with the hardest positive and negative of a batch (Hermans et al., 2017; OAMN eq. 5)."""

from __future__ import annotations

import torch
from torch.nn import functional

__all__ = ["batch_hard_triplet"]


def batch_hard_triplet(
    representations: torch.Tensor, identities: torch.Tensor, margin: float, squared: bool = True
) -> torch.Tensor:
    """Mean over anchors of (d(a, p) - d(a, n) + margin)₊.

    The positive is the farthest picture of the anchor's identity, the negative the nearest of another
    (OAMN, after eq. 6).

    Args:
        representations: float [N, D].
        identities: int64 [N]; each identity at least twice, at least two identities.
        margin: in units of the distance.
        squared: squared Euclidean distance as in eq. 5; False: Euclidean distance, whose gradient does
            not grow with the distance, which is steadier when training from scratch.

    Returns:
        A scalar.

    Raises:
        ValueError: an anchor has no positive, or no negative.
    """
    features = representations.float()
    squares = features.square().sum(1)
    distances = (squares[:, None] + squares[None] - 2.0 * features @ features.T).clamp_min(0.0)
    if not squared:
        distances = (distances + 1e-12).sqrt()
    same = identities[:, None] == identities[None]
    itself = torch.eye(len(features), dtype=torch.bool, device=features.device)
    if not (same & ~itself).any(1).all():
        raise ValueError("triplet loss: an identity stands in the batch with one picture only")
    if same.all(1).any():
        raise ValueError("triplet loss: a batch needs at least two identities")
    farthest = distances.masked_fill(~same | itself, -torch.inf).amax(1)
    nearest = distances.masked_fill(same, torch.inf).amin(1)
    return functional.relu(farthest - nearest + margin).mean()
