"""`penumbra-train unification`: the choices that unification leaves open, compared on equal features."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from models import occlusion
from training.data.records import Picture, Protocol, people
from training.evaluation import protocols
from training.evaluation.bootstrap import compare_rankings
from training.evaluation.command import progress_bar
from training.evaluation.features import Advance, BundleEmbedder, Embedder, embed, read_pixels
from training.evaluation.ranking import Ranking, rank, summarise
from training.evaluation.results import labels, open_model
from training.evaluation.unification_choices import (
    FUSIONS,
    Fusion,
    NinefoldSide,
    Scores,
    code_scores,
    fusion_scores,
)
from training.evaluation.unified import Choice, hidden_codes

__all__ = ["Line", "command", "compare_choices"]

_CANDIDATES = (100, 40, 10)
"""One picture of so many is scored; the service scores one of 100, and 300 at least."""


@dataclass(frozen=True, slots=True)
class Line:
    """One choice on one data set.

    Attributes:
        dataset, choice: which.
        rank1, map: percent.
        share: of the distance in mAP between ``off`` and the bound, 0 to 1; None without distance.
        p: of the paired permutation test against ``off``.
    """

    dataset: str
    choice: str
    rank1: float
    map: float
    share: float | None
    p: float | None


def compare_choices(
    dataset: str,
    query: NinefoldSide,
    gallery: NinefoldSide,
    train: Scores | None,
    *,
    camera_rule: bool,
    thresholds: tuple[float, float],
    drawn: npt.NDArray[np.int64] | None = None,
    advance: Advance | None = None,
) -> list[Line]:
    """Every choice from the same features.

    Args:
        train: features [K, 9, D] of training people, or None where there are none.
        thresholds: the grader's, of a quarter and of a half (OAMN eq. 8).
        drawn: int64 [Q], the codes that the queries are really covered by, where that is known.
    """
    plain = code_scores(query.features, gallery.features)

    def ranked(scores: Scores) -> Ranking:
        if advance is not None:
            advance(1)
        return rank(
            [scores], query.people, query.cameras, gallery.people, gallery.cameras, camera_rule=camera_rule
        )

    off = ranked(plain[occlusion.NONE])
    precisions = np.stack(
        [off.average_precision, *(ranked(scores).average_precision for scores in plain[1:])]
    )
    bound = ranked(_chosen(plain, precisions.argmax(axis=0)))
    found: list[tuple[str, Ranking]] = [("off", off)]
    if query.grades is not None and gallery.grades is not None:
        codes = [occlusion.grade(side.grades, *thresholds) for side in (query, gallery)]  # type: ignore[arg-type]
        for choice in (Choice("auto"), Choice("auto", own=True)):
            found.append((choice.label, ranked(_unified(query, gallery, codes, choice))))
    if drawn is not None:
        found.append(("drawn type hidden on both sides", ranked(_chosen(plain, drawn))))
    for way in FUSIONS:
        if (way.cohort == "train" and train is None) or (
            isinstance(way.weights, float) and query.grades is None
        ):
            continue
        scores = fusion_scores(query, gallery, _cohort(way, gallery, train), way, plain)
        found.append((f"fuse: {way.label}", ranked(scores)))
        if way.is_served and (way.weights == "visible") == (query.grades is None):
            for share in _CANDIDATES:
                if (count := len(gallery.features) // share) > 0:
                    label = f"fuse: {way.label}; of the nearest 1 in {share}"
                    found.append((label, ranked(_only_candidates(plain, scores, count))))
    found.append(("bound: best code of each query with hindsight", bound))
    return list(_lines(dataset, found))


def _lines(dataset: str, found: Sequence[tuple[str, Ranking]]) -> Iterator[Line]:
    off, bound = (100 * found[place][1].average_precision.mean() for place in (0, -1))
    for label, ranking in found:
        summary = summarise(ranking)
        share = (100 * ranking.average_precision.mean() - off) / (bound - off) if bound > off else None
        p = None if label == "off" else compare_rankings(ranking, found[0][1]).p
        yield Line(dataset, label, summary.rank1, summary.map, share, p)


def _chosen(plain: Scores, codes: npt.NDArray[np.int64]) -> Scores:
    """Scores [Q, G], each query's under its own code."""
    return plain[codes, np.arange(len(codes))]


def _unified(
    query: NinefoldSide, gallery: NinefoldSide, codes: Sequence[npt.NDArray[np.int64]], choice: Choice
) -> Scores:
    scores = np.empty((len(query.features), len(gallery.features)), np.float32)
    for asked in np.unique(codes[0]):
        for part in np.unique(codes[1]):
            hide_query, hide_gallery = hidden_codes(asked, part, choice)
            rows, columns = np.flatnonzero(codes[0] == asked), np.flatnonzero(codes[1] == part)
            left = query.features[rows, int(hide_query)]
            scores[np.ix_(rows, columns)] = left @ gallery.features[columns, int(hide_gallery)].T
    return scores


def _cohort(way: Fusion, gallery: NinefoldSide, train: Scores | None) -> Scores:
    features = gallery.features if way.cohort == "gallery" or train is None else train
    if not way.size or way.size >= len(features):
        return features
    return features[np.linspace(0, len(features) - 1, way.size).round().astype(int)]


def _only_candidates(plain: Scores, scores: Scores, count: int) -> Scores:
    """The same with all others after them, in the order of ``off`` (``service/matching/fused.py``)."""
    whole = plain[occlusion.NONE]
    kept = np.zeros(scores.shape, dtype=np.bool_)
    np.put_along_axis(kept, np.argpartition(-whole, count - 1, axis=1)[:, :count], True, axis=1)
    return np.where(kept, scores, whole - np.float32(3))


