"""Enrolling through the client: cut into calls, put together again; no service behind it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.client import (
    BatchQuery,
    Filters,
    NewPicture,
    ProblemError,
    UnexpectedAnswer,
)
from service.problems import PictureError
from tests.played_service import (
    Service,
    enrol_each,
    items_of,
    problem,
)


def test_enrolment_goes_out_in_calls_of_64_and_comes_back_in_order(tmp_path: Path) -> None:
    file = tmp_path / "picture.jpg"
    file.write_bytes(b"bytes of a file")
    pictures = [NewPicture(file, "anna", client_id=str(number)) for number in range(130)]
    service, told = Service(enrol_each), []
    with service.client() as client:
        outcomes = client.enrol("shop", pictures, on_answer=lambda answered: told.append(len(answered)))
    assert [outcome.id for outcome in outcomes] == [f"id-{number}" for number in range(130)]
    assert [len(items_of(request)) for request in service.asked] == told == [64, 64, 2]
    assert all(b"bytes of a file" in request.content for request in service.asked)


def test_enrolment_is_cut_before_a_call_grows_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.client.calls.enrolment.BYTES_PER_CALL", 100)
    sizes = [60, 30, 20, 200, 1]
    pictures = [NewPicture(b"x" * size, "anna", client_id=str(size)) for size in sizes]
    service = Service(enrol_each)
    with service.client() as client:
        client.enrol("shop", pictures)
    sent = [[int(item["client_id"]) for item in items_of(request)] for request in service.asked]
    assert sent == [[60, 30], [20], [200], [1]]


def test_enrolment_sends_what_is_known_of_a_picture_and_nothing_else() -> None:
    moment = datetime(2026, 11, 20, 12, tzinfo=UTC)
    full = NewPicture(
        b"x", "Ann-Åsa", camera="c1", time=moment, client_id="a/1", metadata={"shelf": [1, None]}
    )
    taken = [{"id": "1", "status": "enrolled"}, {"id": "2", "status": "enrolled"}]
    service = Service(httpx.Response(201, json={"items": taken}))
    with service.client() as client:
        client.enrol("shop", [full, NewPicture(b"y", "bo")])
    assert items_of(service.asked[0]) == [
        {
            "person": "Ann-Åsa",
            "camera": "c1",
            "time": "2026-11-20T12:00:00+00:00",
            "client_id": "a/1",
            "metadata": {"shelf": [1, None]},
        },
        {"person": "bo"},
    ]


def test_times_are_sent_in_rfc_3339s_form_whatever_their_offset() -> None:
    local_mean_time = timezone(timedelta(minutes=19, seconds=32))
    noon = datetime(1900, 1, 1, 12, tzinfo=local_mean_time)
    expected = "1900-01-01T11:40:28+00:00"
    assert NewPicture(b"x", "anna", time=noon).item()["time"] == expected
    asked = Filters(time_from=noon, time_to=noon)
    assert asked.form() == {"time_from": expected, "time_to": expected}
    line = json.loads(BatchQuery([b"x"], filters=asked).line())
    assert (line["time_from"], line["time_to"]) == (expected, expected)


def test_every_fault_of_a_picture_is_told_of_the_picture_also_where_it_was_sent_alone() -> None:
    faults: list[type[PictureError]] = [PictureError, *PictureError.__subclasses__()]
    for fault in faults:
        service = Service(problem(fault.status, fault.slug))
        with service.client() as client:
            (outcome,) = client.enrol("shop", [NewPicture(b"x", "anna", client_id="a")])
        assert (outcome.status, outcome.client_id) == ("failed", "a"), fault


def test_time_without_a_zone_is_refused_before_anything_is_sent() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        NewPicture(b"x", "anna", time=datetime(2026, 11, 20))


def test_pictures_that_all_failed_are_told_one_by_one() -> None:
    items = [
        {"id": None, "client_id": "a", "status": "failed", "problem": {"status": 422, "detail": "no picture"}}
    ]
    with Service(problem(422, "bad-picture", items=items * 2)).client() as client:
        outcomes = client.enrol("shop", [NewPicture(b"x", "anna"), NewPicture(b"y", "anna")])
    assert [outcome.status for outcome in outcomes] == ["failed", "failed"]
    assert outcomes[0].problem is not None
    assert outcomes[0].problem.detail == "no picture"


@pytest.mark.parametrize(("status", "slug"), [(422, "not-a-picture"), (413, "picture-too-large")])
def test_bad_picture_left_alone_in_its_call_fails_alone(status: int, slug: str) -> None:
    service = Service(enrol_each, problem(status, slug))
    pictures = [NewPicture(b"x", "anna", client_id=str(number)) for number in range(65)]
    with service.client() as client:
        outcomes = client.enrol("shop", pictures)
    assert [outcome.status for outcome in outcomes] == ["enrolled"] * 64 + ["failed"]
    assert outcomes[-1].client_id == "64"
    assert outcomes[-1].problem is not None
    assert (outcomes[-1].problem.status, outcomes[-1].problem.detail) == (status, f"about {slug}")


def busy(taken: int) -> Callable[[httpx.Request], httpx.Response]:
    """Takes so many pictures of a call, and turns the others away."""

    def answer(request: httpx.Request) -> httpx.Response:
        items: list[dict[str, Any]] = []
        for number, item in enumerate(items_of(request)):
            client_id = item.get("client_id")
            fault = {"status": (504, 429, 503)[number % 3], "detail": "busy"}
            items.append(
                {"id": f"id-{client_id}", "client_id": client_id, "status": "enrolled"}
                if number < taken
                else {"id": None, "client_id": client_id, "status": "failed", "problem": fault}
            )
        return httpx.Response(201, json={"items": items})

    return answer


def test_pictures_that_a_busy_service_turned_away_are_sent_again_in_their_place() -> None:
    service, told = Service(busy(30)), []
    pictures = [NewPicture(b"x", "anna", client_id=str(number)) for number in range(100)]
    with service.client() as client:
        outcomes = client.enrol("shop", pictures, on_answer=lambda answered: told.extend(answered))
    assert [outcome.id for outcome in outcomes] == [f"id-{number}" for number in range(100)]
    assert len(told) == 100
    assert [len(items_of(request)) for request in service.asked] == [64, 64, 40, 10]


def test_service_that_takes_nothing_is_not_asked_for_ever() -> None:
    service = Service(busy(0))
    pictures = [NewPicture(b"x", "anna", client_id=str(number)) for number in range(3)]
    with service.client() as client:
        assert [outcome.status for outcome in client.enrol("shop", pictures)] == ["failed"] * 3
    assert len(service.asked) == 1


@pytest.mark.parametrize("status", [429, 503, 504])
@pytest.mark.parametrize("first", [63, 64])
def test_what_got_in_is_told_though_the_rest_is_turned_away(status: int, first: int) -> None:
    """The rest is one picture, of the first call or of one of its own: its problem is the whole answer."""
    service = Service(busy(first), problem(status, "unavailable"))
    pictures = [NewPicture(b"x", "anna", client_id=str(number)) for number in range(first + 1)]
    with service.client() as client:
        outcomes = client.enrol("shop", pictures)
    assert [outcome.status for outcome in outcomes] == ["enrolled"] * first + ["failed"]
    assert [outcome.client_id for outcome in outcomes] == [str(number) for number in range(first + 1)]
    assert outcomes[-1].problem is not None
    assert outcomes[-1].problem.status == status
    many = [NewPicture(b"x", "anna", client_id=str(number)) for number in range(130)]
    service = Service(busy(64), problem(status, "unavailable"))
    with service.client() as client:
        statuses = [outcome.status for outcome in client.enrol("shop", many)]
    assert statuses == ["enrolled"] * 64 + ["failed"] * 66


def test_a_service_that_has_gone_away_is_not_asked_for_each_of_many() -> None:
    service, told = Service(busy(64), problem(503, "unavailable")), []
    many = [NewPicture(b"x", "anna", client_id=str(number)) for number in range(1000)]
    with service.client() as client:
        outcomes = client.enrol("shop", many, on_answer=lambda answered: told.extend(answered))
    assert [outcome.status for outcome in outcomes] == ["enrolled"] * 64 + ["failed"] * 936
    assert [outcome.client_id for outcome in outcomes] == [str(number) for number in range(1000)]
    assert {outcome.problem.status for outcome in outcomes if outcome.problem is not None} == {503}
    assert len(told) == 1000
    assert len(service.asked) == 1 + 3


def test_a_service_that_took_nothing_at_all_says_so_by_its_problem() -> None:
    with Service(problem(503, "unavailable")).client() as client, pytest.raises(ProblemError):
        client.enrol("shop", [NewPicture(b"x", "anna", client_id="a")])


def test_picture_without_client_id_that_was_turned_away_is_not_sent_again() -> None:
    service = Service(busy(1))
    with service.client() as client:
        outcomes = client.enrol("shop", [NewPicture(b"x", "anna"), NewPicture(b"y", "bo")])
    assert [outcome.status for outcome in outcomes] == ["enrolled", "failed"]
    assert len(service.asked) == 1


def test_answer_about_another_number_of_pictures_is_told() -> None:
    short = httpx.Response(201, json={"items": [{"id": "1", "status": "enrolled"}]})
    with Service(short).client() as client, pytest.raises(UnexpectedAnswer, match="2 pictures"):
        client.enrol("shop", [NewPicture(b"x", "anna"), NewPicture(b"y", "bo")])


def test_fault_of_the_whole_enrolment_is_raised() -> None:
    with Service(problem(404, "unknown-gallery")).client() as client, pytest.raises(ProblemError):
        client.enrol("shop", [NewPicture(b"x", "anna")])
