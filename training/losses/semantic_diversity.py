"""MagnifierNet's semantic diversity loss (Lan et al., BMVC 2020, eq. 3)."""

from __future__ import annotations

import torch

__all__ = ["semantic_diversity"]


def semantic_diversity(parts: torch.Tensor, epsilon: float = 1e-8) -> torch.Tensor:
    """Mean cosine between the features of two parts of the same picture, over pictures and pairs of parts.

    Zero where a picture's parts are orthogonal. Eq. 3 lets i begin at j: that adds each part's cosine with
    itself, a constant, while its denominator counts the pairs of different parts. Those alone are summed.

    Args:
        parts: float [N, K, C], the pooled features p(x_k); a part that is not seen may be all zeros and adds
            nothing.
        epsilon: ε.
    """
    features = parts.float()
    first, second = torch.triu_indices(features.shape[1], features.shape[1], offset=1, device=parts.device)
    lengths = features.square().sum(dim=2)
    products = (features[:, first] * features[:, second]).sum(dim=2)
    # The root's slope is infinite at zero: ε goes under it, squared, as the largest of the two.
    norms = (lengths[:, first] * lengths[:, second]).clamp_min(epsilon**2).sqrt()
    return (products / norms).mean()
