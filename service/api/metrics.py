"""``/metrics``, for Prometheus."""

from __future__ import annotations

import logging

from fastapi import APIRouter, Depends, Request
from prometheus_client import CONTENT_TYPE_LATEST
from sqlalchemy.exc import SQLAlchemyError
from starlette.responses import PlainTextResponse, Response

from service.api.assembly import Assembly, assembly_of
from service.api.authentication import may_watch

log = logging.getLogger(__name__)

router = APIRouter(tags=["service"])

_PAGE = 1000


@router.get(
    "/metrics", response_class=PlainTextResponse, summary="Metrics", dependencies=[Depends(may_watch)]
)
async def metrics(request: Request) -> Response:
    """Requests, stage times, batches, queue, cache and galleries in Prometheus' text format."""
    assembly = assembly_of(request.app.state)
    try:
        await _count_galleries(assembly)
    except SQLAlchemyError:
        # What the other metrics say is wanted most when the catalog is away.
        log.exception("galleries cannot be counted")
    return Response(assembly.metrics.text(), media_type=CONTENT_TYPE_LATEST)


async def _count_galleries(assembly: Assembly) -> None:
    """As of now; galleries that are gone leave no number behind."""
    sizes: dict[str, int] = {}
    cursor: str | None = None
    while True:
        page = await assembly.galleries.list(_PAGE, cursor)
        sizes |= {record.name: record.images for record in page.items}
        cursor = page.next_cursor
        if cursor is None:
            break
    assembly.metrics.gallery_images.clear()
    for name, images in sizes.items():
        assembly.metrics.gallery_images.labels(name).set(images)
