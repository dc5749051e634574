from __future__ import annotations

import json

import httpx
import pytest

from service.client.calls.batch import query_batch
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


def test_a_call_asks_for_no_more_pictures_than_whose_answers_are_put_aside() -> None:
    batch = query_batch("g", [BatchQuery([b"picture"], top_k=1000, evidence=5)] * 7)
    sent = []
    while (call := batch.next_call()) is not None:
        assert call.lines is not None
        sent.append(len(call.lines.splitlines()))
    assert sent == [3, 3, 1]  # of 5,000 pictures each, of 16,000


@pytest.mark.parametrize("status", [401, 503])
def test_a_stream_that_the_service_ended_raises_why(status: int) -> None:
    with pytest.raises(ProblemError, match="it was revoked") as ended:
        read(None, status)
    assert (ended.value.status, ended.value.slug) == (status, "unauthorised")


@pytest.mark.parametrize("statuses", [(), (None, None), (None, 422, None, None)])
def test_answers_that_are_missing_without_a_reason_are_unexpected(statuses: tuple[int | None, ...]) -> None:
    with pytest.raises(UnexpectedAnswer, match="3 queries were sent"):
        read(*statuses)
