"""Rank-list sheets: which queries to show, and what stands on each line. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from models import occlusion
from training.data.records import Picture, Protocol
from training.evaluation.occluders import read_picture
from training.evaluation.rank_detail import RankDetail
from training.evaluation.report.album import Album
from training.evaluation.results import Result, labels

__all__ = ["LINES", "Cell", "Line", "Sheet", "asked", "best", "changed", "changed_sheet", "sheet", "worst"]

LINES = 6
"""Queries on a sheet."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One picture of a line.

    Attributes:
        source: address relative to the page.
        kind: decides the frame.
        mark: rank, or what the query is hidden by.
        caption: score and camera.
    """

    source: str
    kind: Literal["query", "right", "wrong"]
    mark: str
    caption: str


@dataclass(frozen=True, slots=True)
class Line:
    """A query, its first answers, and its best match where that is not among them.

    Attributes:
        title: whose answers, where several models answer; else empty.
        note: average precision and the first match's rank.
    """

    title: str
    query: Cell
    answers: list[Cell]
    beyond: Cell | None
    note: str


@dataclass(frozen=True, slots=True)
class Sheet:
    """A title and its lines."""

    title: str
    lines: list[Line]


def best(result: Result, number: int = LINES) -> npt.NDArray[np.int64]:
    """Queries of the highest average precision; among equal ones, whose match leads by most."""
    precision, detail = _precision(result)
    order = np.lexsort((np.arange(len(precision)), -detail.lead(), -precision))
    return order[detail.best_match[order] >= 0][:number].astype(np.int64)


def worst(result: Result, number: int = LINES) -> npt.NDArray[np.int64]:
    """Queries of the lowest average precision below 1, the lowest first."""
    precision, detail = _precision(result)
    order = np.argsort(precision, kind="stable")
    return order[(detail.best_match[order] >= 0) & (precision[order] < 1)][:number].astype(np.int64)


def changed(one: Result, other: Result, number: int = LINES) -> npt.NDArray[np.int64]:
    """Queries whose average precision ``one`` raises most over ``other``'s, the most first."""
    gain = _precision(one)[0] - _precision(other)[0]
    order = np.argsort(-gain, kind="stable")
    return order[gain[order] > 0][:number].astype(np.int64)


def sheet(title: str, result: Result, queries: Sequence[int], protocol: Protocol, album: Album) -> Sheet:
    """The answers of one result to some queries."""
    return Sheet(title, [_line("", result, query, protocol, album) for query in queries])


def changed_sheet(
    title: str, one: Result, other: Result, queries: Sequence[int], protocol: Protocol, album: Album
) -> Sheet:
    """The answers of two results to the same queries, one below the other."""
    return Sheet(
        title,
        [
            _line(f"{result.model}, {result.unify}", result, query, protocol, album)
            for query in queries
            for result in (other, one)
        ],
    )


def _precision(result: Result) -> tuple[npt.NDArray[np.float64], RankDetail]:
    if result.detail is None:
        raise ValueError(f"{result.model} was measured without detail, so that no sheet can be drawn")
    return result.measured.ranking.average_precision, result.detail


def asked(result: Result, protocol: Protocol) -> list[Picture]:
    """The picture of each query; of pooled ones (multi-query) the first."""
    if not result.options.steps.multi_query:
        return list(protocol.query)
    keys = np.stack(labels(protocol.query), axis=1)
    first = np.sort(np.unique(keys, axis=0, return_index=True)[1])
    return [protocol.query[place] for place in first]


def _line(title: str, result: Result, query: int, protocol: Protocol, album: Album) -> Line:
    precision, detail = _precision(result)
    picture = asked(result, protocol)[query]
    answers = [
        _cell(protocol.gallery[place], album, "right" if right else "wrong", str(rank), score)
        for rank, (place, right, score) in enumerate(
            zip(detail.nearest[query], detail.right[query], detail.scores[query], strict=True), start=1
        )
        if place >= 0
    ]
    rank = int(result.measured.ranking.first_match[query])
    match = int(detail.best_match[query])
    beyond = None
    if match >= 0 and rank > len(answers):
        score = float(detail.best_match_score[query])
        beyond = _cell(protocol.gallery[match], album, "right", str(rank), score)
    hidden = _hidden(result, query)
    query_cell = Cell(album.add(read_picture(picture)), "query", "query", f"{hidden}camera {picture.camera}")
    note = f"average precision {100 * precision[query]:.0f} %, first match at rank {rank}"
    return Line(title, query_cell, answers, beyond, note)


def _cell(picture: Picture, album: Album, kind: Literal["right", "wrong"], mark: str, score: float) -> Cell:
    return Cell(album.add(read_picture(picture)), kind, mark, f"{score:.2f}, cam {picture.camera}")


def _hidden(result: Result, query: int) -> str:
    """What hides the query: as drawn where the protocol draws, else as graded."""
    types = result.types
    codes = None if types is None else types.graded if types.drawn is None else types.drawn
    if codes is None:
        return ""
    return occlusion.NAMES[int(codes[query])].replace("_", " ") + ", "
