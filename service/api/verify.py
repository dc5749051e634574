"""``/v1/verify``: is it the same person, in two pictures or in a picture and a gallery?"""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from service.api import answers
from service.api.assembly import assembly_of
from service.api.audit import note_about, note_pictures
from service.api.authentication import QUERY, KeyFirst, permit_gallery
from service.api.deadline import within
from service.api.faults import PICTURE_PROBLEMS, documented
from service.api.multipart import described, read_boxes, read_form, read_options
from service.api.schemas import examples
from service.api.schemas.decisions import rule_of
from service.api.schemas.verification import VerifyAnswer, VerifyForm
from service.problems import BadRequest, PicturesPending, UnknownGallery, UnknownPerson

router = APIRouter(prefix="/v1/verify", tags=["query"], route_class=KeyFirst)

_FILES: Final = {
    "minItems": 1,
    "maxItems": 2,
    "description": "Two pictures; or one, with `gallery` and `person`.",
}


@router.post(
    "",
    response_model=VerifyAnswer,
    responses={
        **examples.answered(examples.VERIFIED),
        **documented(*PICTURE_PROBLEMS, UnknownGallery, UnknownPerson, PicturesPending),
    },
    openapi_extra=described(
        _FILES,
        VerifyForm,
        {
            "two pictures": {"files": ["anna-1.jpg", "anna-2.jpg"]},
            "a picture and a person": {"files": ["anna-2.jpg"], "gallery": "shop", "person": "anna"},
        },
    ),
    summary="Compare two pictures, or a picture and a person",
    dependencies=[QUERY],
)
async def verify(request: Request) -> Response:
    """How alike they are, each hidden where the other is; a person counts by their most alike picture."""
    assembly = assembly_of(request.app.state)
    form = await read_form(request, max_files=2, fields=VerifyForm.model_fields)
    options = read_options(form, VerifyForm)
    boxes = read_boxes(options.boxes, len(form.files))
    note_pictures(request.state, len(form.files))
    if options.gallery is not None:
        note_about(request.state, options.gallery, *([] if options.person is None else [options.person]))
        await permit_gallery(request, "query", options.gallery)
    verifier = assembly.galleries.verifier
    async with within(assembly.settings.deadline_s):
        if len(form.files) == 2 and options.gallery is None and options.person is None:
            found = await verifier.pictures(form.files, options.unify, boxes, rule_of(options))
        elif len(form.files) == 1 and options.gallery is not None and options.person is not None:
            found = await verifier.person(
                options.gallery, options.person, form.files[0], options.unify, boxes, rule_of(options)
            )
        else:
            raise BadRequest("Send two pictures, or one picture with the fields 'gallery' and 'person'.")
    return Response(answers.verification(found).model_dump_json(), media_type="application/json")
