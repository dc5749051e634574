from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from service.api.batch import _UNSENT_BYTES
from service.client.call import Call
from service.client.calls.batch import ANSWER_BYTES_PER_CALL, QUERIES_PER_CALL, query_batch
from service.client.faults import ProblemError, UnexpectedAnswer
from service.client.requests import BatchQuery

PROBLEM = {"type": "https://penumbra.invalid/problems/unauthorised", "title": "No key", "status": 401}


def answer(line: int, status: int | None) -> str:
    problem = None if status is None else {**PROBLEM, "status": status, "detail": "it was revoked"}
    return json.dumps({"line": line, "id": None, "answer": None, "problem": problem})


def read(*statuses: int | None) -> list[int | None]:
    """Of three queries, what the client makes of answers with problems of these statuses."""
    call = query_batch("g", [BatchQuery([b"picture"])] * 3).next_call()
    assert call is not None
    answers = "\n".join(answer(line, status) for line, status in enumerate(statuses, 1))
    read = call.read(httpx.Response(200, text=answers))
    return [one.problem and one.problem.status for one in read]


def test_a_query_that_fails_does_not_raise() -> None:
    assert read(None, 422, 413) == [None, 422, 413]


@pytest.mark.parametrize(
    ("asked", "at_first", "then"),
    [
        (BatchQuery([b"picture"]), 64, 64),
        (BatchQuery([b"picture"], top_k=100), 7, 64),
        (BatchQuery([b"picture"], top_k=1000), 1, 17),
        (BatchQuery([b"picture"], top_k=1000, evidence=5), 1, 3),
        (BatchQuery([b"picture"], overlays=True), 6, 6),
    ],
    ids=["ten", "a hundred", "a thousand", "with evidence", "with overlays"],
)
def test_a_call_has_no_more_queries_than_whose_answers_are_put_aside(
    asked: BatchQuery, at_first: int, then: int
) -> None:
    """What a picture in an answer takes, 300 bytes or with its metadata 20 KiB, the first answers tell."""
    assert len(lines_of(query_batch("g", [asked] * 99).next_call())) == at_first
    batch = query_batch("g", [BatchQuery([b"picture"])] * QUERIES_PER_CALL + [asked] * 99)
    first = batch.next_call()
    assert first is not None
    found = {"rank": 1, "person": "p", "score": 1, "image": {"id": "i"}, "compared": "none"}
    seen = {"query": {"occlusion": {"type": "none"}}, "results": [found], "model": "m", "timings": {}}
    said = json.dumps({"id": None, "answer": seen, "problem": None}).ljust(300)
    first.read(httpx.Response(200, text="\n".join([said] * QUERIES_PER_CALL)))
    assert len(lines_of(batch.next_call())) == then


def lines_of(call: Call[Any] | None) -> list[bytes]:
    assert call is not None
    assert isinstance(call.lines, bytes)
    return call.lines.splitlines()


def test_the_service_puts_aside_what_a_call_may_be_answered_with() -> None:
    assert 3 * ANSWER_BYTES_PER_CALL <= _UNSENT_BYTES


@pytest.mark.parametrize("status", [401, 503])
def test_a_stream_that_the_service_ended_raises_why(status: int) -> None:
    with pytest.raises(ProblemError, match="it was revoked") as ended:
        read(None, status)
    assert (ended.value.status, ended.value.slug) == (status, "unauthorised")


@pytest.mark.parametrize("statuses", [(), (None, None), (None, 422, None, None)])
def test_answers_that_are_missing_without_a_reason_are_unexpected(statuses: tuple[int | None, ...]) -> None:
    with pytest.raises(UnexpectedAnswer, match="3 queries were sent"):
        read(*statuses)
