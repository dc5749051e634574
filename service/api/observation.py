"""Counts, times and logs every request, and answers what nobody foresaw with a plain 500 problem."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Final

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.faults import problem_response
from service.api.gatekeeper import ANONYMOUS, Access
from service.api.template import template_of
from service.metrics import Metrics
from service.problems import Problem, Unavailable

__all__ = ["HUNG_UP", "Observation"]

log = logging.getLogger("service.access")

HUNG_UP: Final = 499
"""nginx's status of a request whose caller closed the connection before it had come in."""

_GIVEN_UP: Final = Unavailable(
    "The service stops, and this took too long for it. A change was made, or it was not: send it again "
    "later; a picture with a client_id is not enrolled twice."
)


class Observation:
    """ASGI middleware around routing, so that even a fault in there is counted and answered."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        status = 0

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except ClientDisconnect:
            status = HUNG_UP
        except asyncio.CancelledError:
            # by the server: it stops, and its patience with requests has ended
            if not status:
                await problem_response(_GIVEN_UP)(scope, receive, watched)
        except Exception:
            # The stack trace is for the log; the caller gets the request id to ask about.
            log.exception("%s %s failed", scope["method"], template_of(scope))
            if status:
                raise  # half an answer is out: the server must break the connection off
            answer = problem_response(
                Problem("The service failed on this request. The log has the reason under the request id.")
            )
            await answer(scope, receive, watched)
        finally:
            seconds = time.perf_counter() - started
            # Not by path: gallery names would make a time series each.
            route = template_of(scope)
            self._metrics.requests.labels(scope["method"], route, str(status)).inc()
            self._metrics.request_seconds.labels(scope["method"], route).observe(seconds)
            log.info(
                "%s %s %d %.1f ms",
                scope["method"],
                route,
                status,
                1000 * seconds,
                extra={
                    "method": scope["method"],
                    "route": route,
                    "status": status,
                    "milliseconds": round(1000 * seconds, 1),
                    "key": _key_in(scope),
                },
            )


def _key_in(scope: Scope) -> str | None:
    """Id of the key that the request was let in with."""
    access: Access = scope.get("state", {}).get("access", ANONYMOUS)
    return None if access.key is None else access.key.id
