"""Occlusion unification, offline (OAMN §3.4; design: "Unification").

Let c(x) be the graded code of picture x and F(x, u) its embedding with the rectangle of code u hidden::

    off    score(q, i) = cos( F(q, 0),    F(i, 0)    )
    auto   score(q, i) = cos( F(q, c(i)), F(i, c(q)) )
    fuse   all codes at once, as models/fusion.py says; the cohort is the gallery

so that with ``auto`` each is hidden where the other is. Only what some pair needs is embedded: a query
under the codes that occur in the gallery, a gallery picture under the codes that occur among the queries;
for ``fuse`` everything under every code.

``own`` is a choice that the paper leaves open: hide a picture's own graded rectangle too, wherever the
other picture asks for none (one code hides one rectangle, so a picture is never hidden in two places).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from models import fusion, occlusion
from training.data.records import Protocol
from training.evaluation.distances import COSINE, Distance
from training.evaluation.features import Advance, Embedder, Features, embed, read_pixels
from training.evaluation.ranking import Ranking, rank

__all__ = ["Choice", "Side", "Unify", "compare", "evaluate", "hidden_codes", "read_sides", "require"]

Unify = Literal["off", "auto", "fuse"]

_BLOCK = 256
"""Queries scored at once."""

_FUSED_COSINES = 2**25
"""Cosines held at once by the fused score, which needs nine a pair: 128 MiB."""


@dataclass(frozen=True, slots=True)
class Choice:
    """How two pictures are compared, and whether with ``auto`` own rectangles are hidden too."""

    unify: Unify
    own: bool = False

    @property
    def label(self) -> str:
        """``"off"``, ``"auto"``, ``"auto+own"`` or ``"fuse"``."""
        return f"{self.unify}+own" if self.own and self.unify == "auto" else self.unify


class Side:
    """The pictures of one side, query or gallery, with their grades and the features computed so far.

    Attributes:
        pixels: uint8 [n, H, W, 3].
        codes: int64 [n], the graded code c(x) of each; 0 where the model has no grader.
        grades: float32 [n, 4], the grader's scores of the whole pictures; None without a grader.
    """

    def __init__(self, embedder: Embedder, pixels: npt.NDArray[np.uint8], advance: Advance | None = None):
        self._embedder = embedder
        self.pixels = pixels
        self._rows = np.full((len(pixels), occlusion.COUNT), -1, dtype=np.int64)
        self._rows[:, occlusion.NONE] = np.arange(len(pixels))
        whole = self._compute(np.arange(len(pixels)), np.zeros(len(pixels), np.int64), advance)
        self._features = whole.embeddings
        self.grades = whole.grades
        self.codes = (
            np.zeros(len(pixels), np.int64)
            if whole.grades is None
            else occlusion.grade(whole.grades, *embedder.thresholds)
        )

    def require(self, wanted: npt.NDArray[np.bool_], advance: Advance | None = None) -> None:
        """Compute F(x, u) wherever ``wanted`` [n, 9] is set and it is not there yet."""
        source, codes = np.nonzero(wanted & (self._rows < 0))
        if not len(source):
            return
        self._rows[source, codes] = len(self._features) + np.arange(len(source))
        added = self._compute(source, codes, advance)
        self._features = np.concatenate([self._features, added.embeddings])

    def features(
        self, rows: npt.NDArray[np.int64] | slice, codes: npt.NDArray[np.int64] | int
    ) -> npt.NDArray[np.float32]:
        """F(x, u) of some pictures, float32 [m, D].

        Raises:
            KeyError: one of them was never required.
        """
        index = self._rows[rows, codes]
        if (index < 0).any():
            raise KeyError("features asked for that were not required before")
        return self._features[index]

    def under_every_code(self, rows: slice = slice(None)) -> npt.NDArray[np.float32]:
        """F(x, u) of some pictures under all nine codes, float32 [m, 9, D].

        Raises:
            KeyError: some code was never required.
        """
        index = self._rows[rows]
        if (index < 0).any():
            raise KeyError("features asked for that were not required before")
        return self._features[index]

    def _compute(
        self, source: npt.NDArray[np.int64], codes: npt.NDArray[np.int64], advance: Advance | None
    ) -> Features:
        return embed(self._embedder, self.pixels, source, codes, advance)


def hidden_codes(
    query: npt.ArrayLike, gallery: npt.ArrayLike, choice: Choice
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Which code hides the query, and which the gallery picture, when the two are compared.

    Args:
        query, gallery: graded codes, int64, of shapes that broadcast.
        choice: ``off`` or ``auto``; ``fuse`` hides both under every code, and asks nobody.

    Returns:
        Two int64 arrays of the broadcast shape.
    """
    query, gallery = np.broadcast_arrays(np.asarray(query, np.int64), np.asarray(gallery, np.int64))
    if choice.unify == "off":
        return np.zeros_like(query), np.zeros_like(gallery)
    if not choice.own:
        return gallery, query
    return np.where(gallery == occlusion.NONE, query, gallery), np.where(
        query == occlusion.NONE, gallery, query
    )


