"""``/v1/galleries/{gallery}/query``: who in this gallery is the person in these pictures?"""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter, Request
from pydantic import ValidationError
from starlette.responses import Response

from service.api import answers
from service.api.assembly import assembly_of
from service.api.faults import documented, field_name
from service.api.multipart import read_form
from service.api.schemas import QUERY_EXAMPLE, QueryAnswer, QueryForm
from service.gallery import QueryOptions
from service.problems import (
    BadRequest,
    BodyTooLarge,
    BrokenPicture,
    DeadlineExceeded,
    EmptyPicture,
    NotAPicture,
    Overloaded,
    PictureTooLarge,
    Unavailable,
    UnknownGallery,
    UnsupportedFormat,
)

router = APIRouter(prefix="/v1/galleries/{gallery}/query", tags=["query"])

_FORM: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["files"],
                    "additionalProperties": False,
                    "properties": {
                        "files": {
                            "type": "array",
                            "minItems": 1,
                            "maxItems": 16,
                            "items": {"type": "string", "format": "binary"},
                            "description": "Pictures of one person: JPEG, PNG, WebP, BMP or TIFF.",
                        },
                        **QueryForm.model_json_schema()["properties"],
                    },
                }
            }
        },
    }
}


@router.post(
    "",
    response_model=QueryAnswer,
    responses={
        200: {"content": {"application/json": {"example": QUERY_EXAMPLE}}},
        **documented(
            BadRequest,
            EmptyPicture,
            NotAPicture,
            BrokenPicture,
            UnsupportedFormat,
            PictureTooLarge,
            BodyTooLarge,
            UnknownGallery,
            Overloaded,
            Unavailable,
            DeadlineExceeded,
        ),
    },
    openapi_extra=_FORM,
    summary="Find a person",
)
async def query(request: Request, gallery: str) -> Response:
    """Rank the gallery's people, or pictures, by likeness to the person in 1 to 16 pictures."""
    assembly = assembly_of(request.app.state)
    settings = assembly.settings
    form = await read_form(request, max_files=settings.max_query_files, fields=QueryForm.model_fields)
    try:
        options = QueryForm.model_validate(form.fields)
    except ValidationError as error:
        faults = "; ".join(f"{field_name(fault['loc'])}: {fault['msg']}" for fault in error.errors())
        raise BadRequest(faults) from error
    if options.top_k > settings.max_top_k:
        raise BadRequest(f"top_k: at most {settings.max_top_k}, not {options.top_k}")
    found = await assembly.galleries.query(
        gallery, form.files, QueryOptions(options.top_k, options.by, options.unify)
    )
    assembly.metrics.search_seconds.observe(found.timings.search / 1000)
    return Response(answers.query_answer(found).model_dump_json(), media_type="application/json")
