"""What one model, or one folder of features, reaches on a protocol. No torch for bundles and folders.

>>> embedder = open_model(Path("oamn.onnx"))
>>> for result in measure(embedder, protocol, [Choice("off"), Choice("auto")]):
...     print(result.unify, result.summary.rank1, result.summary.map)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from models import occlusion
from training.data.records import Picture, Protocol
from training.evaluation import distances
from training.evaluation.bootstrap import Interval
from training.evaluation.distances import Distance
from training.evaluation.feature_folder import FeatureFolder
from training.evaluation.feature_scores import Steps, feature_scores
from training.evaluation.features import Advance, BundleEmbedder, Embedder, embed, read_pixels
from training.evaluation.measures import Measured, measure_scores
from training.evaluation.multi_query import Labelled
from training.evaluation.rank_detail import RankDetail
from training.evaluation.ranking import Summary, summarise
from training.evaluation.stored_embedder import StoredEmbedder
from training.evaluation.unified import Choice, Side, compare, read_sides, require

__all__ = [
    "Options",
    "Result",
    "Types",
    "figures",
    "labels",
    "measure",
    "measure_folder",
    "open_model",
    "percent",
]


@dataclass(frozen=True, slots=True)
class Options:
    """How features are compared and what is measured.

    Attributes:
        distance: by name; the learned ones are fitted on the protocol's training half.
        steps: multi-query, query expansion, re-ranking; only without unification, which has no one feature
            for a picture.
        trials: single-shot trials (CUHK03's classic protocol has 100); 0 for none.
        detail: keep of each query what a report shows.
    """

    distance: distances.Name = "cosine"
    steps: Steps = field(default_factory=Steps)
    trials: int = 0
    detail: bool = False


@dataclass(frozen=True, slots=True)
class Types:
    """What hides the queries, as occlusion codes, int64 [Q].

    Attributes:
        graded: as the model grades them; None where it has no grader.
        drawn: what the protocol drew over them; None where it draws nothing.
    """

    graded: npt.NDArray[np.int64] | None
    drawn: npt.NDArray[np.int64] | None

    def accuracy(self, code: int | None = None) -> float | None:
        """The grader's share of right answers, 0 to 1: of all queries, or of those graded as ``code``.

        None where the truth is not known, nothing is graded, or no query is graded as ``code``.
        """
        if self.graded is None or self.drawn is None:
            return None
        asked = np.ones(len(self.graded), bool) if code is None else self.graded == code
        right = (self.graded == self.drawn)[asked]
        return float(right.mean()) if len(right) else None


@dataclass(frozen=True, slots=True)
class Result:
    """One line of the table.

    Attributes:
        model: the file's name; of a checkpoint with the run's folder before it.
        fingerprint: of a bundle; None for a checkpoint.
        dataset: the protocol.
        unify: ``"off"``, ``"auto"``, ``"auto+own"`` or ``"fuse"``.
        summary: over all queries.
        by_type: over the queries graded as each type, by the type's name; empty for multi-query, which
            pools pictures of several types.
        measured: each query's rank, and the measures that are not means over queries.
        options: under which it was measured.
        types: what hides the queries; None for multi-query.
        detail: what a report shows of each query; None where not asked for.
        intervals: 95 %, by the figure's name; None where not asked for.
    """

    model: str
    fingerprint: str | None
    dataset: str
    unify: str
    summary: Summary
    by_type: dict[str, Summary]
    measured: Measured
    options: Options
    types: Types | None = None
    detail: RankDetail | None = None
    intervals: dict[str, Interval] | None = None

    def as_json(self) -> dict[str, object]:
        """The line as it stands in ``--json``; figures in percent, to three decimals."""
        measured, summary = self.measured, self.summary
        line: dict[str, object] = {
            "model": self.model,
            "fingerprint": self.fingerprint,
            "dataset": self.dataset,
            "unify": self.unify,
            **figures(summary),
            "rank20": round(summary.rank20, 3),
            "minp": round(summary.minp, 3),
            "tpr_at_fpr": {f"{rate:g}": percent(v) for rate, v in measured.true_positive_rates.items()},
            "dir_at_far": {f"{rate:g}": percent(v) for rate, v in measured.detection_rates.items()},
            "distance": self.options.distance,
            "steps": self.options.steps.label,
        }
        if measured.single_shot is not None:
            curve = measured.single_shot
            line["single_shot"] = {"trials": self.options.trials} | {
                f"rank{k}": round(float(curve[k - 1]), 3) for k in (1, 5, 10, 20)
            }
        if self.intervals is not None:
            line["intervals"] = {
                name: [round(ends.low, 3), round(ends.high, 3)] for name, ends in self.intervals.items()
            }
        return line


def percent(share: float | None) -> float | None:
    """A share, 0 to 1, in percent to three decimals; None stays None."""
    return None if share is None else round(100 * share, 3)


def figures(summary: Summary) -> dict[str, object]:
    """A line's main figures for JSON: percent, to three decimals."""
    return {
        "rank1": round(summary.rank1, 3),
        "rank5": round(summary.rank5, 3),
        "rank10": round(summary.rank10, 3),
        "map": round(summary.map, 3),
        "queries": summary.queries,
        "gallery": summary.gallery,
    }


def open_model(path: Path, device: str = "auto") -> Embedder:
    """A bundle (``.onnx``) in ONNX Runtime on the CPU, or a checkpoint (``.pt``) in PyTorch on ``device``.

    Raises:
        ValueError: the file's name ends in neither, or the file is not what its name says.
        FileNotFoundError: there is no such file.
        ModuleNotFoundError: a checkpoint is given and torch is not installed.
    """
    if path.suffix == ".onnx":
        return BundleEmbedder.open(path)
    if path.suffix == ".pt":
        from training.evaluation.checkpoint_features import CheckpointEmbedder

        return CheckpointEmbedder.open(path, device)
    raise ValueError(f"{path} is neither a bundle (.onnx) nor a checkpoint (.pt)")


def measure(
    embedder: Embedder,
    protocol: Protocol,
    choices: Sequence[Choice],
    advance: Advance | None = None,
    options: Options | None = None,
) -> Iterator[Result]:
    """Figures of one model on one protocol under each choice; features are shared between choices.

    Raises:
        ValueError: unification is asked for and the model has no grader, or multi-query, expansion or
            re-ranking with it; a learned distance and the protocol has no training half.
    """
    options = options or Options()
    if not embedder.has_grader and any(choice.unify == "auto" for choice in choices):
        raise ValueError(f"{embedder.name} has no grader, so that only --unify off or fuse can be measured")
    _refuse_steps_with_unification(choices, options)
    distance = _fit(embedder, protocol, options.distance, advance)
    query_pixels, gallery_pixels = read_sides(protocol, embedder.height, embedder.width)
    query, gallery = Side(embedder, query_pixels, advance), Side(embedder, gallery_pixels, advance)
    asked, answers = labels(protocol.query), labels(protocol.gallery)
    types = _types(protocol, query.codes if embedder.has_grader else None)
    for choice in choices:
        if options.steps:
            whole = slice(len(query.codes)), slice(len(gallery.codes))
            pooled, blocks = feature_scores(
                Labelled(query.features(whole[0], occlusion.NONE), *asked),
                Labelled(gallery.features(whole[1], occlusion.NONE), *answers),
                options.steps,
                distance,
                camera_rule=protocol.camera_rule,
            )
            who = pooled.people, pooled.cameras
        else:
            require(query, gallery, choice, advance)
            who, blocks = asked, compare(query, gallery, choice, distance)
        yield _result(
            (embedder.name, embedder.fingerprint, protocol.name, choice),
            blocks,
            (*who, *answers),
            types,
            options,
            camera_rule=protocol.camera_rule,
        )


def measure_folder(
    folder: FeatureFolder,
    choices: Sequence[Choice],
    advance: Advance | None = None,
    options: Options | None = None,
    protocol: Protocol | None = None,
) -> Iterator[Result]:
    """Figures of a folder of features; with unification off they stay memory-mapped.

    Args:
        protocol: whose pictures they are of; None to take the folder's word.

    Raises:
        ValueError: the folder's people and cameras are not the protocol's, unification is asked for and the
            folder lacks what it needs, or a learned distance and there is no training half.
    """
    options = options or Options()
    about, query, gallery = folder.about, folder.query, folder.gallery
    if protocol is not None:
        _check_same_pictures(folder, protocol)
    if not folder.can_unify and any(choice.unify == "auto" for choice in choices):
        raise ValueError(
            f"{about.name} cannot be unified: that needs features [n, 9, D] and grades on both sides"
        )
    if not folder.every_code and any(choice.unify == "fuse" for choice in choices):
        raise ValueError(f"{about.name} cannot be fused: that needs features [n, 9, D] on both sides")
    _refuse_steps_with_unification(choices, options)
    distance = Distance(options.distance) if options.distance in ("cosine", "euclidean") else None
    if distance is None:
        if folder.train is None:
            raise ValueError(f"{options.distance} is fitted on the training half, and {about.name} has none")
        train = folder.train.whole
        distance = distances.fit(options.distance, train.features, train.people, train.cameras)
    camera_rule = about.camera_rule if protocol is None else protocol.camera_rule
    dataset = (about.dataset or about.name) if protocol is None else protocol.name
    thresholds = about.quarter_threshold, about.half_threshold
    graded = None if query.grades is None else occlusion.grade(query.grades, *thresholds)
    types = _types(protocol, graded)
    for choice in choices:
        if choice.unify == "off":
            asked, blocks = feature_scores(
                query.whole, gallery.whole, options.steps, distance, camera_rule=camera_rule
            )
            people, cameras = asked.people, asked.cameras
        else:
            embedders = StoredEmbedder(about, query), StoredEmbedder(about, gallery)
            left, right = (Side(stored, stored.rows, advance) for stored in embedders)  # type: ignore[arg-type]
            require(left, right, choice, advance)
            blocks = compare(left, right, choice, distance)
            people, cameras = query.people, query.cameras
        yield _result(
            (about.name, about.fingerprint, dataset, choice),
            blocks,
            (people, cameras, gallery.people, gallery.cameras),
            types,
            options,
            camera_rule=camera_rule,
        )


def _refuse_steps_with_unification(choices: Sequence[Choice], options: Options) -> None:
    if options.steps and any(choice.unify != "off" for choice in choices):
        raise ValueError("multi-query, expansion and re-ranking can be measured with --unify off only")


def _check_same_pictures(folder: FeatureFolder, protocol: Protocol) -> None:
    """Hold a folder's labels against a protocol's, row by row."""
    sides = (("query", folder.query, protocol.query), ("gallery", folder.gallery, protocol.gallery))
    for name, side, pictures in sides:
        people, cameras = labels(pictures)
        same = len(people) == len(side.people) and (people == side.people).all()
        if not same or (cameras != side.cameras).any():
            raise ValueError(
                f"{folder.path}/{name}: its {len(side.people)} people and cameras are not those of "
                f"{protocol.name}'s {len(pictures)} pictures, in order; see "
                f"`penumbra-train datasets manifest {protocol.name} --json`"
            )


def _fit(embedder: Embedder, protocol: Protocol, name: distances.Name, advance: Advance | None) -> Distance:
    """The distance of that name; a learned one from the training half's whole pictures."""
    if name in ("cosine", "euclidean"):
        return Distance(name)
    pixels = read_pixels(protocol.train, embedder.height, embedder.width)
    codes = np.full(len(pixels), occlusion.NONE, dtype=np.int64)
    embeddings = embed(embedder, pixels, np.arange(len(pixels)), codes, advance).embeddings
    return distances.fit(name, embeddings, *labels(protocol.train))


def labels(pictures: Sequence[Picture]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """People and cameras, int64 [n] each."""
    return (
        np.array([picture.person for picture in pictures], dtype=np.int64),
        np.array([picture.camera for picture in pictures], dtype=np.int64),
    )


def _types(protocol: Protocol | None, graded: npt.NDArray[np.int64] | None) -> Types:
    drawn = [picture.occluder for picture in protocol.query] if protocol is not None else []
    if any(drawn):
        codes = [occlusion.NONE if occluder is None else occluder.code for occluder in drawn]
        return Types(graded, np.array(codes, dtype=np.int64))
    return Types(graded, None)


def _result(
    name: tuple[str, str | None, str, Choice],
    blocks: Iterable[npt.NDArray[np.floating]],
    who: tuple[npt.NDArray[np.int64], ...],
    types: Types,
    options: Options,
    *,
    camera_rule: bool,
) -> Result:
    """Measure scores as they come; ``who``: people and cameras of queries and gallery."""
    model, fingerprint, dataset, choice = name
    detail = RankDetail(*who, camera_rule=camera_rule) if options.detail else None
    watched = blocks if detail is None else detail.watch(blocks)
    measured = measure_scores(watched, *who, camera_rule=camera_rule, trials=options.trials)
    graded = None if options.steps.multi_query else types.graded
    # A model without a grader grades everything as whole.
    codes = np.zeros(len(who[0]), np.int64) if graded is None else graded
    by_type = {
        occlusion.NAMES[code]: summarise(measured.ranking.of(codes == code)) for code in np.unique(codes)
    }
    return Result(
        model,
        fingerprint,
        dataset,
        choice.label,
        summarise(measured.ranking),
        {} if options.steps.multi_query else by_type,
        measured,
        options,
        types=None if options.steps.multi_query else types,
        detail=detail,
    )
