"""A PyTorch checkpoint as an :class:`~training.evaluation.features.Embedder`, before any export."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from models import occlusion
from training.evaluation.features import Features
from training.export.graph import BundleGraph
from training.systems.checkpoint import load_network

__all__ = ["CheckpointEmbedder", "checkpoint_name"]


def checkpoint_name(path: Path) -> str:
    """``run/checkpoint.pt``: every run calls its checkpoint the same, so the run's folder goes along."""
    return f"{path.resolve().parent.name}/{path.name}"


@dataclass(frozen=True, slots=True)
class CheckpointEmbedder:
    """A network in PyTorch, in the very graph that a bundle holds; see ``Embedder`` for the attributes.

    Attributes:
        graph: the network in the bundle's graph.
        device: where it runs.
    """

    name: str
    graph: BundleGraph
    device: torch.device

    fingerprint: str | None = None
    thresholds: tuple[float, float] = (occlusion.QUARTER_THRESHOLD, occlusion.HALF_THRESHOLD)

    @classmethod
    def open(cls, path: Path, device: str = "auto") -> CheckpointEmbedder:
        """Open a checkpoint.

        Args:
            device: ``"cpu"``, ``"cuda"``, or ``"auto"`` for CUDA where there is one.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: it is no checkpoint.
        """
        chosen = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
        network, _ = load_network(path)
        return cls(checkpoint_name(path), BundleGraph(network).to(chosen), torch.device(chosen))

    @property
    def height(self) -> int:
        return self.graph.height

    @property
    def width(self) -> int:
        return self.graph.width

    @property
    def dimension(self) -> int:
        return self.graph.dimension

    @property
    def has_grader(self) -> bool:
        return self.graph.has_grader

    @torch.inference_mode()
    def __call__(
        self,
        images: npt.NDArray[np.uint8],
        source: npt.NDArray[np.int64],
        codes: npt.NDArray[np.int64],
    ) -> Features:
        inputs = (torch.from_numpy(array).to(self.device) for array in (images, source, codes))
        answer = [output.cpu().numpy() for output in self.graph(*inputs)]
        return Features(answer[0], answer[1] if self.has_grader else None)
