"""Calls about the service itself: its model, and whether it is ready."""

from __future__ import annotations

import httpx

from service.client.answers import Model
from service.client.call import Call, reader
from service.client.faults import ProblemError


def model() -> Call[Model]:
    """The served model."""
    return Call("GET", "/v1/model", reader(Model), repeatable=True)


def ready() -> Call[bool]:
    """Whether the service takes work now; False while it starts or stops."""

    def not_yet(problem: ProblemError) -> bool | None:
        return False if problem.status == httpx.codes.SERVICE_UNAVAILABLE else None

    return Call("GET", "/readyz", lambda _: True, repeatable=True, rescue=not_yet)
