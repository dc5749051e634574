"""A file of queries for ``penumbra query-batch``: one JSON object a line, pictures as paths."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from service.client import BatchQuery, Decisions, Filters
from service.moments import Moment

__all__ = ["QueryFileError", "read_queries"]


class QueryFileError(ValueError):
    """A line is no query. The message says which and why."""


class _Line(BaseModel):
    """What the service is to judge itself, such as the names of occlusion types, is let through."""

    model_config = ConfigDict(extra="forbid")

    pictures: Annotated[list[Path], Field(min_length=1)]
    id: str | None = None
    top_k: int = 10
    by: str = "person"
    unify: str = "auto"
    boxes: list[tuple[int, int, int, int] | None] | None = None
    rerank: bool = False
    overlays: bool = False
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


def read_queries(file: Path) -> list[BatchQuery]:
    """The queries of a file; relative paths of pictures start from where the file is.

    Raises:
        QueryFileError: a line is no query, or a picture is not there.
    """
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise QueryFileError(f"{file} cannot be read: {error}") from error
    return [_query(file, number, line) for number, line in enumerate(lines, 1) if line.strip()]


def _query(file: Path, number: int, line: str) -> BatchQuery:
    try:
        said = _Line.model_validate(json.loads(line))
    except json.JSONDecodeError as error:
        raise QueryFileError(f"{file}, line {number}: no JSON: {error}") from error
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
        raise QueryFileError(f"{file}, line {number}: {faults}") from error
    pictures = [file.parent / picture for picture in said.pictures]
    for picture in pictures:
        if not picture.is_file():
            raise QueryFileError(f"{file}, line {number}: there is no picture at {picture}")
    own: dict[str, Any] = said.model_dump()
    options = {name: own[name] for name in ("id", "top_k", "by", "unify", "boxes", "rerank", "overlays")}
    return BatchQuery(pictures, filters=_part(Filters, own), decisions=_part(Decisions, own), **options)


def _part(kind: Any, own: dict[str, Any]) -> Any:
    return kind(**{field.name: own[field.name] for field in dataclasses.fields(kind)})
