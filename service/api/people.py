"""``/v1/galleries/{gallery}/people``: who is in a gallery; rename, merge and erase them."""

from __future__ import annotations

from fastapi import APIRouter, Request

from service.api import answers
from service.api.assembly import assembly_of
from service.api.audit import note_about
from service.api.authentication import ENROL, QUERY, KeyFirst
from service.api.faults import documented
from service.api.named import GalleryInPath, PersonInPath
from service.api.paging import Cursor, Limit
from service.api.schemas import examples
from service.api.schemas.people import PeoplePage, Person, PersonChange
from service.problems import (
    BadRequest,
    BodyStalled,
    BodyTooLarge,
    PersonExists,
    UnknownGallery,
    UnknownPerson,
)

router = APIRouter(prefix="/v1/galleries/{gallery}/people", tags=["people"], route_class=KeyFirst)


@router.get(
    "",
    responses={**examples.answered(examples.PEOPLE), **documented(BadRequest, UnknownGallery)},
    summary="List people",
    dependencies=[QUERY],
)
async def list_people(
    request: Request,
    gallery: GalleryInPath,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> PeoplePage:
    """In the order of their names, a page at a time."""
    page = await assembly_of(request.app.state).galleries.people.list(gallery, limit, cursor)
    return PeoplePage(items=[answers.person(record) for record in page.items], next_cursor=page.next_cursor)


# A name may hold slashes, so it takes the rest of the path.


@router.get(
    "/{person:path}",
    responses={**examples.answered(examples.PERSON), **documented(UnknownGallery, UnknownPerson)},
    summary="Look at a person",
    dependencies=[QUERY],
)
async def get_person(request: Request, gallery: GalleryInPath, person: PersonInPath) -> Person:
    """How many pictures show them; the pictures are listed by `images?person=`."""
    return answers.person(await assembly_of(request.app.state).galleries.people.get(gallery, person))


@router.patch(
    "/{person:path}",
    responses={
        **examples.answered(examples.PERSON_CHANGED),
        **documented(BadRequest, UnknownGallery, UnknownPerson, PersonExists, BodyTooLarge, BodyStalled),
    },
    summary="Rename a person, or merge two",
    dependencies=[ENROL],
)
async def change_person(
    request: Request, gallery: GalleryInPath, person: PersonInPath, change: PersonChange
) -> Person:
    """Where two names turned out to be one person, `merge` puts all pictures under the new name."""
    note_about(request.state, gallery, change.name)
    changed = await assembly_of(request.app.state).galleries.people.rename(
        gallery, person, change.name, change.merge
    )
    return answers.person(changed)


@router.delete(
    "/{person:path}",
    status_code=204,
    responses=documented(UnknownGallery, UnknownPerson),
    summary="Erase a person",
    dependencies=[ENROL],
)
async def delete_person(request: Request, gallery: GalleryInPath, person: PersonInPath) -> None:
    """With all their pictures: from catalog, index, files and feature cache."""
    await assembly_of(request.app.state).galleries.erasure.person(gallery, person)
