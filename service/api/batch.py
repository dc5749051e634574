"""``/v1/galleries/{gallery}/query/batch``: many queries as one stream, for work that nobody waits for.

One JSON object a line comes in, one goes out, in the same order and while the rest is still being sent. A
line that cannot be answered gets its problem; the others go on. The stream may be as long as it likes, and is
read no further than there is work for: at most ``batch_concurrency`` queries are worked on, and while answers
of :data:`_UNSENT_BYTES` wait for a caller who does not read them, no further line is taken.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import Final

from fastapi import APIRouter, Request
from pydantic import ValidationError
from pydantic_core import from_json
from starlette.datastructures import State
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from service.api.assembly import Assembly, assembly_of
from service.api.audit import add_about, add_pictures, note_stream
from service.api.authentication import QUERY, KeyFirst
from service.api.connection import held_up
from service.api.faults import ProblemDocument, document, documented
from service.api.field_faults import refuse_crowds, told
from service.api.lines import Line, in_time, lines_of
from service.api.linger import linger
from service.api.multipart import read_boxes
from service.api.named import GalleryInPath
from service.api.pace import Pace
from service.api.query import answer_query
from service.api.schemas.queries import (
    BATCH_ANSWER_EXAMPLE,
    MAX_ID_LENGTH,
    BatchAnswer,
    BatchQuery,
    QueryAnswer,
)
from service.api.stay import Ended, Stay
from service.problems import (
    BadRequest,
    BodyTooLarge,
    Overloaded,
    Problem,
    UnknownGallery,
)
from service.storage.faults import storage_problem

router = APIRouter(prefix="/v1/galleries/{gallery}/query/batch", tags=["query"], route_class=KeyFirst)

_log = logging.getLogger(__name__)

NDJSON: Final = "application/x-ndjson"
_MEDIA_TYPES: Final = (NDJSON, "application/ndjson", "application/jsonl")

_UNSENT_BYTES: Final = 16 * 1024 * 1024

_OVERLOADED_TRIES: Final = 5

_PICTURE: Final = (
    "iVBORw0KGgoAAAANSUhEUgAAAAQAAAAICAIAAABRUclSAAAAFElEQVR42mOMqljAAANMDEiAuhwAls4Bgjg7Z+gAAAAASUVORK5CYII="
)
"""A PNG of 4 x 8 pixels, so that the example runs as it stands."""

_EXAMPLE: Final = f'{{"id": "frame-17", "pictures": ["{_PICTURE}"], "top_k": 3}}\n'


class LastAnswer(bytes):
    """An answer after which the stream ends, whatever else was sent."""


async def in_order(
    lines: AsyncIterator[Line], answer: Callable[[Line], Awaitable[bytes]], concurrency: int
) -> AsyncGenerator[bytes, None]:
    """The answers in the order of the lines, several worked on at a time, each as soon as it may go out.

    What is being worked on when a :class:`LastAnswer` has gone out is given up.
    """
    slots = asyncio.Semaphore(concurrency)
    begun: asyncio.Queue[asyncio.Task[bytes] | None] = asyncio.Queue()
    unsent = 0
    sent = asyncio.Event()

    async def work(line: Line) -> bytes:
        nonlocal unsent
        try:
            content = await answer(line)
        finally:
            slots.release()
        unsent += len(content)
        return content

    async def read() -> None:
        try:
            while True:
                await slots.acquire()
                while unsent > _UNSENT_BYTES:
                    sent.clear()
                    await sent.wait()
                line = await anext(lines, None)
                if line is None:
                    return
                begun.put_nowait(asyncio.create_task(work(line)))
        finally:
            begun.put_nowait(None)

    reader = asyncio.create_task(read())
    task = None
    try:
        while (task := await begun.get()) is not None:
            await asyncio.wait({task, reader}, return_when=asyncio.FIRST_COMPLETED)
            if reader.done() and reader.exception() is not None:
                break  # the caller has hung up; a line may wait for its rate for long
            content = await task
            yield content
            if isinstance(content, LastAnswer):
                return
            unsent -= len(content)
            sent.set()
        await reader
    finally:
        reader.cancel()
        left = [task]
        while not begun.empty():
            left.append(begun.get_nowait())
        for one in left:
            if one is not None:
                one.cancel()


class _Stream(Response):
    """Sends while the body is still being received; Starlette's own would take the body for itself."""

    media_type = NDJSON

    def __init__(self, contents: AsyncGenerator[bytes, None]) -> None:
        super().__init__()
        del self.headers["content-length"]
        self._contents = contents

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        async with contextlib.aclosing(self._contents) as contents:
            async for content in contents:
                await send({"type": "http.response.body", "body": content, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


@router.post(
    "",
    response_class=Response,
    responses={
        200: {
            "description": "One JSON object a line, in the order of the lines sent.",
            "content": {
                NDJSON: {
                    "schema": {"$ref": "#/components/schemas/BatchAnswer"},
                    "example": BATCH_ANSWER_EXAMPLE,
                }
            },
            "model": BatchAnswer,
        },
        **documented(BadRequest, UnknownGallery),
    },
    openapi_extra={
        "requestBody": {
            "required": True,
            "description": "One JSON object a line.",
            "content": {NDJSON: {"schema": BatchQuery.model_json_schema(), "example": _EXAMPLE}},
        }
    },
    summary="Find many people",
    dependencies=[QUERY],
)
async def query_batch(request: Request, gallery: GalleryInPath) -> Response:
    """Answer a stream of queries, one JSON object a line, in order and while it comes.

    A line that cannot be answered gets its problem, and the others go on. A line may have as many bytes as
    `PENUMBRA_MAX_LINE_BYTES` says; the stream has no limit. Where the service is busy, or the key's rate is
    used up, the stream waits. Read answers while you send: while many lie unread, no more lines are taken.
    A stream on which no line begins for `PENUMBRA_BODY_DEADLINE_S`, or of whose line too little comes, ends
    with a problem in the line's place; so does one whose key ends meanwhile, and one on which nothing is sent
    any more when the service stops.
    """
    assembly = assembly_of(request.app.state)
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind not in _MEDIA_TYPES:
        raise BadRequest(f"A batch travels as {NDJSON}, one JSON object a line; this is {kind or 'untyped'}.")
    await assembly.galleries.get(gallery)
    note_stream(request.state)
    return _Stream(_answers(request, assembly, gallery))


async def _answers(request: Request, assembly: Assembly, gallery: str) -> AsyncGenerator[bytes, None]:
    """What is answered to the lines of a request's body, in order."""
    settings = assembly.settings
    at_work = 0
    answered = time.monotonic()

    async def answer(line: Line) -> bytes:
        nonlocal at_work, answered
        at_work += 1
        try:
            return await _answer(assembly, gallery, line, stay, request.state)
        finally:
            at_work -= 1
            answered = time.monotonic()

    def idle_s() -> float:
        return 0.0 if at_work else time.monotonic() - answered

    stay = Stay(request.state.standing, request.app.state.stopping, settings.shutdown_grace_s, idle_s)
    pace = Pace(settings.body_deadline_s, settings.body_bytes_per_s)
    end = asyncio.create_task(stay.end())
    lines = lines_of(in_time(request.stream(), pace, idle_s, end), settings.max_line_bytes)
    content = b""
    try:
        async with contextlib.aclosing(in_order(lines, answer, settings.batch_concurrency)) as contents:
            async for content in contents:
                yield content
    finally:
        end.cancel()
    if isinstance(content, LastAnswer):
        await linger(request.receive)


async def _answer(
    assembly: Assembly,
    gallery: str,
    line: Line,
    stay: Stay,
    state: State,
) -> bytes:
    """One line's answer, whatever becomes of it; what is asked is noted in the request's state."""
    id: str | None = None
    found: QueryAnswer | None = None
    problem: Problem | None = None
    is_last = False
    try:
        if line.content is None:
            raise BodyTooLarge(f"The line has more than {assembly.settings.max_line_bytes} bytes.")
        if isinstance(line.content, Problem):
            raise Ended(line.content)
        with held_up(state):
            await stay.admit()
        try:
            asked, pictures = await asyncio.to_thread(_read, line.content)
        except BadRequest:
            id = await asyncio.to_thread(_id_in, line.content)
            raise
        id = asked.id
        add_pictures(state, len(pictures))
        if len(pictures) > assembly.settings.max_query_files:
            raise BadRequest(f"pictures: at most {assembly.settings.max_query_files}, not {len(pictures)}")
        for attempt in range(_OVERLOADED_TRIES):
            try:
                boxes = read_boxes(asked.boxes, len(pictures))
                found = await answer_query(
                    assembly, gallery, pictures, asked, boxes, lambda names: add_about(state, names)
                )
                break
            except Overloaded as busy:
                if attempt == _OVERLOADED_TRIES - 1:
                    raise
                await asyncio.sleep(busy.retry_after_s)
    except Ended as ended:
        problem, is_last = ended.problem, True
    except Problem as fault:
        problem = fault
    except Exception as error:
        problem = storage_problem(error)
        if problem is None:
            _log.exception("line %d of a batch failed", line.number)
            problem = Problem("The service failed on this line; its log says why.")
    described = None if problem is None else ProblemDocument(**document(problem))
    answered = BatchAnswer(line=line.number, id=id, answer=found, problem=described)
    # as everywhere, a problem has no members that say nothing
    silent = {"request_id"} if described is not None and described.errors else {"request_id", "errors"}
    content = answered.model_dump_json(exclude={"problem": silent}).encode() + b"\n"
    return LastAnswer(content) if is_last else content


def _read(content: bytes) -> tuple[BatchQuery, list[bytes]]:
    """A line's query, and its pictures' bytes.

    Raises:
        BadRequest: it is no such JSON object, or has too many values, or a picture is not base64.
    """
    refuse_crowds(content, "The line")
    try:
        asked = BatchQuery.model_validate_json(content)
    except ValidationError as error:
        raise BadRequest(*told(error.errors())) from error
    pictures = []
    for place, picture in enumerate(asked.pictures):
        try:
            pictures.append(base64.b64decode(picture, validate=True))
        except (binascii.Error, ValueError) as error:
            raise BadRequest(f"pictures[{place}]: not base64: {error}") from error
    return asked, pictures


def _id_in(content: bytes) -> str | None:
    """The id of a line that is no query, so that its sender knows which; None where it cannot be read."""
    try:
        line = from_json(content)
    except ValueError:
        return None
    id = line.get("id") if isinstance(line, dict) else None
    return id if isinstance(id, str) and len(id) <= MAX_ID_LENGTH else None
