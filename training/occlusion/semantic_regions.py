"""Which semantic regions remain in an adversarial sample (MagnifierNet §3.2)."""

from __future__ import annotations

from typing import Literal

import torch

from training.data.parts import LOWER_TORSO, PARTS, UPPER_TORSO

__all__ = ["draw_kept_regions"]


def draw_kept_regions(
    kept: int, sampling: Literal["torso", "baseline"], device: torch.device
) -> torch.Tensor:
    """Draw the regions that are not in Ô, one choice for a whole batch.

    "Erasing the same semantic aligned features in each batch": the same regions of every picture, so that
    pictures of different people differ in what is left, not in which part it is.

    Args:
        kept: K̂.
        sampling: ``"baseline"``, any K̂ regions; ``"torso"``, K̂/2 (K̂ is even) of head, arms and chest, and
            K̂/2 of legs and feet.
        device: where the batch is; random numbers come from its default generator.

    Returns:
        bool [K], in the order of ``training.data.parts.PARTS``, K̂ of them true.
    """
    chosen = torch.zeros(len(PARTS), dtype=torch.bool, device=device)
    groups = ((UPPER_TORSO, kept // 2), (LOWER_TORSO, kept // 2)) if sampling == "torso" else (
        (range(1, len(PARTS) + 1), kept),
    )  # fmt: skip
    for codes, count in groups:
        places = torch.tensor([code - 1 for code in codes], device=device)
        chosen[places[torch.randperm(len(places), device=device)[:count]]] = True
    return chosen