def compare(
    query: Side, gallery: Side, choice: Choice, distance: Distance = COSINE
) -> Iterator[npt.NDArray[np.float32]]:
    """Scores [b, G] of queries against the whole gallery, in blocks of queries, in order.

    Both sides must have been required what ``choice`` needs; :func:`require` and :func:`evaluate` do that.

    Raises:
        ValueError: ``fuse`` with another distance than the cosine.
    """
    if choice.unify == "fuse":
        if distance.name != "cosine":
            raise ValueError(f"the fused score is made of cosines; it cannot be had with {distance.name}")
        yield from _fused(query, gallery)
        return
    parts = [(int(code), np.flatnonzero(gallery.codes == code)) for code in np.unique(gallery.codes)]
    for start in range(0, len(query.codes), _BLOCK):
        rows = np.arange(start, min(start + _BLOCK, len(query.codes)))
        scores = np.empty((len(rows), len(gallery.codes)), dtype=np.float32)
        for asked in np.unique(query.codes[rows]):
            local = np.flatnonzero(query.codes[rows] == asked)
            for part, members in parts:
                hide_query, hide_gallery = hidden_codes(asked, part, choice)
                left = query.features(rows[local], int(hide_query))
                right = gallery.features(members, int(hide_gallery))
                scores[np.ix_(local, members)] = (
                    left @ right.T  # of unit length already
                    if distance.name == "cosine"
                    else distance.between(distance.prepare(left), distance.prepare(right))
                )
        yield scores


def _fused(query: Side, gallery: Side) -> Iterator[npt.NDArray[np.float32]]:
    answers = gallery.under_every_code()
    mean = fusion.Cohort.of(answers).mean()
    weights = fusion.code_weights(query.grades, len(query.codes))
    step = max(1, min(_BLOCK, _FUSED_COSINES // (occlusion.COUNT * max(len(answers), 1))))
    for start in range(0, len(query.codes), step):
        block = slice(start, start + step)
        yield fusion.fused_scores(query.under_every_code(block), answers, mean, weights[block])


def read_sides(
    protocol: Protocol, height: int, width: int, advance: Advance | None = None
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Pixels of a protocol's queries and gallery, uint8 [n, height, width, 3] each."""
    return (
        read_pixels(protocol.query, height, width, advance),
        read_pixels(protocol.gallery, height, width, advance),
    )


def require(query: Side, gallery: Side, choice: Choice, advance: Advance | None = None) -> None:
    """Compute the features of both sides that ``choice`` still lacks."""
    if choice.unify == "fuse":
        for side in (query, gallery):
            side.require(np.ones((len(side.codes), occlusion.COUNT), dtype=np.bool_), advance)
        return
    wanted_query = np.zeros((len(query.codes), occlusion.COUNT), dtype=np.bool_)
    wanted_gallery = np.zeros((len(gallery.codes), occlusion.COUNT), dtype=np.bool_)
    hide_query, _ = hidden_codes(query.codes[:, None], np.unique(gallery.codes)[None, :], choice)
    _, hide_gallery = hidden_codes(np.unique(query.codes)[None, :], gallery.codes[:, None], choice)
    np.put_along_axis(wanted_query, hide_query, True, axis=1)
    np.put_along_axis(wanted_gallery, hide_gallery, True, axis=1)
    query.require(wanted_query, advance)
    gallery.require(wanted_gallery, advance)


def evaluate(
    query: Side, gallery: Side, protocol: Protocol, choice: Choice, advance: Advance | None = None
) -> Ranking:
    """Rank the gallery for every query, computing the features that ``choice`` still lacks."""
    require(query, gallery, choice, advance)
    return rank(
        compare(query, gallery, choice),
        [picture.person for picture in protocol.query],
        [picture.camera for picture in protocol.query],
        [picture.person for picture in protocol.gallery],
        [picture.camera for picture in protocol.gallery],
        camera_rule=protocol.camera_rule,
    )
