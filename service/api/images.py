"""``/v1/galleries/{gallery}/images``: enrol pictures, list them, look at them, fetch and erase them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request
from pydantic import TypeAdapter, ValidationError
from starlette.responses import JSONResponse, Response

from service.api import answers
from service.api.assembly import assembly_of
from service.api.audit import note_about, note_pictures
from service.api.authentication import ENROL, QUERY, KeyFirst
from service.api.faults import PICTURE_PROBLEMS, documented, problem_response
from service.api.field_faults import refuse_crowds, told
from service.api.multipart import read_form
from service.api.named import GalleryInPath, ImageInPath
from service.api.paging import Cursor, Limit
from service.api.schemas import examples
from service.api.schemas.pictures import EnrolAnswer, EnrolledItem, Item, Picture, PicturePage
from service.api.schemas.strict import Words
from service.embedding.box import Box
from service.embedding.decode import media_type
from service.embedding.thumbnail import THUMBNAIL_TYPE
from service.gallery import EnrolItem
from service.moments import Moment, window_fault
from service.problems import (
    BadItems,
    BadRequest,
    ClientIdConflict,
    DeadlineExceeded,
    NoneEnrolled,
    PictureError,
    PictureLost,
    PictureNotKept,
    Problem,
    TryLater,
    UnknownGallery,
    UnknownImage,
)
from service.storage.filters import Listed

router = APIRouter(prefix="/v1/galleries/{gallery}/images", tags=["pictures"], route_class=KeyFirst)

_ITEMS: Final = TypeAdapter(list[Item])

# what a browser makes of a picture must not depend on what is in it, and what is erased must not stay with it
_PICTURE_HEADERS: Final = {"X-Content-Type-Options": "nosniff", "Cache-Control": "private, no-store"}

_ITEMS_EXAMPLE: Final = (
    '[{"person": "anna", "camera": "entrance", "client_id": "anna-1", "metadata": {"shift": "night"}}]'
)

_A_TIME: Final = "2026-01-31T00:00:00Z"
_LATER: Final = "2026-02-01T00:00:00Z"

# What it refers to, any JSON value, the page has for the answers.
_ITEM: Final = Item.model_json_schema(ref_template="#/components/schemas/{model}")
_ITEM.pop("$defs")

_FORM: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["files", "items"],
                    "additionalProperties": False,
                    "properties": {
                        "files": {
                            "type": "array",
                            "minItems": 1,
                            "maxItems": 64,
                            "items": {"type": "string", "format": "binary"},
                            "description": "The pictures: JPEG, PNG, WebP, BMP or TIFF.",
                        },
                        "items": {
                            "type": "string",
                            "contentMediaType": "application/json",
                            "contentSchema": {"type": "array", "minItems": 1, "items": _ITEM},
                            "description": "A JSON array with one object per file, in order: "
                            "`person` (required), `camera`, `time` (RFC 3339), `client_id`, `box` "
                            "[x, y, width, height] in a full frame, `metadata`.",
                            "example": _ITEMS_EXAMPLE,
                        },
                    },
                },
                "example": {
                    "files": ["anna-1.jpg"],
                    "items": _ITEMS_EXAMPLE,
                },
            }
        },
    }
}


@router.post(
    "",
    status_code=201,
    response_model=EnrolAnswer,
    responses={
        **examples.answered(examples.ENROLLED, 201),
        **documented(*PICTURE_PROBLEMS, BadItems, NoneEnrolled, ClientIdConflict, UnknownGallery),
    },
    openapi_extra=_FORM,
    summary="Enrol pictures",
    dependencies=[ENROL],
)
async def enrol(request: Request, gallery: GalleryInPath) -> Response:
    """Enrol 1 to 64 pictures of people.

    201 means that they are stored durably and found by every later query. A bad picture fails alone, with
    its problem in its item; if every picture failed, the answer is a problem that carries the items. A
    single picture that fails is answered with its own problem.

    Sending a `client_id` again with the same bytes (and box) enrols nothing: its status is `exists`,
    `person` says under whom the picture is stored, and `differs` what was sent otherwise than it is stored.
    With other bytes it fails with 409. Without a `client_id`, or under another one, bytes that the gallery
    has already are enrolled all the same, and `duplicate_of` names the first picture.
    """
    assembly = assembly_of(request.app.state)
    form = await read_form(request, max_files=assembly.settings.max_files, fields={"items"})
    note_pictures(request.state, len(form.files))
    items = read_items(form.fields.get("items"), len(form.files))
    note_about(request.state, gallery, *(item.person for item in items))
    outcomes = await assembly.galleries.enrolment.enrol(
        gallery,
        [
            EnrolItem(
                content,
                item.person,
                item.camera,
                item.time,
                item.client_id,
                item.metadata,
                None if item.box is None else Box(*item.box),
            )
            for content, item in zip(form.files, items, strict=True)
        ],
    )
    answer = [_without_absent(answers.enrolled(outcome)) for outcome in outcomes]
    problems = [outcome.problem for outcome in outcomes if outcome.problem is not None]
    if len(problems) < len(outcomes):
        return JSONResponse({"items": answer}, status_code=201)
    problem = why_none(problems)
    if not isinstance(problem, NoneEnrolled):
        raise problem
    return problem_response(problem, items=answer)


def why_none(problems: Sequence[Problem]) -> Problem:
    """What is answered where each picture has its problem.

    Its own for the only picture. Where none is a picture's fault, one of them, if possible one that says when
    to come again. Else that none was enrolled.
    """
    busy = [one for one in problems if isinstance(one, TryLater | DeadlineExceeded)]
    if len(problems) == 1 or len(busy) == len(problems):
        return next((one for one in busy if isinstance(one, TryLater)), problems[0])
    first = "; ".join(f"files[{index}]: {problem.detail}" for index, problem in enumerate(problems[:3]))
    return NoneEnrolled(f"None of the {len(problems)} pictures could be enrolled. {first}")


@router.get(
    "",
    responses={**examples.answered(examples.PICTURES), **documented(BadRequest, UnknownGallery)},
    summary="List pictures",
    dependencies=[QUERY],
)
async def list_images(
    request: Request,
    gallery: GalleryInPath,
    limit: Limit = 100,
    cursor: Cursor = None,
    person: Annotated[
        Words | None,
        Query(description="Only this person's.", openapi_examples={"a person": {"value": "anna"}}),
    ] = None,
    camera: Annotated[
        Words | None,
        Query(description="Only from this camera.", openapi_examples={"a camera": {"value": "entrance"}}),
    ] = None,
    client_id: Annotated[
        Words | None,
        Query(
            description="Only the one that was enrolled with this client id.",
            openapi_examples={"a client id": {"value": "anna-1"}},
        ),
    ] = None,
    time_from: Annotated[
        Moment | None,
        Query(
            description="Only those taken then or later; RFC 3339, with an offset.",
            openapi_examples={"a day": {"value": _A_TIME}},
        ),
    ] = None,
    time_to: Annotated[
        Moment | None,
        Query(
            description="Only those taken before; RFC 3339, with an offset.",
            openapi_examples={"a day": {"value": _LATER}},
        ),
    ] = None,
    pending: Annotated[
        bool | None,
        Query(
            description="Only those that are pending, or only those that are not.",
            openapi_examples={"of the present model": {"value": False}},
        ),
    ] = None,
) -> PicturePage:
    """In the order in which they were enrolled, a page at a time, whatever is enrolled meanwhile."""
    assembly = assembly_of(request.app.state)
    if person is not None:
        note_about(request.state, gallery, person)
    if (fault := window_fault(time_from, time_to)) is not None:
        raise BadRequest(fault)
    page = await assembly.galleries.pictures.list(
        gallery, limit, cursor, Listed(person, camera, client_id, time_from, time_to, pending)
    )
    return PicturePage(
        items=[answers.picture(record, assembly.embedder.fingerprint) for record in page.items],
        next_cursor=page.next_cursor,
    )


@router.get(
    "/{image}",
    responses={**examples.answered(examples.PICTURE), **documented(UnknownGallery, UnknownImage)},
    summary="Look at a picture's data",
    dependencies=[QUERY],
)
async def get_image(request: Request, gallery: GalleryInPath, image: ImageInPath) -> Picture:
    """What was told of it, and how the model sees it."""
    assembly = assembly_of(request.app.state)
    return answers.picture(
        await assembly.galleries.pictures.get(gallery, image), assembly.embedder.fingerprint
    )


@router.get(
    "/{image}/file",
    response_class=Response,
    responses={
        200: {"content": {"image/*": {"schema": {"type": "string", "format": "binary"}}}},
        **documented(UnknownGallery, UnknownImage, PictureNotKept, PictureLost),
    },
    summary="Fetch a picture",
    dependencies=[QUERY],
)
async def get_file(request: Request, gallery: GalleryInPath, image: ImageInPath) -> Response:
    """The bytes that were enrolled (of a full frame, what was in the box), where the gallery keeps them."""
    content = await assembly_of(request.app.state).galleries.pictures.file(gallery, image)
    try:
        kind = media_type(content)
    except PictureError as problem:
        raise PictureLost(f"the file of image {image!r} is damaged: {problem.detail}") from problem
    return Response(content, media_type=kind, headers=_PICTURE_HEADERS)


@router.get(
    "/{image}/thumbnail",
    response_class=Response,
    responses={
        200: {"content": {THUMBNAIL_TYPE: {"schema": {"type": "string", "format": "binary"}}}},
        **documented(UnknownGallery, UnknownImage, PictureNotKept, PictureLost),
    },
    summary="Fetch a small copy of a picture",
    dependencies=[QUERY],
)
async def get_thumbnail(request: Request, gallery: GalleryInPath, image: ImageInPath) -> Response:
    """A JPEG of at most 128 x 256 pixels, upright, where the gallery keeps pictures."""
    content = await assembly_of(request.app.state).galleries.pictures.thumbnail(gallery, image)
    return Response(content, media_type=THUMBNAIL_TYPE, headers=_PICTURE_HEADERS)


@router.delete(
    "/{image}",
    status_code=204,
    responses=documented(UnknownGallery, UnknownImage),
    summary="Erase a picture",
    dependencies=[ENROL],
)
async def delete_image(request: Request, gallery: GalleryInPath, image: ImageInPath) -> None:
    """From catalog, index, files and feature cache; its person too if it was their last picture."""
    await assembly_of(request.app.state).galleries.erasure.picture(gallery, image)


def read_items(text: str | None, files: int) -> list[Item]:
    """The form field ``items``, one for each of the files.

    Raises:
        BadItems: absent, no JSON, an item does not validate (the detail names its index and field), or
            not as many as there are files.
    """
    if text is None:
        raise BadItems(
            "The form field 'items' is missing: send a JSON array with one object per file, "
            'for example [{"person": "anna"}].'
        )
    refuse_crowds(text, "items")
    try:
        items = _ITEMS.validate_json(text)
    except ValidationError as error:
        raise BadItems(*told(error.errors(), ("items",))) from error
    if len(items) != files:
        raise BadItems(
            f"There are {files} files but {len(items)} items; each file needs its item, in the same order."
        )
    return items


def _without_absent(item: EnrolledItem) -> dict[str, Any]:
    """An item as JSON members; ``problem`` only where there is one."""
    members = item.model_dump(mode="json", exclude={"problem"})
    if item.problem is not None:
        members["problem"] = item.problem.model_dump(mode="json", exclude_none=True)
    return members
