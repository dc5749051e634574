"""``/v1/embed``: what the model makes of pictures, and nothing kept."""

from __future__ import annotations

from typing import Final

import numpy as np
from fastapi import APIRouter, Request
from starlette.responses import Response

from models import occlusion
from service.api import answers
from service.api.assembly import assembly_of
from service.api.audit import note_pictures
from service.api.authentication import QUERY, KeyFirst
from service.api.faults import PICTURE_PROBLEMS, documented
from service.api.multipart import described, read_boxes, read_form, read_options
from service.api.schemas import examples
from service.api.schemas.embedding import EmbedAnswer, Embedding, EmbedForm
from service.embedding.features import PictureFeatures
from service.embedding.together import embed_together
from service.gallery import Grade

router = APIRouter(prefix="/v1/embed", tags=["query"], route_class=KeyFirst)

_FILES: Final = {
    "minItems": 1,
    "maxItems": 64,
    "description": "The pictures: JPEG, PNG, WebP, BMP or TIFF.",
}


@router.post(
    "",
    response_model=EmbedAnswer,
    responses={
        **examples.answered(examples.EMBEDDED),
        **documented(*PICTURE_PROBLEMS),
    },
    openapi_extra=described(
        _FILES,
        EmbedForm,
        {
            "a picture, whole and without its lower half": {
                "files": ["anna-1.jpg"],
                "occlusions": '["none", "bottom_half"]',
            }
        },
    ),
    summary="Embed pictures",
    dependencies=[QUERY],
)
async def embed(request: Request) -> Response:
    """Embeddings and grades of 1 to 64 pictures, for callers who compare by themselves."""
    assembly = assembly_of(request.app.state)
    form = await read_form(request, max_files=assembly.settings.max_files, fields=EmbedForm.model_fields)
    note_pictures(request.state, len(form.files))
    options = read_options(form, EmbedForm)
    boxes = read_boxes(options.boxes, len(form.files))
    codes = tuple(dict.fromkeys(occlusion.code_of(name) for name in options.occlusions))
    pictures = await embed_together(assembly.embedder, form.files, codes, boxes)
    answer = EmbedAnswer(
        items=[_embedding(picture, codes) for picture in pictures], model=assembly.embedder.fingerprint
    )
    return Response(answer.model_dump_json(), media_type="application/json")


def _embedding(picture: PictureFeatures, codes: tuple[int, ...]) -> Embedding:
    return Embedding(
        occlusion=answers.grade(Grade(picture.occlusion, picture.scores)),
        embeddings={
            # seven digits: about what float32 holds, in half the text
            occlusion.NAMES[code]: np.round(picture.embeddings[code].astype(np.float64), 7).tolist()
            for code in codes
        },
    )
