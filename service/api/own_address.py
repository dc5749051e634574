"""No page of another site asks a service that asks nobody for a key.

Such a service trusts whoever reaches it, which is this machine alone. But a browser on this machine reaches
it for any page that it shows. One whose site lets its name point to 127.0.0.1 (DNS rebinding) reads all
answers, since the browser takes the service for the page's own, and any page may send a form there unseen. A
browser says for whom it asks: in ``Host`` the name that it looked up, in ``Origin`` the page's site.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any, Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from service.api.faults import problem_response
from service.problems import ForeignPage, Misdirected, Problem, Unauthorised
from service.settings import is_address, is_loopback

__all__ = ["OwnAddress"]

_AUTHORITY: Final = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^:\[\]]*))(?::[0-9]*)?")
_LOOKS: Final = frozenset({"GET", "HEAD"})
_PORTS: Final = {"http": ":80", "https": ":443"}


class OwnAddress:
    """ASGI middleware of a service that is asked without keys: by its own names and addresses alone.

    What sends no ``Host`` is no browser, nor is what sends no ``Origin`` with a change; from the first key on
    nothing is looked at, since no page has it.

    Args:
        names: its own, in lower case.
        remote: whether other machines may ask, so that an address is one whatever it is: no page gets that
            of another for its own, as it does with a name.
    """

    def __init__(self, app: ASGIApp, names: Collection[str], remote: bool) -> None:
        self._app = app
        self._names = names
        self._remote = remote

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (fault := self._fault(scope)) is not None:
            refused = await _unless_keys_are_asked_for(scope["app"], fault)
            if refused is not None:
                await problem_response(refused)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _fault(self, scope: Scope) -> Problem | None:
        headers = Headers(scope=scope)
        hosts = headers.getlist("host")
        if not all(map(self._is_own, hosts)):
            names = ", ".join(sorted(self._names))
            return Misdirected(
                f"While nobody is asked for a key, this service answers to {names} and its address, and to "
                "no other Host. Ask it by one of these, or make a key (`penumbra keys create`)."
            )
        if scope["method"] not in _LOOKS:
            for origin in headers.getlist("origin"):
                if not any(_is_of(origin, host) for host in hosts):
                    return ForeignPage(
                        "While nobody is asked for a key, no page of another site (Origin) may send "
                        "anything. Make a key (`penumbra keys create`), and let what is behind the page ask."
                    )
        return None

    def _is_own(self, host: str) -> bool:
        named = _AUTHORITY.fullmatch(host)
        if named is None:
            return False
        name = (named[1] or named[2]).lower()
        return name in self._names or (is_address(name) if self._remote else is_loopback(name))


async def _unless_keys_are_asked_for(app: Any, fault: Problem) -> Problem | None:
    try:
        await app.state.assembly.gatekeeper.recognise(None, "")
    except Unauthorised:
        return None
    except Problem as away:
        return away
    return fault


def _is_of(origin: str, host: str) -> bool:
    """Whether a page of this origin was given out at this host and port."""
    try:
        page = urlsplit(origin)
    except ValueError:
        return False
    port = _PORTS.get(page.scheme)
    return port is not None and page.netloc.lower().removesuffix(port) == host.lower().removesuffix(port)
