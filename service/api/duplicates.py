"""``/v1/galleries/{gallery}/duplicates``: pictures whose content was enrolled before."""

from __future__ import annotations

from fastapi import APIRouter, Request

from service.api import answers
from service.api.assembly import assembly_of
from service.api.authentication import QUERY, KeyFirst
from service.api.faults import documented
from service.api.named import GalleryInPath
from service.api.paging import Cursor, Limit
from service.api.schemas import examples
from service.api.schemas.duplicates import DuplicatePage
from service.problems import BadRequest, UnknownGallery

router = APIRouter(prefix="/v1/galleries/{gallery}/duplicates", tags=["pictures"], route_class=KeyFirst)


@router.get(
    "",
    responses={**examples.answered(examples.DUPLICATES), **documented(BadRequest, UnknownGallery)},
    summary="List duplicates",
    dependencies=[QUERY],
)
async def list_duplicates(
    request: Request,
    gallery: GalleryInPath,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> DuplicatePage:
    """Pictures with the very bytes (and box) of an earlier one of the gallery, in the order of enrolment.

    The first of each content is not listed, so erasing what is listed leaves one of each. Where the two
    are of different people, one of them was enrolled under a wrong name.
    """
    page = await assembly_of(request.app.state).galleries.duplicates.list(gallery, limit, cursor)
    return DuplicatePage(
        items=[answers.duplicate(record) for record in page.items], next_cursor=page.next_cursor
    )
