"""A checkpoint's own classifier, for the people that it was trained on (AOS fig. 3). Needs torch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from models.networks.normalisation import normalise
from training.data.records import Picture, people
from training.evaluation import protocols
from training.evaluation.report.sensitivity import Probability, softmax
from training.recipe.tables import RealData
from training.systems.checkpoint import load_network

__all__ = ["TrainedPeople"]


class TrainedPeople:
    """The first real data set of a checkpoint's recipe, as its classifier knows it.

    Attributes:
        pictures: of the training half.
        protocol: whose.
        height, width: of the network's pictures, pixels.
    """

    def __init__(self, checkpoint: Path, root: Path, *, acknowledge_withdrawn: bool = False):
        """Open the checkpoint and its training pictures.

        Raises:
            ValueError, OSError: the recipe names no real data, the data is not under ``root``, or the network
                has no classifier.
        """
        self._network, loaded = load_network(checkpoint)
        self.height, self.width = loaded.recipe.model.height, loaded.recipe.model.width
        # Classes are numbered through the recipe's data sets in order, people sorted within each.
        self._first_class = 0
        for entry in loaded.recipe.data:
            if isinstance(entry, RealData):
                break
            self._first_class += entry.people
        else:
            raise ValueError("it was trained on drawn people only")
        self.protocol = entry.protocol
        loaded_protocol = protocols.load(entry.protocol, root, acknowledge_withdrawn=acknowledge_withdrawn)
        self.pictures: tuple[Picture, ...] = loaded_protocol.train
        self._people = people(self.pictures)
        self._logits(np.zeros((1, self.height, self.width, 3), dtype=np.uint8))

    def probability(self, picture: Picture) -> Probability:
        """Of the person in a training picture."""
        own = self._first_class + self._people.index(picture.person)

        def probability(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
            return softmax(self._logits(pixels))[:, own]

        return probability

    @torch.inference_mode()
    def _logits(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        answer = self._network(normalise(torch.from_numpy(pixels).permute(0, 3, 1, 2)))
        for holder in (answer, getattr(answer, "head", None)):
            logits = getattr(holder, "logits", None)
            if isinstance(logits, torch.Tensor):
                return logits.float().numpy()
        raise ValueError("its network has no one classifier")
