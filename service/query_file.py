"""A file of queries for ``penumbra query-batch``: one JSON object a line, pictures as paths.

A line that cannot be asked gets its problem where others get their answers, as on the service's own stream.
"""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Protocol

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import from_json

from service.client import BatchAnswer, BatchQuery, Decisions, Filters, Problem
from service.moments import Moment
from service.problems import TYPE_PREFIX, BadRequest

__all__ = [
    "ComingFile",
    "LineAnswer",
    "LineAsked",
    "QueryLine",
    "answers_in_order",
    "lines_as_they_come",
    "read_queries",
]


PIECE_BYTES: Final = 64 * 1024
"""How much of a file is taken at a time; a pipe gives what is in it."""


class ComingFile(Protocol):
    """What gives bytes as soon as there are any, as binary files do."""

    def read1(self, size: int, /) -> bytes:
        """At most so many bytes; none at the end."""
        ...


class QueryLine(BaseModel):
    """What the service is to judge itself, such as the names of occlusion types, is let through."""

    model_config = ConfigDict(extra="forbid", strict=True)

    pictures: Annotated[list[Path], Field(min_length=1)]
    id: str | None = None
    top_k: int = 10
    by: str = "person"
    unify: str = "auto"
    boxes: list[tuple[float, float, float, float] | None] | None = None  # 120.0 is a whole number in JSON
    rerank: bool = False
    overlays: bool = False
    evidence: int = 1
    cameras: list[str] = []
    people: list[str] = []
    exclude_cameras: list[str] = []
    exclude_people: list[str] = []
    time_from: Moment | None = None
    time_to: Moment | None = None
    metadata: dict[str, Any] = {}
    match_rate: float | None = None
    uncertain_rate: float | None = None
    prior: float | None = None


@dataclass(frozen=True, slots=True)
class LineAsked:
    """What a line asks: its ``query``, or else the ``problem`` with it. ``line`` counts from 1."""

    line: int
    id: str | None = None
    query: BatchQuery | None = None
    problem: Problem | None = None


class LineAnswer(BatchAnswer):
    """A query's answer or problem, and which line asked it."""

    line: int


def lines_as_they_come(file: ComingFile) -> Iterator[list[bytes]]:
    """The lines of a file or pipe, each with all that came with it: none waits for later ones."""
    begun: list[bytes] = []  # of one line
    while piece := file.read1(PIECE_BYTES):
        before, *after = piece.split(b"\n")
        begun.append(before)
        if after:
            yield [b"".join(begun), *after[:-1]]
            begun = after[-1:]
    if any(begun):
        yield [b"".join(begun)]


def read_queries(lines: Iterable[bytes], folder: Path, first: int = 1) -> Iterator[LineAsked]:
    """What the lines ask, one after the other as they are taken; blank ones ask nothing.

    Args:
        lines: of a file, with their ends or without.
        folder: where relative paths of pictures start from.
        first: the number of the first line.
    """
    for number, line in enumerate(lines, first):
        if line.strip():
            yield _read(number, line, folder)


def answers_in_order(
    asked: Iterable[LineAsked], ask: Callable[[Iterator[BatchQuery]], Iterable[BatchAnswer]]
) -> Iterator[LineAnswer]:
    """Answers and problems in the order of the lines, of which no more are taken than ``ask`` takes queries.

    Args:
        asked: what the lines ask.
        ask: answers queries in order.
    """
    unanswered: deque[LineAsked] = deque()

    def queries() -> Iterator[BatchQuery]:
        for one in asked:
            unanswered.append(one)
            if one.query is not None:
                yield one.query

    def problems() -> Iterator[LineAnswer]:
        while unanswered and unanswered[0].query is None:
            one = unanswered.popleft()
            yield LineAnswer(line=one.line, id=one.id, problem=one.problem)

    for answer in ask(queries()):
        yield from problems()
        yield LineAnswer(line=unanswered.popleft().line, **dict(answer))
        yield from problems()
    yield from problems()


def _read(number: int, line: bytes, folder: Path) -> LineAsked:
    try:
        said = QueryLine.model_validate_json(line)
    except ValidationError as error:
        faults = "; ".join(
            ": ".join(filter(None, [".".join(map(str, fault["loc"])), fault["msg"]]))
            for fault in error.errors()
        )
        return LineAsked(number, _id_of(line), problem=_problem(number, faults))
    pictures: list[bytes] = []
    for path in (folder / picture for picture in said.pictures):
        try:
            if not path.is_file():
                return LineAsked(number, said.id, problem=_problem(number, f"there is no picture at {path}"))
            pictures.append(path.read_bytes())
        except (OSError, ValueError) as error:
            return LineAsked(number, said.id, problem=_problem(number, f"{path} cannot be read: {error}"))
    own: dict[str, Any] = said.model_dump()
    parts = ("pictures", "filters", "decisions")
    options = {one.name: own[one.name] for one in dataclasses.fields(BatchQuery) if one.name not in parts}
    query = BatchQuery(pictures, filters=_part(Filters, own), decisions=_part(Decisions, own), **options)
    return LineAsked(number, said.id, query)


def _id_of(line: bytes) -> str | None:
    """The id of a line that is no query, for the caller to know it by."""
    try:
        said = from_json(line)
    except ValueError:
        return None
    id = said.get("id") if isinstance(said, dict) else None
    return id if isinstance(id, str) else None


def _problem(number: int, detail: str) -> Problem:
    """As the service says of a line that it cannot read."""
    return Problem(
        type=f"{TYPE_PREFIX}{BadRequest.slug}",
        title=BadRequest.title,
        status=BadRequest.status,
        detail=f"line {number}: {detail}",
    )


def _part(kind: Any, own: dict[str, Any]) -> Any:
    return kind(**{field.name: own[field.name] for field in dataclasses.fields(kind)})
