"""Query parameters of the calls that list."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

__all__ = ["Cursor", "PicturesLimit"]

Cursor = Annotated[
    str | None,
    Query(description="`next_cursor` of the page before.", openapi_examples={"a next page": {"value": "MQ"}}),
]
PicturesLimit = Annotated[int, Query(ge=1, le=1000, description="Most pictures in one answer.")]
