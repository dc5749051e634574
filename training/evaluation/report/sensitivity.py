"""How much a model depends on each place of a picture (AOS fig. 3).

A square mask slides over the picture; the map shows, at the mask's centre, the probability that the model
then gives to the true person. As in the paper the square is a quarter of the picture's height (64 × 64 at
256 × 128), and zero after normalisation (§4.2; §3.2 calls it a constant grey): ImageNet's mean colour, as
near as whole numbers come to it. Where it reaches over the border only its inner part covers.

The paper takes the classifier's probability of a training picture. A bundle has no classifier, and of people
who were not trained on there is no class: here a softmax over cosines with prototypes stands in for it, each
the mean of a person's other pictures in the gallery (at most :data:`PER_PERSON`, of at most :data:`PEOPLE`
people), divided by :data:`TEMPERATURE`. For checkpoints the classifier itself is asked besides.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt

from models import occlusion
from training.data.records import Picture, Protocol
from training.evaluation.features import Advance, Embedder, embed, read_pixels

__all__ = [
    "GRID",
    "PEOPLE",
    "PER_PERSON",
    "TEMPERATURE",
    "Probability",
    "Prototypes",
    "sensitivity",
    "slide",
    "softmax",
]

MEAN_COLOUR: Final = (124, 116, 104)
"""``models.networks.normalisation.MEAN`` in whole numbers, at most 0.01 from zero after normalisation."""
GRID: Final = (16, 8)
"""Rows and columns of mask positions, evenly over the picture."""
PEOPLE: Final = 100
PER_PERSON: Final = 4
TEMPERATURE: Final = 0.05

Probability = Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.float64]]
"""From pictures uint8 [n, H, W, 3] of one person to the probability of that person, float64 [n]."""


def slide(picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """The picture under each mask position, uint8 [16 · 8, H, W, 3], row by row."""
    height, width = picture.shape[:2]
    side = height / 4
    rows, columns = GRID
    masked = np.repeat(picture[None], rows * columns, axis=0)
    for number in range(rows * columns):
        y = (number // columns + 0.5) * height / rows
        x = (number % columns + 0.5) * width / columns
        top, left = max(0, round(y - side / 2)), max(0, round(x - side / 2))
        masked[number, top : round(y + side / 2), left : round(x + side / 2)] = MEAN_COLOUR
    return masked


def sensitivity(picture: npt.NDArray[np.uint8], probability: Probability) -> npt.NDArray[np.float64]:
    """The true person's probability by mask position, float64 [16, 8], 0 to 1."""
    return probability(slide(picture)).reshape(GRID)


def softmax(logits: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Of each row [n, k]."""
    raised = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))


class Prototypes:
    """Mean features of gallery people, which stand in for a classifier's classes."""

    def __init__(self, embedder: Embedder, protocol: Protocol, advance: Advance | None = None):
        """Embed the people who stand for everybody else."""
        self._embedder, self._protocol, self._advance = embedder, protocol, advance
        pictures: dict[int, list[Picture]] = {}
        for picture in protocol.gallery:
            pictures.setdefault(picture.person, []).append(picture)
        names = sorted(pictures)
        places = np.linspace(0, len(names) - 1, min(PEOPLE, len(names))).astype(int)
        self._people = np.array([names[place] for place in places], dtype=np.int64)
        self._means = self._mean([pictures[person] for person in self._people.tolist()])

    def probability(self, query: Picture) -> Probability:
        """Of pictures of ``query``'s person, whose own prototype leaves out what the protocol ignores.

        Raises:
            ValueError: the gallery has no other picture of that person.
        """
        ignored = query.camera if self._protocol.camera_rule else None
        own = [
            picture
            for picture in self._protocol.gallery
            if picture.person == query.person and picture.camera != ignored
        ]
        if not own:
            raise ValueError(f"the gallery has no other picture of person {query.person}")
        means = np.concatenate([self._mean([own]), self._means[self._people != query.person]])

        def probability(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
            return softmax(_whole(self._embedder, pixels, self._advance) @ means.T / TEMPERATURE)[:, 0]

        return probability

    def _mean(self, groups: list[list[Picture]]) -> npt.NDArray[np.float32]:
        """A unit feature for each group of pictures, float32 [g, D]."""
        kept = [group[:PER_PERSON] for group in groups]
        flat = [picture for group in kept for picture in group]
        pixels = read_pixels(flat, self._embedder.height, self._embedder.width)
        features = _whole(self._embedder, pixels, self._advance)
        starts = np.cumsum([0, *(len(group) for group in kept)])
        means = np.add.reduceat(features, starts[:-1], axis=0)
        return np.asarray(means / np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-12), np.float32)


def _whole(
    embedder: Embedder, pixels: npt.NDArray[np.uint8], advance: Advance | None
) -> npt.NDArray[np.float32]:
    codes = np.full(len(pixels), occlusion.NONE, dtype=np.int64)
    return embed(embedder, pixels, np.arange(len(pixels)), codes, advance).embeddings
