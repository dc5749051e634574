"""Which call a request is: by its path's template, for the path itself names galleries and people."""

from __future__ import annotations

from starlette.types import Scope

__all__ = ["UNMATCHED", "template_of"]

UNMATCHED = "unmatched"


def template_of(scope: Scope) -> str:
    """The path as the OpenAPI page has it; :data:`UNMATCHED` where no call has it, or nobody looked yet."""
    route = scope.get("route")
    template: str = getattr(route, "path_format", getattr(route, "path", UNMATCHED))
    return template
