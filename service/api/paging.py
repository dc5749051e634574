"""Query parameters of the calls that list."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from pydantic import AfterValidator

from service.api.schemas import examples

__all__ = ["Cursor", "Limit"]

Cursor = Annotated[
    str | None,
    Query(
        description="`next_cursor` of the page before; empty: the first page.",
        # the API page sends the first: no cursor that it could show is one of the list that is asked for
        openapi_examples={"the first page": {"value": ""}, "a next page": {"value": examples.CURSOR}},
    ),
    AfterValidator(lambda cursor: cursor or None),
]
Limit = Annotated[
    int,
    Query(ge=1, le=1000, description="Most items in one answer.", openapi_examples={"one": {"value": 1}}),
]
