"""Which occluded version of a picture is trained on (AOS §3.4, §4.6, §4.7)."""

from __future__ import annotations

from typing import Literal

import torch

__all__ = ["Strategy", "influence", "selection"]

Strategy = Literal["no-adversary", "random", "hard-1", "sampling"]
"""The paper's strategies (table 1). ``"random"`` asks no model, so :func:`selection` does not know it."""


def influence(logarithms: torch.Tensor) -> torch.Tensor:
    """What each mask position takes from the true class: p̂_i = max(p - p_i, 0) (AOS eq. 4).

    Args:
        logarithms: [N, 1 + N_pos], log p of the whole picture, then log p_i.

    Returns:
        float64 [N, N_pos], 0 to 1.
    """
    probabilities = logarithms.double().exp()
    return (probabilities[:, :1] - probabilities[:, 1:]).clamp_min(0.0)


def selection(logarithms: torch.Tensor, strategy: Strategy) -> torch.Tensor:
    """The probability with which each mask position of each picture is chosen.

    Sampling: p̄_i, the influence normalised to a distribution (AOS eq. 5). Hard-1: the position with the
    lowest p_i. No-Adversary: the one with the highest. Of equal ones the first. Where no position takes
    anything from the true class eq. 5 divides by zero, and the paper is silent; then all positions are
    equally likely.

    Args:
        logarithms: as in :func:`influence`.
        strategy: all but ``"random"``.

    Returns:
        float64 [N, N_pos], rows sum to one.

    Raises:
        ValueError: the strategy is ``"random"``.
    """
    match strategy:
        case "sampling":
            taken = influence(logarithms)
            total = taken.sum(dim=1, keepdim=True)
            even = torch.full_like(taken, 1.0 / taken.shape[1])
            return torch.where(total > 0.0, taken / total.where(total > 0.0, torch.ones_like(total)), even)
        case "hard-1":
            chosen = logarithms[:, 1:].argmin(dim=1)
        case "no-adversary":
            chosen = logarithms[:, 1:].argmax(dim=1)
        case "random":
            raise ValueError("random positions are chosen without a model")
    certain = torch.zeros_like(logarithms[:, 1:], dtype=torch.float64)
    return certain.scatter_(1, chosen[:, None], 1.0)
