"""Writes what was asked, and how it was answered, to the audit trail."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any, Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.request_id import REQUEST_ID
from service.clock import now
from service.storage.audit import AuditTrail, Event

__all__ = ["Audit", "note_about", "note_pictures"]

_PICTURES: Final = "audit_pictures"
_GALLERY: Final = "audit_gallery"
_NAMES: Final = "audit_names"

_ASKS: Final = frozenset({"query", "query_batch", "verify", "embed"})
"""Change nothing although they are sent by POST."""


def note_pictures(state: Any, count: int) -> None:
    """Let the request's event say how many pictures were sent."""
    setattr(state, _PICTURES, count)


def note_about(state: Any, gallery: str | None, *names: str) -> None:
    """Let the request's events say what its path does not: a gallery, and people or pictures in it."""
    setattr(state, _GALLERY, gallery)
    setattr(state, _NAMES, names)


class Audit:
    """ASGI middleware around the routes. An answer to a change goes out when its events are stored.

    A request has one event, or one for each person or picture that it is about.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def recorded(message: Message) -> None:
            if message["type"] == "http.response.start":
                await self._record(scope, message["status"])
            await send(message)

        await self._app(scope, receive, recorded)

    async def _record(self, scope: Scope, status: int) -> None:
        route = scope.get("route")
        assembly = getattr(scope["app"].state, "assembly", None)
        trail: AuditTrail | None = None if assembly is None else assembly.audit
        if trail is None or route is None or not route.path.startswith("/v1/"):
            return
        state = scope.get("state", {})
        access = state.get("access")
        parameters = scope.get("path_params", {})
        gallery = parameters.get("gallery", state.get(_GALLERY))
        name = parameters.get("person") or parameters.get("image")
        names = [*([] if name is None else [name]), *state.get(_NAMES, ())]
        subjects = [] if gallery is None else [trail.pseudonym(gallery, one) for one in dict.fromkeys(names)]
        event = Event(
            at=now(),
            request_id=REQUEST_ID.get(),
            key=None if access is None or access.key is None else access.key.id,
            action=route.name,
            gallery=gallery,
            subject=None,
            pictures=state.get(_PICTURES),
            status=status,
        )
        stored = scope["method"] not in ("GET", "HEAD") and route.name not in _ASKS and status < 400
        events = [replace(event, subject=subject) for subject in subjects] or [event]
        await asyncio.gather(*(trail.write(one, stored=stored) for one in events))
