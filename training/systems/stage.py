"""What the training loop needs of a system: stages, each with a network and a training step."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from training.data.store import PictureStore

__all__ = ["Batch", "Stage", "Start", "Step"]


@dataclass(frozen=True, slots=True)
class Batch:
    """One batch, augmented, on the device.

    Attributes:
        pictures: float [N, 3, H, W], 0 to 255, a person's pictures side by side.
        identities: int64 [N].
        sources: uint8 [N, 3, H, W], randomly chosen training pictures, for occluders to be cut from.
        rows: int64 [N], where the pictures stand in the store.
        parts: uint8 [N, H, W], body-part labels moved along with the pictures, or None where the data
            has none (``training.data.parts``).
        step: steps of this stage done before.
    """

    pictures: torch.Tensor
    identities: torch.Tensor
    sources: torch.Tensor
    rows: torch.Tensor
    parts: torch.Tensor | None = None
    step: int = 0


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


@dataclass(frozen=True, slots=True)
class Start:
    """What a stage may look at before its first step.

    Attributes:
        store: the training pictures, on the device.
        earlier: the network of an earlier stage by its name, trained, in evaluation mode, on the device.
        folder: a folder by the stage's name, where it keeps what it computes before its first step or
            after its last one. It goes along where another run takes the finished stage over.
        seed: the recipe's.
        quiet: no progress bars.
    """

    store: PictureStore
    earlier: Callable[[str], nn.Module]
    folder: Callable[[str], Path]
    seed: int
    quiet: bool


class Stage(ABC):
    """One stage of a system: trained from its first to its last epoch with one network and one step.

    Attributes:
        name: as in the recipe's ``stages`` and in ``training.recipe.STAGES``.
    """

    name: str

    @abstractmethod
    def network(self, identities: int) -> nn.Module:
        """A network for so many training identities, randomly initialised; what a checkpoint is loaded into.

        It obeys ``training.export.graph.Network``, so that every stage can be evaluated and exported.
        """

    def begin(self, network: nn.Module, start: Start) -> None:  # noqa: B027  (optional, not forgotten)
        """Get ready: take over weights of earlier stages, freeze, mine.

        Called after the weights were initialised (at random, from ImageNet or from another run) and
        before the first step; on resuming it is called before the checkpoint's weights are loaded, so it
        must lead to the same state each time. Parameters that shall not be trained get
        ``requires_grad = False`` here; a frozen module's batch normalisation stays in evaluation mode only
        if the network's ``train`` sees to it.
        """

    def cover(self, pictures: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        """Occlude pictures before they are augmented.

        Args:
            pictures: uint8 [N, 3, H, W], as in the store, a copy.
            rows: int64 [N], where they stand in the store.

        Returns:
            uint8 or float [N, 3, H, W], 0 to 255. Random numbers come from the device's default generator.
        """
        return pictures

    @abstractmethod
    def step(self, network: nn.Module, batch: Batch) -> Step:
        """The losses of a batch, from one call (or several) of ``network``, which may be wrapped for several
        devices and mixed precision: call it, do not reach into it."""

    def finish(self, network: nn.Module, start: Start) -> None:  # noqa: B027  (optional, not forgotten)
        """Compute once, after the last step, what later stages need; written to ``start.folder(self.name)``.

        The network comes trained and in evaluation mode. A run that dies here finishes again on resuming.
        """
