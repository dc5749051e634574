"""Writes what was asked, and how it was answered, to the audit trail."""

from __future__ import annotations

import asyncio
import http
import re
import time
from dataclasses import replace
from typing import Any, Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.authentication import address_of, network_of
from service.api.request_id import REQUEST_ID
from service.api.schemas.strict import GALLERY_NAME
from service.clock import now
from service.storage.audit import AuditTrail, Event

__all__ = ["Audit", "note_about", "note_pictures"]

_PICTURES: Final = "audit_pictures"
_GALLERY: Final = "audit_gallery"
_NAMES: Final = "audit_names"

_ASKS: Final = frozenset({"query", "query_batch", "verify", "embed"})
"""Change nothing although they are sent by POST."""


_STRANGERS: Final = 20
"""Addresses a minute that have an event though they were not let in."""


def note_pictures(state: Any, count: int) -> None:
    """Let the request's event say how many pictures were sent."""
    setattr(state, _PICTURES, count)


def note_about(state: Any, gallery: str | None, *names: str) -> None:
    """Let the request's events say what its path does not: a gallery, and people or pictures in it."""
    setattr(state, _GALLERY, gallery)
    setattr(state, _NAMES, names)


class Audit:
    """ASGI middleware around the routes. An answer to a change goes out when its events are stored.

    A request has one event, or one for each person or picture that it is about. Of callers who were not let
    in there is one event for each address and minute, and at most :data:`_STRANGERS` a minute in all, so that
    nobody without a key makes the trail grow; and nothing in it that they chose.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._minute = 0
        self._strangers: set[str] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        answered = False

        async def recorded(message: Message) -> None:
            nonlocal answered
            if message["type"] == "http.response.start":
                answered = True
                await self._record(scope, message["status"])
            await send(message)

        try:
            await self._app(scope, receive, recorded)
        except Exception:
            if not answered:  # service.api.observation answers it
                await self._record(scope, http.HTTPStatus.INTERNAL_SERVER_ERROR)
            raise

    async def _record(self, scope: Scope, status: int) -> None:
        route = scope.get("route")
        assembly = getattr(scope["app"].state, "assembly", None)
        trail: AuditTrail | None = None if assembly is None else assembly.audit
        if trail is None or route is None or not route.path.startswith("/v1/"):
            return
        state = scope.get("state", {})
        access = state.get("access")
        if access is None and not self._first_in_minute(address_of(scope)):
            return
        parameters = scope.get("path_params", {}) if access is not None else {}
        gallery = parameters.get("gallery", state.get(_GALLERY))
        if gallery is not None and re.fullmatch(GALLERY_NAME, gallery) is None:
            gallery = None  # there is none of such a name, and the trail has no room for every text
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

    def _first_in_minute(self, address: str) -> bool:
        minute = int(time.monotonic() // 60)
        if minute != self._minute:
            self._minute = minute
            self._strangers.clear()
        network = network_of(address)
        if network in self._strangers or len(self._strangers) >= _STRANGERS:
            return False
        self._strangers.add(network)
        return True
