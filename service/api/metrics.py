"""``/metrics``, for Prometheus."""

from __future__ import annotations

import logging
from typing import Final

from fastapi import APIRouter, Depends, Request
from prometheus_client import CONTENT_TYPE_LATEST
from sqlalchemy.exc import SQLAlchemyError
from starlette.responses import PlainTextResponse, Response

from service.api.assembly import Assembly, assembly_of
from service.api.authentication import may_watch
from service.api.deadline import within
from service.api.faults import documented
from service.api.gatekeeper import ANONYMOUS, Access
from service.api.schemas import examples
from service.problems import DeadlineExceeded, Forbidden, Overloaded, RateLimited, Unauthorised
from service.storage.records import GalleryRecord

log = logging.getLogger(__name__)

router = APIRouter(tags=["service"])

_PAGE: Final = 1000
_COUNTING_S: Final = 5.0  # whoever scrapes waits for 10 s, as a rule


@router.get(
    "/metrics",
    response_class=PlainTextResponse,
    responses={
        200: {"content": {"text/plain": {"example": examples.METRICS}}},
        **documented(Unauthorised, Forbidden, RateLimited, Overloaded),
    },
    summary="Metrics",
    dependencies=[Depends(may_watch)],
)
async def metrics(request: Request) -> Response:
    """Requests, stage times, batches, queue, cache and galleries in Prometheus' text format.

    With a key that is bound to galleries, of those alone.
    """
    assembly = assembly_of(request.app.state)
    parts = await assembly.parts_ready()
    access: Access = getattr(request.state, "access", ANONYMOUS)
    galleries: list[GalleryRecord] = []
    if parts["catalog"]:  # what the other metrics say is wanted most when it is away
        try:
            async with within(_COUNTING_S):
                galleries = await _counted(assembly, access.galleries)
        except (SQLAlchemyError, DeadlineExceeded):
            log.exception("galleries cannot be counted")
    text = assembly.metrics.text(galleries, assembly.reindexer.under_way)
    return Response(text, media_type=CONTENT_TYPE_LATEST)


async def _counted(assembly: Assembly, among: tuple[str, ...] | None) -> list[GalleryRecord]:
    """The galleries with their counts as of now."""
    counted: list[GalleryRecord] = []
    cursor: str | None = None
    while True:
        page = await assembly.galleries.list(_PAGE, cursor, among)
        counted += page.items
        cursor = page.next_cursor
        if cursor is None:
            return counted


router.add_api_route(
    "/metrics", metrics, methods=["HEAD"], include_in_schema=False, dependencies=[Depends(may_watch)]
)
