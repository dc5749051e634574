"""No page of another site asks a service that asks nobody for a key.

Such a service trusts whoever reaches it, which is this machine alone. But a browser on this machine reaches
it for any page that it shows. One whose site lets its name point to 127.0.0.1 (DNS rebinding) reads all
answers, since the browser takes the service for the page's own, and any page may send a form there unseen. A
browser says for whom it asks: in ``Host`` the name that it looked up, in ``Origin`` the page's site.
"""

from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from service.api.faults import problem_response
from service.problems import ForeignPage, Misdirected, Problem, Unauthorised
from service.settings import is_loopback

__all__ = ["OwnAddress"]

_AUTHORITY: Final = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^:\[\]]*))(?::[0-9]*)?")
_LOOKS: Final = frozenset({"GET", "HEAD"})
_PORTS: Final = {"http": ":80", "https": ":443"}


class OwnAddress:
    """ASGI middleware of a service that only this machine may ask: by its own addresses, or with a key.

    What sends no ``Host`` is no browser, nor is what sends no ``Origin`` with a change; from the first key on
    nothing is looked at, since no page has it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (fault := _fault(scope)) is not None:
            refused = await _unless_keys_are_asked_for(scope["app"], fault)
            if refused is not None:
                await problem_response(refused)(scope, receive, send)
                return
        await self._app(scope, receive, send)


async def _unless_keys_are_asked_for(app: Any, fault: Problem) -> Problem | None:
    try:
        await app.state.assembly.gatekeeper.recognise(None, "")
    except Unauthorised:
        return None
    except Problem as away:
        return away
    return fault


def _fault(scope: Scope) -> Problem | None:
    headers = Headers(scope=scope)
    hosts = headers.getlist("host")
    for host in hosts:
        named = _AUTHORITY.fullmatch(host)
        if named is None or not is_loopback((named[1] or named[2]).lower()):
            return Misdirected(
                "While nobody is asked for a key, this service answers to localhost and 127.0.0.1, and to no "
                "other Host. Ask it by one of these, or make a key (`penumbra keys create`)."
            )
    if scope["method"] not in _LOOKS:
        for origin in headers.getlist("origin"):
            if not any(_is_of(origin, host) for host in hosts):
                return ForeignPage(
                    "While nobody is asked for a key, no page of another site (Origin) may send anything. "
                    "Make a key (`penumbra keys create`), and let what is behind the page ask."
                )
    return None


def _is_of(origin: str, host: str) -> bool:
    """Whether a page of this origin was given out at this host and port."""
    try:
        page = urlsplit(origin)
    except ValueError:
        return False
    port = _PORTS.get(page.scheme)
    return port is not None and page.netloc.lower().removesuffix(port) == host.lower().removesuffix(port)
