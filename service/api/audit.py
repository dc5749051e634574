"""Writes what was asked, and how it was answered, to the audit trail."""

from __future__ import annotations

import asyncio
import http
import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, Final

from starlette.requests import ClientDisconnect
from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.authentication import address_of
from service.api.gatekeeper import network_of
from service.api.observation import HUNG_UP
from service.api.request_id import REQUEST_ID
from service.api.schemas.strict import GALLERY_NAME
from service.clock import now
from service.storage.audit import AuditTrail, Event

__all__ = ["Audit", "add_about", "add_pictures", "note_about", "note_pictures", "note_stream"]

_PICTURES: Final = "audit_pictures"
_GALLERY: Final = "audit_gallery"
_NAMES: Final = "audit_names"
_STREAM: Final = "audit_stream"

_ASKS: Final = frozenset({"query", "query_batch", "verify", "embed"})
"""Change nothing although they are sent by POST."""

_STREAM_S: Final = 60.0
"""A stream has a line for so long of it: what was asked must not wait for an end that may never come."""

_STRANGERS: Final = 20
"""Addresses a minute that have an event though they were not let in."""


def note_pictures(state: Any, count: int) -> None:
    """Let the request's event say how many pictures were sent."""
    setattr(state, _PICTURES, count)


def note_stream(state: Any) -> None:
    """Let the request be recorded while it goes on and when it ends, see the next two."""
    setattr(state, _STREAM, True)
    setattr(state, _PICTURES, 0)
    setattr(state, _NAMES, {})


def add_pictures(state: Any, count: int) -> None:
    """Let the stream's next event say that so many more pictures were sent."""
    setattr(state, _PICTURES, getattr(state, _PICTURES) + count)


def add_about(state: Any, names: Iterable[str]) -> None:
    """Let the stream's next events say whom else it was about: people or pictures of its gallery."""
    getattr(state, _NAMES).update(dict.fromkeys(names))


def note_about(state: Any, gallery: str | None, *names: str) -> None:
    """Let the request's events say what its path does not: a gallery, and people or pictures in it."""
    setattr(state, _GALLERY, gallery)
    setattr(state, _NAMES, names)


class Audit:
    """ASGI middleware around the routes. An answer to a change goes out when its events are stored.

    A request has one event, or one for each person or picture that it is about; a stream has one for each
    minute of it, with the pictures that came since the last, and one for each person or picture that it was
    about since. Who is turned away cannot make the trail grow:

    * Of callers who were not let in (401, or 429 before anybody looked for their key) there is one event for
      each address and minute, at most :data:`_STRANGERS` a minute in all, and nothing in it that they chose.
    * Of calls that were too many for their key (429) there is one for each key and minute; where nobody is
      asked for a key, for each address, among those of strangers.

    Whoever is let in has an event for each answer: also where the body is too long or does not come (413,
    408), which they are told when it would be read, and never more often than their rate allows.

    Args:
        routes: to find out what call a request was that was turned away before it came to one.
    """

    def __init__(self, app: ASGIApp, routes: Sequence[BaseRoute] = ()) -> None:
        self._app = app
        self._routes = routes
        self._minute = 0
        self._turned_away: set[str] = set()
        self._strangers = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        answered = False
        streaming: int | None = None
        since = 0.0

        async def recorded(message: Message) -> None:
            nonlocal answered, streaming, since
            if message["type"] == "http.response.start":
                answered = True
                if scope.get("state", {}).get(_STREAM, False):
                    streaming, since = message["status"], time.monotonic()
                else:
                    await self._record(scope, message["status"])
            elif streaming is not None and time.monotonic() - since >= _STREAM_S:
                since = time.monotonic()
                await self._record(scope, streaming)
            await send(message)

        try:
            await self._app(scope, receive, recorded)
        except ClientDisconnect:
            if streaming is not None:
                streaming = HUNG_UP
            elif not answered:
                await self._record(scope, HUNG_UP)
            raise
        except asyncio.CancelledError:
            if not answered:  # service.api.observation answers it
                await self._record(scope, http.HTTPStatus.SERVICE_UNAVAILABLE)
            raise
        except Exception:
            if not answered:  # and this
                await self._record(scope, http.HTTPStatus.INTERNAL_SERVER_ERROR)
            raise
        finally:
            if streaming is not None:
                await self._record(scope, streaming)

    async def _record(self, scope: Scope, status: int) -> None:
        route: Any = scope.get("route")
        if route is None and status == http.HTTPStatus.TOO_MANY_REQUESTS:
            route = self._route_of(scope)
        assembly = getattr(scope["app"].state, "assembly", None)
        trail: AuditTrail | None = None if assembly is None else assembly.audit
        if trail is None or route is None or not route.path.startswith("/v1/"):
            return
        state = scope.get("state", {})
        access = state.get("access")
        key = None if access is None or access.key is None else access.key.id
        turned_away = access is None or state.get("turned_away", False)
        if turned_away and not self._first_in_minute(address_of(scope), key):
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
            request_id="-" if access is None else REQUEST_ID.get(),  # callers may choose it
            key=key,
            action=route.name,
            gallery=gallery,
            subject=None,
            pictures=state.get(_PICTURES),
            status=status,
        )
        stored = scope["method"] not in ("GET", "HEAD") and route.name not in _ASKS and status < 400
        events = [replace(event, subject=subject) for subject in subjects]
        if state.get(_STREAM, False):
            events = [event, *(replace(one, pictures=None) for one in events)]
            state[_PICTURES], state[_NAMES] = 0, {}
        elif not events:
            events = [event]
        await asyncio.gather(*(trail.write(one, stored=stored) for one in events))

    def _route_of(self, scope: Scope) -> BaseRoute | None:
        return next((route for route in self._routes if route.matches(scope)[0] is Match.FULL), None)

    def _first_in_minute(self, address: str, key: str | None) -> bool:
        minute = int(time.monotonic() // 60)
        if minute != self._minute:
            self._minute, self._strangers = minute, 0
            self._turned_away.clear()
        caller = network_of(address) if key is None else key
        if caller in self._turned_away or (key is None and self._strangers >= _STRANGERS):
            return False
        self._turned_away.add(caller)
        self._strangers += key is None
        return True
