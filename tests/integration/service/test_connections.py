"""Connections on which no request comes, or no answer is read: they may cost next to nothing."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from service.api import connection
from service.api.stay import Stay
from service.client import Client, NewPicture
from tests.drawings import encoded, person
from tests.serving import Serving, handmade_settings, serving
from tests.waiting import until

HEAD = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"
BATCH = (
    b"POST /v1/galleries/wordy/query/batch HTTP/1.1\r\nHost: localhost\r\n"
    b"Content-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n"
)
_QUERY = json.dumps({"pictures": [base64.b64encode(encoded(person(1))).decode()]}).encode() + b"\n"
LINE = b"%x\r\n%b\r\n" % (len(_QUERY), _QUERY)
MUCH = b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    folder: Path = tmp_path_factory.mktemp("service")
    with serving(handmade_settings(folder)) as running:
        yield running


@contextmanager
def connected(service: Serving) -> Iterator[socket.socket]:
    address = urlsplit(service.url)
    with socket.create_connection((address.hostname, address.port), timeout=60) as caller:
        yield caller


def status(caller: socket.socket) -> int:
    answer = http.client.HTTPResponse(caller, method="GET")
    answer.begin()
    answer.read()
    return answer.status


@pytest.mark.parametrize(
    ("begun", "more"),
    [
        (HEAD + b"X-A: ", b"a" * 1000),
        (HEAD, b"X-A: b\r\n" * 125),
        (b"GET /", b"a" * 1000),
        (b"POST /healthz HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n", b"X-A: b\r\n" * 125),
    ],
    ids=["a header", "headers", "a path", "trailers"],
)
def test_a_head_without_an_end_is_not_kept(service: Serving, begun: bytes, more: bytes) -> None:
    sent = 0
    with connected(service) as caller, contextlib.suppress(ConnectionError):
        caller.sendall(begun)
        while sent < 50_000_000:  # more than the kernel takes on the way
            caller.sendall(more)
            sent += len(more)
    assert sent < 50_000_000


def test_a_head_that_is_too_large_is_told_so_and_one_that_is_large_is_answered(service: Serving) -> None:
    with connected(service) as caller:
        caller.sendall(HEAD + b"X-A: " + b"a" * 60_000 + b"\r\n\r\n")
        assert status(caller) == 200
    with connected(service) as caller:
        caller.sendall(HEAD + b"X-A: " + b"a" * 70_000)
        answer = http.client.HTTPResponse(caller, method="GET")
        answer.begin()
        assert answer.status == 431
        assert json.loads(answer.read())["type"].endswith("/head-too-large")


@pytest.mark.parametrize(
    ("drop", "answered"), [(b"", False), (b"X", False), (b"X", True), (b"\r\n", False), (b"\r\n", True)]
)
def test_a_head_that_does_not_come_is_not_waited_for(
    service: Serving, monkeypatch: pytest.MonkeyPatch, drop: bytes, answered: bool
) -> None:
    monkeypatch.setattr(connection, "_HEAD_S", 60.0 if answered else 0.5)
    with connected(service) as caller:
        if answered:
            caller.sendall(HEAD + b"\r\n")
            assert status(caller) == 200
            monkeypatch.setattr(connection, "_HEAD_S", 0.5)
        if drop == b"X":
            caller.sendall(HEAD)
        caller.settimeout(0.1)
        until = time.monotonic() + 30
        closed = False
        while not closed and time.monotonic() < until:
            with contextlib.suppress(TimeoutError):
                try:
                    caller.sendall(drop)
                    closed = caller.recv(1) == b""
                except ConnectionError:
                    closed = True
        assert closed


def test_a_connection_serves_on_after_its_first_head(
    service: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "_HEAD_S", 0.5)
    with connected(service) as caller:
        for _ in range(8):
            caller.sendall(HEAD + b"\r\n")
            assert status(caller) == 200
            time.sleep(0.1)


def test_who_does_not_read_an_answer_is_not_waited_for(
    service: Serving, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(connection, "_READ_S", 0.2)
    monkeypatch.setattr(connection, "_READ_BYTES_PER_S", 1e9)
    lost: list[tuple[str, int]] = []
    real = connection.Connection.connection_lost

    def noted(self: connection.Connection, error: Exception | None) -> None:
        assert self.client is not None
        lost.append(self.client)
        real(self, error)

    monkeypatch.setattr(connection.Connection, "connection_lost", noted)
    with connected(service) as caller:
        caller.sendall(MUCH * 100)
        until(lambda: caller.getsockname() in lost)
        until(lambda: not service.server.server_state.tasks)
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []


def test_who_reads_an_answer_late_gets_all_of_it_and_is_served_on(service: Serving) -> None:
    asked = 100
    with connected(service) as caller:
        caller.sendall(MUCH * asked)
        until(lambda: waited_for(service))
        reading = caller.makefile("rb")
        for _ in range(asked):
            assert reading.readline().split()[1] == b"200"
            headers = http.client.parse_headers(reading)
            reading.read(int(headers["Content-Length"]))
        until(lambda: not waited_for(service))
        caller.sendall(HEAD + b"\r\n")
        assert reading.readline().split()[1] == b"200"


def test_who_reads_only_when_all_is_sent_is_not_hung_up_on_while_sending(
    service: Serving, monkeypatch: pytest.MonkeyPatch, wordy: None
) -> None:
    monkeypatch.setattr(connection, "_READ_S", 2.0)
    monkeypatch.setattr(connection, "_READ_BYTES_PER_S", 1e9)
    sent = 0
    with connected(service) as caller:

        def send() -> None:
            nonlocal sent
            caller.sendall(LINE)
            sent += 1
            time.sleep(0.1)

        caller.sendall(BATCH)
        while not waited_for(service):
            send()
        for _ in range(40):
            send()
        assert waited_for(service)
        assert len(answers(caller)) == sent


def test_nobody_is_hung_up_on_while_the_service_itself_lets_lines_wait(
    service: Serving, monkeypatch: pytest.MonkeyPatch, wordy: None
) -> None:
    monkeypatch.setattr(connection, "_READ_S", 1.0)
    monkeypatch.setattr(connection, "_READ_BYTES_PER_S", 1e9)
    looked, real = 0, connection.Connection._hang_up
    go_on = threading.Event()

    def looking(self: connection.Connection) -> None:
        nonlocal looked
        looked += 1
        real(self)

    async def admit(self: Stay) -> None:  # the key's rate is used up by then
        while waited_for(service) and not go_on.is_set():
            await asyncio.sleep(0.01)

    monkeypatch.setattr(connection.Connection, "_hang_up", looking)
    monkeypatch.setattr(Stay, "admit", admit)
    with connected(service) as caller:
        caller.sendall(BATCH)
        sent = 0
        while not waited_for(service):
            caller.sendall(LINE)
            sent += 1
            time.sleep(0.01)
        caller.sendall(LINE * 4)
        until(lambda: looked >= 3)
        go_on.set()
        assert len(answers(caller)) == sent + 4


@pytest.fixture(scope="module")
def wordy(service: Serving) -> None:
    """A gallery whose answers are long."""
    with Client(service.url) as client:
        client.create_gallery("wordy")
        for who in range(8):
            told = {"told": f"{who}" * 16_000}
            client.enrol("wordy", [NewPicture(encoded(person(who)), f"p{who}", metadata=told)])


def answers(caller: socket.socket) -> list[object]:
    """All lines' answers, read when all is sent."""
    caller.sendall(b"0\r\n\r\n")
    answer = http.client.HTTPResponse(caller, method="POST")
    answer.begin()
    found = [json.loads(text) for text in answer.read().splitlines()]
    assert all(len(one["answer"]["results"]) == 8 for one in found)
    return found


def waited_for(service: Serving) -> bool:
    """Whether a caller is about to be hung up on who does not read."""
    return any(one._hanging_up is not None for one in service.server.server_state.connections)
