"""Query parameters of the calls that list."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from service.api.schemas import examples

__all__ = ["Cursor", "Limit"]

Cursor = Annotated[
    str | None,
    Query(
        description="`next_cursor` of the page before.",
        openapi_examples={"a next page": {"value": examples.CURSOR}},
    ),
]
Limit = Annotated[
    int,
    Query(ge=1, le=1000, description="Most items in one answer.", openapi_examples={"one": {"value": 1}}),
]
