"""``/v1/galleries/{gallery}/query``: who in this gallery is the person in these pictures?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from service.api import answers
from service.api.assembly import Assembly, assembly_of
from service.api.audit import note_about, note_pictures
from service.api.authentication import QUERY, KeyFirst
from service.api.deadline import within
from service.api.faults import PICTURE_PROBLEMS, documented
from service.api.multipart import described, read_boxes, read_form, read_options
from service.api.named import GalleryInPath
from service.api.schemas import examples
from service.api.schemas.decisions import rule_of
from service.api.schemas.queries import BatchQuery, QueryAnswer, QueryForm
from service.embedding.box import Box
from service.gallery import QueryOptions
from service.overlays import QueryOverlays
from service.problems import BadRequest, UnknownGallery
from service.storage.filters import Filters

router = APIRouter(prefix="/v1/galleries/{gallery}/query", tags=["query"], route_class=KeyFirst)

_FILES: Final = {
    "minItems": 1,
    "maxItems": 16,
    "description": "Pictures of one person: JPEG, PNG, WebP, BMP or TIFF.",
}


@router.post(
    "",
    response_model=QueryAnswer,
    responses={
        **examples.answered(examples.QUERY),
        **documented(*PICTURE_PROBLEMS, UnknownGallery),
    },
    openapi_extra=described(
        _FILES,
        QueryForm,
        {
            "who it is": {"files": ["anna-2.jpg"], "top_k": 3},
            "who of those of the night it is, ranked again and drawn": {
                "files": ["anna-2.jpg", "anna-3.jpg"],
                "cameras": '["entrance", "yard"]',
                "metadata": '{"shift": "night"}',
                "time_from": "2026-01-31T00:00:00+01:00",
                "rerank": True,
                "evidence": 3,
                "overlays": True,
            },
        },
    ),
    summary="Find a person",
    dependencies=[QUERY],
)
async def query(request: Request, gallery: GalleryInPath) -> Response:
    """Rank the gallery's people, or pictures, by likeness to the person in 1 to 16 pictures.

    Filters narrow what is looked at. What the index keeps flat is searched exactly; of what it keeps
    clustered, most of the best are found, and all of them where a filter leaves an eighth or less.
    `fuse` scores the candidates that a search of whole pictures finds, and all where there are few.
    """
    assembly = assembly_of(request.app.state)
    settings = assembly.settings
    form = await read_form(request, max_files=settings.max_query_files, fields=QueryForm.model_fields)
    note_pictures(request.state, len(form.files))
    options = read_options(form, QueryForm)
    about: list[str] = []

    def note(names: Sequence[str]) -> None:
        about.extend(names)
        note_about(request.state, gallery, *about)

    found = await answer_query(
        assembly, gallery, form.files, options, read_boxes(options.boxes, len(form.files)), note
    )
    return Response(found.model_dump_json(), media_type="application/json")


async def answer_query(
    assembly: Assembly,
    gallery: str,
    pictures: Sequence[bytes],
    asked: QueryForm | BatchQuery,
    boxes: Sequence[Box | None],
    note: Callable[[Sequence[str]], None] = lambda _: None,
) -> QueryAnswer:
    """The answer to one query, however it was sent.

    Args:
        asked: its options.
        boxes: one for each picture, or none at all.
        note: told whom the query is about, for the audit trail: people that its filter names, and pictures
            of the gallery that the answer shows.
    """
    note(asked.people or ())
    most = assembly.settings.max_top_k
    if asked.top_k > most:
        raise BadRequest(f"top_k: at most {most}, not {asked.top_k}")
    options = QueryOptions(
        asked.top_k,
        asked.by,
        asked.unify,
        boxes,
        Filters(
            cameras=asked.cameras or (),
            people=asked.people or (),
            exclude_cameras=asked.exclude_cameras or (),
            exclude_people=asked.exclude_people or (),
            time_from=asked.time_from,
            time_to=asked.time_to,
            metadata=asked.metadata or {},
        ),
        rule_of(asked),
        asked.rerank,
        asked.evidence,
    )
    async with within(assembly.settings.deadline_s):
        found = await assembly.galleries.queries.answer(gallery, pictures, options)
        assembly.metrics.search_seconds.observe(found.timings.search / 1000)
        drawn: QueryOverlays | None = None
        if asked.overlays:
            box = boxes[0] if boxes else None
            drawn = await assembly.overlays.draw(gallery, pictures[0], box, asked.unify, found)
            shown = zip(found.results, drawn.results, strict=False)
            note([match.image for match, over in shown if over.gallery is not None])
    return answers.query_answer(found, drawn)
