"""The application: routers, middlewares and parts joined. ``create_app(Settings())`` is all of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline
from starlette.middleware import Middleware
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from service.api import (
    batch,
    duplicates,
    embed,
    faults,
    galleries,
    health,
    images,
    metrics,
    model,
    people,
    query,
    verify,
)
from service.api.admission import Admission
from service.api.assembly import assemble
from service.api.audit import Audit
from service.api.body_limit import BodyLimit
from service.api.faults import documented
from service.api.observation import Observation
from service.api.openapi import describe
from service.api.own_address import OwnAddress
from service.api.request_id import RequestIds
from service.api.security_headers import SecurityHeaders
from service.metrics import Metrics
from service.problems import (
    BadRequest,
    DeadlineExceeded,
    Forbidden,
    Overloaded,
    RateLimited,
    StorageFull,
    Unauthorised,
    Unavailable,
)
from service.settings import Settings
from service.version import version_of_penumbra

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

_DESCRIPTION = """Finds a person again, across cameras, when only part of the person can be seen.

Make a gallery, enrol pictures of people, and ask who in it is the person in another picture. Pictures
travel as multipart parts named `files`; faults come back as `application/problem+json` (RFC 9457).

What a call does not know is refused with 422: a part of a form, a member of JSON, a query parameter. A path
that names a gallery, person or picture which nothing can be called is answered with 404. Times are texts of
RFC 3339's form, with an offset from UTC; answers give them in UTC."""

# They are tried in this order, which costs: what is asked most often comes first.
_CALLS: Final = (embed, query, images, verify, batch, people, duplicates, galleries, model)
_WATCHING: Final = (health, metrics)


def create_app(settings: Settings, on_catalog_lost: Callable[[], None] = lambda: None) -> FastAPI:
    """The ASGI application. Its parts start with its lifespan, and end with it.

    Args:
        on_catalog_lost: called from any thread where another service has taken the catalog over; from then on
            everything that needs it is refused.
    """
    measured = Metrics()

    provider: TracerProvider | None = None
    if settings.otlp_endpoint is not None:
        from service.api.traces import Traces, tracer_provider

        provider = tracer_provider(settings.otlp_endpoint)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with assemble(settings, measured, on_catalog_lost) as assembly:
            app.state.assembly = assembly
            yield
        if provider is not None:
            await asyncio.to_thread(provider.shutdown)

    # FastAPI's own page loads its scripts from elsewhere; this one serves them itself.
    make_app: Callable[..., FastAPI] = FastAPIOffline if settings.docs else FastAPI
    own_address = (
        []
        if settings.names is None
        else [Middleware(OwnAddress, names=settings.names, remote=settings.allow_anonymous)]
    )
    urls = {"docs_url": "/docs"} if settings.docs else {"docs_url": None, "openapi_url": None}
    app = make_app(
        title="Penumbra",
        description=_DESCRIPTION,
        version=version_of_penumbra(),
        lifespan=lifespan,
        generate_unique_id_function=lambda route: route.name,  # what generated clients call the calls
        redoc_url=None,
        # `DELETE .../g/images/..` leaves clients as `DELETE .../g/`: sent on from there, it would erase g
        redirect_slashes=False,
        middleware=[
            Middleware(ProxyHeadersMiddleware, trusted_hosts=settings.proxies),
            Middleware(RequestIds),
            *([] if provider is None else [Middleware(Traces, provider=provider)]),
            Middleware(SecurityHeaders),
            Middleware(Observation, metrics=measured),
            *own_address,
            Middleware(Audit, routes=[route for part in _CALLS for route in part.router.routes]),
            Middleware(
                BodyLimit,
                max_bytes=settings.max_body_bytes,
                deadline_s=settings.body_deadline_s,
                bytes_per_s=settings.body_bytes_per_s,
            ),
            Middleware(Admission, most=settings.requests_limit, deadline_s=settings.deadline_s),
        ],
        **urls,
    )
    app.state.stopping = asyncio.Event()  # set by whoever runs the server, for requests that would go on
    faults.install(app)
    for part in _CALLS:
        app.include_router(
            part.router,
            responses=documented(
                BadRequest,
                Unauthorised,
                Forbidden,
                RateLimited,
                Overloaded,
                Unavailable,
                StorageFull,
                DeadlineExceeded,
            ),
        )
    for part in _WATCHING:
        app.include_router(part.router)
    app.openapi = lambda: describe(app, [part.router for part in (*_CALLS, *_WATCHING)])  # type: ignore[method-assign]
    return app
