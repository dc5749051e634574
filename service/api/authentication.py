"""The key of a request: asked for before anything else, as FastAPI's dependencies."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Final

from fastapi import Depends, Request, Response, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.types import Scope

from service.api.gatekeeper import Access, Gatekeeper, Standing
from service.api.known_parameters import KnownParameters
from service.problems import RateLimited
from service.storage.keys import Role

__all__ = [
    "ADMIN",
    "ENROL",
    "QUERY",
    "KeyFirst",
    "access_of",
    "address_of",
    "may",
    "may_watch",
    "permit_gallery",
]

_BEARER: Final = HTTPBearer(auto_error=False, description="A key made by `penumbra keys create`.")


def address_of(scope: Scope) -> str:
    """Who sent a request: the other end of its connection."""
    client = scope.get("client")
    return "unknown" if client is None else str(client[0])


def may(role: Role) -> Callable[..., Awaitable[None]]:
    """A dependency: the caller's key has this role and, where the path names a gallery, reaches it."""

    async def check(
        request: Request,
        credentials: Annotated[HTTPAuthorizationCredentials | None, Security(_BEARER)],
    ) -> None:
        if getattr(request.state, "access", None) is not None:
            return  # KeyFirst has asked
        gatekeeper: Gatekeeper = request.app.state.assembly.gatekeeper
        address = address_of(request.scope)
        token = credentials.credentials if credentials is not None else None
        access = await gatekeeper.identify(token, address)
        request.state.access = access
        gallery = request.path_params.get("gallery")
        request.state.standing = Standing(gatekeeper, token, address, role, gallery)
        with _turning_away(request):
            await gatekeeper.count(access, address)
            await gatekeeper.permit(access, role, gallery)

    return check


async def permit_gallery(request: Request, role: Role, gallery: str) -> None:
    """What :func:`may` sees to where the path names the gallery, for one that the body names.

    Raises:
        Forbidden, RateLimited: see :meth:`Gatekeeper.permit`.
    """
    gatekeeper: Gatekeeper = request.app.state.assembly.gatekeeper
    with _turning_away(request):
        await gatekeeper.permit(access_of(request), role, gallery)


@contextmanager
def _turning_away(request: Request) -> Iterator[None]:
    """Let the audit trail know of calls that are too many (:mod:`service.api.audit`)."""
    try:
        yield
    except RateLimited:
        request.state.turned_away = True
        raise


async def may_watch(
    request: Request,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Security(_BEARER)],
) -> None:
    """A dependency: anybody may look where ``public_metrics`` says so, else whoever has a key."""
    if not request.app.state.assembly.settings.public_metrics:
        await may("query")(request, credentials)


QUERY: Final = Depends(may("query"))
ENROL: Final = Depends(may("enrol"))
ADMIN: Final = Depends(may("admin"))


class KeyFirst(KnownParameters):
    """A route that asks for the key before it reads the body.

    FastAPI reads a JSON body before it runs dependencies: without this, whoever has no key could have the
    service wait for one and hold it.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's own, behind those of the route's dependencies that :func:`may` made."""
        answer = super().get_route_handler()
        checks = [
            wanted.dependency
            for wanted in self.dependencies
            if wanted in (QUERY, ENROL, ADMIN) and wanted.dependency is not None
        ]

        async def ask_first(request: Request) -> Response:
            for check in checks:
                await check(request, await _BEARER(request))
            return await answer(request)

        return ask_first


def access_of(request: Request) -> Access:
    """In whose name the request is answered; :func:`may` has seen to it."""
    access: Access = request.state.access
    return access
