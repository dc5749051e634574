"""``/v1/galleries``: make, list, look at, change and delete galleries."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from service.api import answers
from service.api.assembly import assembly_of
from service.api.audit import note_about
from service.api.authentication import ADMIN, QUERY, KeyFirst, access_of
from service.api.faults import documented
from service.api.named import GalleryInPath
from service.api.paging import Cursor, Limit
from service.api.schemas import examples
from service.api.schemas.decisions import rule_of
from service.api.schemas.galleries import (
    Gallery,
    GalleryChange,
    GalleryCreate,
    GalleryPage,
    Reindexing,
    Statistics,
)
from service.problems import BadRequest, BodyStalled, BodyTooLarge, GalleryExists, UnknownGallery

router = APIRouter(prefix="/v1/galleries", tags=["galleries"], route_class=KeyFirst)


@router.post(
    "",
    status_code=201,
    responses={
        **examples.answered(examples.GALLERY_MADE, 201),
        **documented(BadRequest, GalleryExists, BodyTooLarge, BodyStalled),
    },
    summary="Make an empty gallery",
    dependencies=[ADMIN],
)
async def create_gallery(request: Request, response: Response, wanted: GalleryCreate) -> Gallery:
    """A gallery holds people by their pictures; a query searches one gallery."""
    note_about(request.state, wanted.name)
    made = await assembly_of(request.app.state).galleries.create(
        wanted.name, wanted.keep_pictures, rule_of(wanted), wanted.retention_days, wanted.index
    )
    response.headers["Location"] = f"/v1/galleries/{made.name}"
    return answers.gallery_record(made)


@router.get(
    "",
    responses={**examples.answered(examples.GALLERIES), **documented(BadRequest)},
    summary="List galleries",
    dependencies=[QUERY],
)
async def list_galleries(
    request: Request,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> GalleryPage:
    """In the order of their names, a page at a time; those that the key is bound to, where it is."""
    own = access_of(request).galleries
    page = await assembly_of(request.app.state).galleries.list(limit, cursor, own)
    return GalleryPage(
        items=[answers.gallery_record(record) for record in page.items], next_cursor=page.next_cursor
    )


@router.get(
    "/{gallery}",
    responses={**examples.answered(examples.GALLERY), **documented(UnknownGallery)},
    summary="Look at a gallery",
    dependencies=[QUERY],
)
async def get_gallery(request: Request, gallery: GalleryInPath) -> Gallery:
    """With the counts of its pictures and people."""
    return answers.gallery_record(await assembly_of(request.app.state).galleries.get(gallery))


@router.get(
    "/{gallery}/statistics",
    responses={**examples.answered(examples.STATISTICS), **documented(UnknownGallery)},
    summary="What is in a gallery",
    dependencies=[QUERY],
)
async def get_statistics(request: Request, gallery: GalleryInPath) -> Statistics:
    """Pictures by graded occlusion, bytes, and when they were enrolled."""
    return answers.statistics(*await assembly_of(request.app.state).galleries.statistics(gallery))


@router.post(
    "/{gallery}/reindex",
    status_code=202,
    responses={**examples.answered(examples.REINDEXING_BEGUN, 202), **documented(UnknownGallery)},
    summary="Bring a gallery's pictures to the present model",
    dependencies=[ADMIN],
)
async def reindex_gallery(
    request: Request,
    gallery: GalleryInPath,
    leave_behind: Annotated[
        bool,
        Query(
            description="Where the service has the previous model too: let the present one take over "
            "although pictures were not kept, or could not be embedded. They stay pending, and no query "
            "finds them.",
            openapi_examples={"wait for all": {"value": False}},
        ),
    ] = False,
) -> Reindexing:
    """After the model was replaced: embeds the kept pictures again, in the background.

    Where the service has the previous model too, that answers until every picture is of the present one. Else
    each is found as soon as it is done. A service that is stopped or killed meanwhile goes on at its next
    start; asking again changes nothing.
    """
    return answers.reindexing(await assembly_of(request.app.state).reindexer.begin(gallery, leave_behind))


@router.get(
    "/{gallery}/reindex",
    responses={**examples.answered(examples.REINDEXING), **documented(UnknownGallery)},
    summary="How far a gallery's pictures are brought to the present model",
    dependencies=[QUERY],
)
async def get_reindexing(request: Request, gallery: GalleryInPath) -> Reindexing:
    """Progress, and what cannot be done."""
    return answers.reindexing(await assembly_of(request.app.state).reindexer.state(gallery))


@router.patch(
    "/{gallery}",
    responses={
        **examples.answered(examples.GALLERY_CHANGED),
        **documented(BadRequest, UnknownGallery, BodyTooLarge, BodyStalled),
    },
    summary="Change a gallery",
    dependencies=[ADMIN],
)
async def change_gallery(request: Request, gallery: GalleryInPath, wanted: GalleryChange) -> Gallery:
    """Only what is sent changes; null leaves a rate or the prior to the calibration again."""
    changes = wanted.model_dump(exclude_unset=True)
    return answers.gallery_record(await assembly_of(request.app.state).galleries.change(gallery, changes))


@router.delete(
    "/{gallery}",
    status_code=204,
    responses=documented(UnknownGallery),
    summary="Delete a gallery",
    dependencies=[ADMIN],
)
async def delete_gallery(request: Request, gallery: GalleryInPath) -> None:
    """With everything that is stored of it."""
    await assembly_of(request.app.state).galleries.erasure.gallery(gallery)
