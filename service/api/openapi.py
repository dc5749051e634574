"""The OpenAPI description: FastAPI's, put right where it says what this service does not do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

__all__ = ["describe"]


def describe(app: FastAPI, routers: Sequence[APIRouter]) -> dict[str, Any]:
    """What ``/openapi.json`` says, made once.

    Args:
        routers: those of the calls on the page.
    """
    if app.openapi_schema is None:
        schema = get_openapi(
            title=app.title, version=app.version, description=app.description, routes=app.routes
        )
        _forget_validation_answers(schema)
        _forget_streams_as_one(schema)
        for router in routers:
            for route in router.routes:
                if isinstance(route, APIRoute) and route.include_in_schema:
                    _show_whole_examples(schema, route)
        app.openapi_schema = schema
    return app.openapi_schema


def _forget_validation_answers(schema: dict[str, Any]) -> None:
    """The answer to what does not validate is FastAPI's there, and a problem document here."""
    for path in schema["paths"].values():
        for operation in path.values():
            if "HTTPValidationError" in str(operation["responses"].get("422", {})):
                del operation["responses"]["422"]
    for name in ("HTTPValidationError", "ValidationError"):
        schema["components"]["schemas"].pop(name, None)


def _forget_streams_as_one(schema: dict[str, Any]) -> None:
    """What a line of a stream is made of is not the whole answer, which FastAPI tells of too."""
    for path in schema["paths"].values():
        for operation in path.values():
            for answer in operation["responses"].values():
                if any(kind.endswith("ndjson") for kind in answer.get("content", ())):
                    answer["content"].pop("application/json", None)


def _show_whole_examples(schema: dict[str, Any], route: APIRoute) -> None:
    """FastAPI leaves members that are null out of examples, and most answers have such."""
    for status, said in route.responses.items():
        for kind, described in said.get("content", {}).items():
            if "example" in described:
                for method in route.methods or ():
                    answers = schema["paths"][route.path_format][method.lower()]["responses"]
                    answers[str(status)]["content"][kind]["example"] = described["example"]
