"""What the training loop needs of a system."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import nn

__all__ = ["Batch", "Step", "System"]


@dataclass(frozen=True, slots=True)
class Batch:
    """One batch, augmented, on the device.

    Attributes:
        pictures: float [N, 3, H, W], 0 to 255, a person's pictures side by side.
        identities: int64 [N].
        sources: uint8 [N, 3, H, W], randomly chosen training pictures, for occluders to be cut from.
    """

    pictures: torch.Tensor
    identities: torch.Tensor
    sources: torch.Tensor


@dataclass(frozen=True, slots=True)
class Step:
    """A training step's losses.

    Attributes:
        total: the scalar to minimise.
        parts: each loss before its weight, by name, for the log.
        passes: pictures that went through the network.
    """

    total: torch.Tensor
    parts: Mapping[str, torch.Tensor]
    passes: int


class System(Protocol):
    """A method: which network it trains, and by which losses."""

    def network(self, identities: int) -> nn.Module:
        """A new network for so many training identities, randomly initialised."""
        ...

    def step(self, network: nn.Module, batch: Batch) -> Step:
        """The losses of a batch."""
        ...
