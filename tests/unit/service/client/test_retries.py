"""What is tried again, and after how long a wait."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest

from service.client import (
    AsyncClient,
    Client,
    ClientError,
    NewPicture,
    ProblemError,
    Retries,
    ServiceUnreachable,
)
from tests.played_service import (
    ANSWER,
    GALLERY,
    OVERLOADED,
    QUICK,
    REFUSED,
    Service,
    enrol_each,
    problem,
)


@pytest.mark.parametrize("fault", [OVERLOADED, REFUSED], ids=["429", "refused"])
@pytest.mark.parametrize(
    "ask",
    [
        lambda client: client.query("shop", [b"x"]),
        lambda client: client.enrol("shop", [NewPicture(b"x", "anna", client_id="1")]),
    ],
    ids=["query", "enrol with client ids"],
)
def test_repeatable_call_is_sent_again_until_it_is_taken(
    fault: httpx.Response | Exception, ask: Callable[[Client], object]
) -> None:
    def take(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=ANSWER) if request.url.path.endswith("query") else enrol_each(request)

    service = Service(fault, fault, take)
    with service.client() as client:
        ask(client)
    assert len(service.asked) == 3
    assert len({len(request.content) for request in service.asked}) == 1


@pytest.mark.parametrize("fault", [OVERLOADED, REFUSED], ids=["429", "refused"])
@pytest.mark.parametrize(
    "ask",
    [
        lambda client: client.create_gallery("shop"),
        lambda client: client.enrol("shop", [NewPicture(b"x", "a", client_id="1"), NewPicture(b"y", "b")]),
    ],
    ids=["create", "enrol without client ids"],
)
def test_call_that_could_do_harm_twice_is_sent_once(
    fault: httpx.Response | Exception, ask: Callable[[Client], object]
) -> None:
    service = Service(fault)
    with service.client() as client, pytest.raises((ProblemError, ServiceUnreachable)):
        ask(client)
    assert len(service.asked) == 1


@pytest.mark.parametrize(
    "fault", [problem(500, "internal-error"), problem(504, "deadline-exceeded"), httpx.ReadTimeout("slow")]
)
def test_other_faults_are_not_tried_again(fault: httpx.Response | Exception) -> None:
    service = Service(fault)
    with service.client() as client, pytest.raises((ProblemError, ServiceUnreachable)):
        client.model()
    assert len(service.asked) == 1


def test_patience_ends_and_the_last_fault_is_told() -> None:
    service = Service(OVERLOADED)
    with service.client() as client, pytest.raises(ProblemError) as raised:
        client.model()
    assert raised.value.status == 429
    assert len(service.asked) == QUICK.attempts

    service = Service(REFUSED)
    with service.client() as client, pytest.raises(ServiceUnreachable, match="refused"):
        client.model()
    assert len(service.asked) == QUICK.attempts


def waits(retry_after: str | None, retries: Retries, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long a client waits that is refused until its patience ends."""
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    monkeypatch.setattr(random, "uniform", lambda low, high: high)
    headers = {} if retry_after is None else {"retry-after": retry_after}
    with (
        Service(problem(429, "overloaded", headers=headers)).client(retries) as client,
        pytest.raises(ProblemError),
    ):
        client.model()
    return slept


def test_waits_double_up_to_the_longest(monkeypatch: pytest.MonkeyPatch) -> None:
    retries = Retries(attempts=6, first_wait_s=0.5, longest_wait_s=3.0)
    assert waits(None, retries, monkeypatch) == [0.5, 1.0, 2.0, 3.0, 3.0]


def test_retry_after_is_waited_for_but_not_longer_than_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    retries = Retries(attempts=3, first_wait_s=0.5, longest_wait_s=10.0)
    assert waits("4", retries, monkeypatch) == [4.0, 4.0]
    assert waits("3600", retries, monkeypatch) == [10.0, 10.0]
    assert waits("soon", retries, monkeypatch) == [0.5, 1.0]
    date = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    patient = Retries(attempts=3, first_wait_s=0.5, longest_wait_s=7200.0)
    assert all(3500.0 < wait <= 3600.0 for wait in waits(date, patient, monkeypatch))


async def test_who_waits_is_told_for_how_long_and_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random, "uniform", lambda low, high: high)
    told: list[tuple[float, type[ClientError]]] = []

    def tell(seconds: float, fault: ClientError) -> None:
        told.append((seconds, type(fault)))

    def service() -> httpx.MockTransport:
        return httpx.MockTransport(Service(OVERLOADED, REFUSED, httpx.Response(200, json=GALLERY)))

    with Client("http://service", transport=service(), retries=QUICK, on_wait=tell) as client:
        client.gallery("shop")
    async with AsyncClient("http://service", transport=service(), retries=QUICK, on_wait=tell) as other:
        await other.gallery("shop")
    assert told == [(0.001, ProblemError), (0.002, ServiceUnreachable)] * 2
