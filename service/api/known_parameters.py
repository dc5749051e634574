"""A route that takes no query parameters but its own: one that is misspelt would say nothing, silently."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response, params
from fastapi.dependencies.utils import get_flat_params
from fastapi.routing import APIRoute

from service.problems import BadRequest

__all__ = ["KnownParameters"]


class KnownParameters(APIRoute):
    """As forms refuse parts that they do not know, and parts that come twice."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's own, behind the look at the query's names."""
        answer = super().get_route_handler()
        known = frozenset(
            field.alias
            for field in get_flat_params(self.dependant)
            if isinstance(field.field_info, params.Query)
        )

        async def look_first(request: Request) -> Response:
            if request.scope["query_string"]:
                _check([name for name, _ in request.query_params.multi_items()], known)
            return await answer(request)

        return look_first


def _check(sent: list[str], known: frozenset[str]) -> None:
    for name in sent:
        if name not in known:
            about = f"known are {', '.join(map(repr, sorted(known)))}" if known else "this call takes none"
            raise BadRequest(f"There is no query parameter {name[:100]!r}; {about}.")
        if sent.count(name) > 1:
            raise BadRequest(f"The query parameter {name!r} was sent twice.")
