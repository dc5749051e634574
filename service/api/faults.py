"""Every fault as ``application/problem+json`` (RFC 9457): ours, the framework's, and the unexpected."""

from __future__ import annotations

import http
import logging
from collections.abc import Mapping
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response
from starlette.routing import Match, Mount

from service.api.field_faults import FieldFault, told
from service.api.request_id import REQUEST_ID
from service.problems import (
    TYPE_PREFIX,
    BadRequest,
    BodyStalled,
    BodyTooLarge,
    BoxOutside,
    BrokenPicture,
    DeadlineExceeded,
    EmptyPicture,
    NotAPicture,
    Overloaded,
    PictureTooLarge,
    Problem,
    RateLimited,
    TryLater,
    Unavailable,
    UnsupportedFormat,
)
from service.storage.faults import storage_problem

_log = logging.getLogger(__name__)

MEDIA_TYPE: Final = "application/problem+json"


class ProblemDocument(BaseModel):
    """A problem as answered (RFC 9457). Some kinds carry further members, e.g. `errors` or `items`."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(examples=[TYPE_PREFIX + "unknown-gallery"])
    title: str = Field(examples=["Unknown gallery"])
    status: int = Field(examples=[404])
    detail: str = Field(examples=["There is no gallery 'shop'."])
    request_id: str | None = Field(default=None, examples=["5f0c2b7a9d3e4f1c8a6b7d0e2f4a6c8e"])
    errors: list[FieldFault] | None = None


def document(problem: Problem, **members: Any) -> dict[str, Any]:
    """A problem as JSON members; for a picture's fault inside an answer, where the request has no fault."""
    return {
        "type": problem.type,
        "title": problem.title,
        "status": problem.status,
        "detail": problem.detail,
        **problem.members,
        **members,
    }


def problem_response(
    problem: Problem, *, headers: Mapping[str, str] | None = None, **members: Any
) -> JSONResponse:
    """A problem as the whole answer, with the request's id and whatever ``members`` are given."""
    return JSONResponse(
        document(problem, request_id=REQUEST_ID.get(), **members),
        status_code=problem.status,
        media_type=MEDIA_TYPE,
        headers={**problem.headers, **(headers or {})},
    )


PICTURE_PROBLEMS: Final[tuple[type[Problem], ...]] = (
    BadRequest,
    EmptyPicture,
    NotAPicture,
    BrokenPicture,
    BoxOutside,
    UnsupportedFormat,
    PictureTooLarge,
    BodyTooLarge,
    BodyStalled,
    RateLimited,
    Overloaded,
    Unavailable,
    DeadlineExceeded,
)
"""What every call that takes pictures can answer."""


def documented(*problems: type[Problem]) -> dict[int | str, dict[str, Any]]:
    """The ``responses`` of an OpenAPI operation that can answer these problems."""
    by_status: dict[int | str, dict[str, Any]] = {}
    for problem in dict.fromkeys(problems):
        about = f"{problem.title} (`{problem.slug}`)"
        examples: dict[str, Any] = {}
        content = {"schema": {"$ref": "#/components/schemas/ProblemDocument"}, "examples": examples}
        if problem.status in by_status:
            by_status[problem.status]["description"] += f"; {about}"
            examples = by_status[problem.status]["content"][MEDIA_TYPE]["examples"]
        else:
            by_status[problem.status] = {"description": about, "content": {MEDIA_TYPE: content}}
        if issubclass(problem, TryLater):
            by_status[problem.status].setdefault("headers", _retry_after(problem))
        examples[problem.slug] = {
            "value": {
                "type": TYPE_PREFIX + problem.slug,
                "title": problem.title,
                "status": problem.status,
                "detail": (problem.__doc__ or problem.title).split("\n")[0],
                "request_id": "5f0c2b7a9d3e4f1c8a6b7d0e2f4a6c8e",
            }
        }
    return by_status


def _retry_after(problem: type[TryLater]) -> dict[str, Any]:
    return {
        "Retry-After": {
            "description": "Whole seconds after which to try again.",
            "schema": {"type": "integer", "minimum": 1},
            "example": problem.usual_wait_s,
        }
    }


def _located(fault: dict[str, Any]) -> dict[str, Any]:
    """FastAPI's fault without its first place (body, query or path): whoever sent the field knows where."""
    if fault["type"] == "json_invalid":
        about = f"No JSON: {fault['ctx']['error']} (character {fault['loc'][1]})"
        return {**fault, "loc": ("body",), "msg": about}
    if fault["loc"] == ("body",) and isinstance(fault["input"], bytes):
        return {**fault, "msg": "Not taken for JSON: send it with `Content-Type: application/json`"}
    return {**fault, "loc": fault["loc"][1:] or fault["loc"]}


def _methods(request: Request) -> list[str]:
    """Every method that this path takes; the router's own answer knows the first matching route only."""
    routes = [route for route in request.app.routes if not isinstance(route, Mount)]
    return [
        method
        for method in ("DELETE", "GET", "HEAD", "PATCH", "POST", "PUT")
        if any(route.matches({**request.scope, "method": method})[0] is Match.FULL for route in routes)
    ]


def install(app: FastAPI) -> None:
    """Answer problems, validation errors and HTTP errors of ``app`` as problem documents."""

    async def on_problem(_: Request, error: Exception) -> Response:
        assert isinstance(error, Problem)
        return problem_response(error)

    async def on_invalid(_: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return problem_response(BadRequest(*told([_located(fault) for fault in error.errors()])))

    async def on_http_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        if isinstance(error.__cause__, ClientDisconnect):
            raise error.__cause__  # FastAPI takes it for a body that is no JSON
        if error.status_code == http.HTTPStatus.BAD_REQUEST:
            # FastAPI's own, where JSON is not even text or nested without end; other bad JSON is on_invalid's
            return problem_response(BadRequest(f"The body cannot be read as JSON: {error.__cause__}"))
        phrase = http.HTTPStatus(error.status_code).phrase
        detail = error.detail if error.detail != phrase else f"{phrase}: {request.method} {request.url.path}."
        body = {
            "type": TYPE_PREFIX + phrase.lower().replace(" ", "-"),
            "title": phrase,
            "status": error.status_code,
            "detail": detail,
            "request_id": REQUEST_ID.get(),
        }
        headers = dict(error.headers or {})
        if error.status_code == http.HTTPStatus.METHOD_NOT_ALLOWED:
            headers["Allow"] = ", ".join(_methods(request))
        return JSONResponse(body, error.status_code, headers=headers, media_type=MEDIA_TYPE)

    async def on_storage_fault(_: Request, error: Exception) -> Response:
        problem = storage_problem(error)
        if problem is None:
            raise error
        _log.error("%s: %s", problem.title, str(error).splitlines()[0])
        return problem_response(problem)

    app.add_exception_handler(Problem, on_problem)
    app.add_exception_handler(SQLAlchemyError, on_storage_fault)
    app.add_exception_handler(OSError, on_storage_fault)
    app.add_exception_handler(RequestValidationError, on_invalid)
    app.add_exception_handler(HTTPException, on_http_error)