def command(
    model: Path,
    datasets: Sequence[str],
    root: Path,
    *,
    hidings: bool,
    cache: Path | None,
    device: str,
    as_json: bool,
    acknowledge_withdrawn: bool = False,
) -> None:
    """Measure every choice on every data set and print tables, or JSON on standard output.

    Args:
        hidings: compare also where and how a rectangle is hidden; nine embeddings more a picture and way.
        cache: folder to keep features in between runs; None to keep none.

    Raises:
        ValueError, OSError: the model or a data set cannot be read.
    """
    embedder = open_model(model, device)
    ways: list[tuple[str, Callable[[], Embedder]]] = [("", lambda: embedder)]
    if hidings:
        ways += _other_hidings(model, embedder)
    lines: list[Line] = []
    for dataset in datasets:
        protocol = protocols.load(dataset, root, acknowledge_withdrawn=acknowledge_withdrawn)
        with progress_bar(f"{embedder.name} on {dataset}", quiet=as_json) as advance:
            for name, made in ways:
                lines += [
                    line if not name else replace(line, choice=f"{name}: {line.choice}")
                    for line in _measure(made(), protocol, cache, advance)
                    if not name or line.choice in _UNDER_OTHER_HIDINGS
                ]
    if as_json:
        print(json.dumps([_as_json(line) for line in lines], indent=1))
        return
    for dataset in datasets:
        Console().print(_table([line for line in lines if line.dataset == dataset], embedder.name, dataset))


_UNDER_OTHER_HIDINGS = frozenset(
    {"auto", "auto+own", "drawn type hidden on both sides"}
    | {f"fuse: {way.label}" for way in FUSIONS if way.is_served}
    | {"bound: best code of each query with hindsight"}
)


def _other_hidings(model: Path, embedder: Embedder) -> list[tuple[str, Callable[[], Embedder]]]:
    if not isinstance(embedder, BundleEmbedder):
        raise ValueError("other hidings can be compared on a bundle only: export the checkpoint")
    from training.evaluation.hiding import HIDINGS, hidden_otherwise

    return [(hiding, lambda hiding=hiding: hidden_otherwise(model, hiding)) for hiding in HIDINGS[1:]]  # type: ignore[misc]


def _measure(
    embedder: Embedder, protocol: Protocol, cache: Path | None, advance: Advance | None
) -> list[Line]:
    query, gallery = (
        _side(embedder, pictures, cache, advance) for pictures in (protocol.query, protocol.gallery)
    )
    strangers = _one_a_person(protocol.train)
    train = _side(embedder, strangers, cache, advance).features if strangers else None
    covered = [picture.occluder for picture in protocol.query]
    drawn = (
        np.array([occlusion.NONE if occluder is None else occluder.code for occluder in covered])
        if any(covered)
        else None
    )
    return compare_choices(
        protocol.name,
        query,
        gallery,
        train,
        camera_rule=protocol.camera_rule,
        thresholds=embedder.thresholds,
        drawn=drawn,
    )


def _one_a_person(pictures: Sequence[Picture]) -> tuple[Picture, ...]:
    """A cohort of strangers: of each training person the picture in the middle of theirs."""
    own: dict[int, list[Picture]] = {}
    for picture in pictures:
        own.setdefault(picture.person, []).append(picture)
    return tuple(own[person][len(own[person]) // 2] for person in people(tuple(pictures)))


def _side(
    embedder: Embedder, pictures: Sequence[Picture], cache: Path | None, advance: Advance | None
) -> NinefoldSide:
    """Pictures under all nine codes, from the cache where they are there."""
    place = None
    if cache is not None:
        named = repr((embedder.name, embedder.fingerprint, [(p.path, p.occluder) for p in pictures]))
        place = cache / f"{hashlib.sha256(named.encode()).hexdigest()[:32]}.npz"
        cache.mkdir(parents=True, exist_ok=True)
    if place is not None and place.exists():
        with np.load(place) as kept:
            features, grades = kept["features"], kept["grades"]
    else:
        pixels = read_pixels(pictures, embedder.height, embedder.width)
        count = len(pictures)
        source, codes = (
            np.repeat(np.arange(count), occlusion.COUNT),
            np.tile(np.arange(occlusion.COUNT), count),
        )
        answer = embed(embedder, pixels, source, codes, advance)
        features = answer.embeddings.reshape(count, occlusion.COUNT, -1)
        grades = np.empty((0, len(occlusion.PLACES)), np.float32)
        if answer.grades is not None:
            # the grade is of the whole picture, wherever else it is hidden
            grades = answer.grades.reshape(count, occlusion.COUNT, -1)[:, occlusion.NONE]
        if place is not None:
            np.savez(place, features=features, grades=grades)
    return NinefoldSide(features, grades if embedder.has_grader else None, *labels(pictures))


def _as_json(line: Line) -> dict[str, object]:
    def rounded(value: float | None, digits: int) -> float | None:
        return None if value is None else round(value, digits)

    return {
        "dataset": line.dataset,
        "choice": line.choice,
        "rank1": rounded(line.rank1, 3),
        "map": rounded(line.map, 3),
        "share": rounded(line.share, 4),
        "p": rounded(line.p, 6),
    }


def _table(lines: Sequence[Line], model: str, dataset: str) -> Table:
    table = Table(title=f"{model} on {dataset}")
    table.add_column("choice", overflow="fold")
    for name in ("rank-1", "mAP", "of the way to the bound", "p against off"):
        table.add_column(name, justify="right")
    for line in lines:
        table.add_row(
            line.choice,
            f"{line.rank1:.1f}",
            f"{line.map:.1f}",
            "–" if line.share is None else f"{100 * line.share:.0f} %",
            "–" if line.p is None else f"{line.p:.4f}",
        )
    return table
