"""Writes what was asked, and how it was answered, to the audit trail."""

from __future__ import annotations

from typing import Any, Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.request_id import REQUEST_ID
from service.clock import now
from service.storage.audit import AuditTrail, Event

__all__ = ["Audit", "note_pictures"]

_PICTURES: Final = "audit_pictures"


def note_pictures(state: Any, count: int) -> None:
    """Let the request's event say how many pictures were sent."""
    setattr(state, _PICTURES, count)


class Audit:
    """ASGI middleware around the routes. An answer to a change goes out when its event is stored."""

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
        gallery = parameters.get("gallery")
        name = parameters.get("person") or parameters.get("image")
        event = Event(
            at=now(),
            request_id=REQUEST_ID.get(),
            key=None if access is None or access.key is None else access.key.id,
            action=route.name,
            gallery=gallery,
            subject=None if name is None or gallery is None else trail.pseudonym(gallery, name),
            pictures=state.get(_PICTURES),
            status=status,
        )
        # A query changes nothing although it is a POST.
        asks = ("query", "query_batch", "verify", "embed")
        changes = scope["method"] not in ("GET", "HEAD") and route.name not in asks
        await trail.write(event, stored=changes and status < 400)
