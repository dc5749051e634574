"""What unification leaves open, each choice as a way from features to scores. No torch.

Features of both sides under all nine codes, F(x, u), decide between (design: "Unification"):

=================  ===================================================================================
off, auto, own     whole pictures; each hidden where the other is; its own graded rectangle hidden too
drawn              both hidden where the query was really covered: what a perfect grader would reach
normalisation      of s_u(q, i) = F(q, u) · F(i, u): none; ``query``, the z-norm against a cohort as
                   the query sees it; ``symmetric``, the mean of that and of the z-norm as the gallery
                   picture sees it; ``centred``, cosines about the cohort's mean (``models/fusion.py``)
fusion             over u: maximum, mean, soft maximum of a temperature
weights            even; without a grader by what is visible; by the grader, of a sharpness
cohort             the gallery, or training people's pictures
bound              with hindsight: for each query the code whose average precision is best
=================  ===================================================================================
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from models import fusion, occlusion

__all__ = ["FUSIONS", "Fusion", "NinefoldSide", "code_scores", "fusion_scores"]

Scores = npt.NDArray[np.float32]

Normalisation = Literal["none", "query", "symmetric", "centred"]
CohortName = Literal["gallery", "train"]


@dataclass(frozen=True, slots=True)
class NinefoldSide:
    """Pictures of one side under all codes.

    Attributes:
        features: float32 [n, 9, D], unit length.
        grades: float32 [n, 4] of the whole pictures, or None.
        people, cameras: int64 [n].
    """

    features: Scores
    grades: Scores | None
    people: npt.NDArray[np.int64]
    cameras: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Fusion:
    """One way to fuse.

    Attributes:
        normalisation: of each code's scores.
        temperature: of the soft maximum; 0 for the maximum, infinity for the mean.
        weights: ``even``; ``visible`` (``models.fusion.UNGRADED``); a number: the grader's sharpness.
        cohort: whose pictures the scores are held against.
        size: how many of them, evenly spaced; 0: all.
    """

    normalisation: Normalisation
    temperature: float
    weights: Literal["even", "visible"] | float = "even"
    cohort: CohortName = "gallery"
    size: int = 0

    @property
    def label(self) -> str:
        """E.g. ``"centred, soft maximum 0.2, grader 2, gallery"``."""
        how = {0.0: "maximum", np.inf: "mean"}.get(self.temperature, f"soft maximum {self.temperature:g}")
        weights = f"grader {self.weights:g}" if isinstance(self.weights, float) else self.weights
        parts = [self.normalisation, how, weights]
        if self.normalisation != "none":
            parts.append(self.cohort if not self.size else f"{self.size} of {self.cohort}")
        return ", ".join(parts)

    @property
    def is_served(self) -> bool:
        """Whether this is the fused score of ``models/fusion.py``, for a model with a grader or without."""
        return self in (
            Fusion("centred", fusion.TEMPERATURE, fusion.SHARPNESS),
            Fusion("centred", fusion.TEMPERATURE, "visible"),
        )


def _fusions() -> Iterator[Fusion]:
    """From plain to chosen, one choice after the other."""
    for temperature in (0.0, np.inf, 0.1):
        yield Fusion("none", temperature)
    for normalisation in ("query", "symmetric"):
        for temperature in (0.0, np.inf, 0.5, 1.0, 2.0):
            yield Fusion(normalisation, temperature)
    for temperature in (0.0, np.inf, 0.1, 0.15, 0.2, 0.3):
        yield Fusion("centred", temperature)
    cohorts: tuple[tuple[CohortName, int], ...] = (("gallery", 100), ("train", 0), ("train", 100))
    for cohort, size in cohorts:
        yield Fusion("symmetric", 1.0, cohort=cohort, size=size)
        yield Fusion("centred", fusion.TEMPERATURE, cohort=cohort, size=size)
    for weights in ("visible", 1.0, 2.0, 3.0, 5.0):
        yield Fusion("symmetric", 1.0, weights)
        yield Fusion("centred", fusion.TEMPERATURE, weights)
    yield Fusion("centred", fusion.TEMPERATURE, fusion.SHARPNESS, "train")


FUSIONS: Final[tuple[Fusion, ...]] = tuple(_fusions())
"""What is compared."""


def code_scores(query: Scores, gallery: Scores) -> Scores:
    """s_u(q, i) from features [Q, 9, D] and [G, 9, D]: float32 [9, Q, G]."""
    return np.matmul(query.transpose(1, 0, 2), gallery.transpose(1, 2, 0))


def fusion_scores(
    query: NinefoldSide, gallery: NinefoldSide, cohort: Scores, choice: Fusion, plain: Scores | None = None
) -> Scores:
    """Scores [Q, G] of one way to fuse.

    Args:
        cohort: features [K, 9, D] of the strangers.
        plain: :func:`code_scores` of the two, where they are at hand.

    Raises:
        ValueError: weights of the grader, and the model has none.
    """
    plain = code_scores(query.features, gallery.features) if plain is None else plain
    normalised = _normalised(query.features, gallery.features, cohort, choice.normalisation, plain)
    weights = _weights(query, choice.weights)
    if choice.temperature == 0:
        return normalised.max(axis=0)
    if np.isinf(choice.temperature):
        return np.einsum("qu,uqg->qg", weights.astype(np.float32), normalised)
    return fusion.fuse(normalised, weights, choice.temperature)


def _normalised(query: Scores, gallery: Scores, cohort: Scores, how: Normalisation, plain: Scores) -> Scores:
    if how == "none":
        return plain
    if how == "centred":
        mean = fusion.Cohort.of(cohort).mean()
        return fusion.centred_cosines(
            plain,
            np.einsum("qud,ud->uq", query, mean),
            np.einsum("gud,ud->ug", gallery, mean),
            np.einsum("ud,ud->u", mean, mean),
        )
    seen = code_scores(query, cohort)
    by_query = (plain - seen.mean(axis=2, keepdims=True)) / _spread(seen)
    if how == "query":
        return by_query
    seen = code_scores(gallery, cohort)
    by_gallery = (plain - seen.mean(axis=2)[:, None]) / _spread(seen)[:, None, :, 0]
    return np.asarray((by_query + by_gallery) / 2, dtype=np.float32)


def _spread(scores: Scores) -> Scores:
    return np.maximum(scores.std(axis=2, keepdims=True), 1e-6)


def _weights(query: NinefoldSide, weights: Literal["even", "visible"] | float) -> npt.NDArray[np.float64]:
    count = len(query.features)
    if weights == "even":
        return np.full((count, occlusion.COUNT), 1 / occlusion.COUNT)
    if weights == "visible":
        return fusion.code_weights(None, count)
    if query.grades is None:
        raise ValueError("the model has no grader to weigh the codes by")
    return fusion.code_weights(query.grades, count, float(weights))
