"""``/v1/galleries/{gallery}/query``: who in this gallery is the person in these pictures?"""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from service.api import answers
from service.api.assembly import assembly_of
from service.api.audit import note_pictures
from service.api.authentication import QUERY
from service.api.faults import PICTURE_PROBLEMS, documented
from service.api.multipart import described, read_boxes, read_form, read_options
from service.api.schemas import QUERY_EXAMPLE, QueryAnswer, QueryForm, rule_of
from service.gallery import QueryOptions
from service.problems import BadRequest, UnknownGallery
from service.storage.filters import Filters

router = APIRouter(prefix="/v1/galleries/{gallery}/query", tags=["query"])

_FILES: Final = {
    "minItems": 1,
    "maxItems": 16,
    "description": "Pictures of one person: JPEG, PNG, WebP, BMP or TIFF.",
}


@router.post(
    "",
    response_model=QueryAnswer,
    responses={
        200: {"content": {"application/json": {"example": QUERY_EXAMPLE}}},
        **documented(*PICTURE_PROBLEMS, UnknownGallery),
    },
    openapi_extra=described(_FILES, QueryForm),
    summary="Find a person",
    dependencies=[QUERY],
)
async def query(request: Request, gallery: str) -> Response:
    """Rank the gallery's people, or pictures, by likeness to the person in 1 to 16 pictures.

    Filters narrow what is looked at; the search among what is left is exact, however little it is.
    """
    assembly = assembly_of(request.app.state)
    settings = assembly.settings
    form = await read_form(request, max_files=settings.max_query_files, fields=QueryForm.model_fields)
    note_pictures(request.state, len(form.files))
    options = read_options(form, QueryForm)
    if options.top_k > settings.max_top_k:
        raise BadRequest(f"top_k: at most {settings.max_top_k}, not {options.top_k}")
    found = await assembly.galleries.query(
        gallery,
        form.files,
        QueryOptions(
            options.top_k,
            options.by,
            options.unify,
            read_boxes(options.boxes, len(form.files)),
            Filters(
                cameras=options.cameras or (),
                people=options.people or (),
                exclude_cameras=options.exclude_cameras or (),
                exclude_people=options.exclude_people or (),
                time_from=options.time_from,
                time_to=options.time_to,
            ),
            rule_of(options),
        ),
    )
    assembly.metrics.search_seconds.observe(found.timings.search / 1000)
    return Response(answers.query_answer(found).model_dump_json(), media_type="application/json")
