"""Connections on which no request comes: nobody is let in for them, so they may cost next to nothing."""

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPResponse
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from service.api import connection
from tests.serving import Serving, handmade_settings, serving

HEAD = b"GET /healthz HTTP/1.1\r\nHost: x\r\n"


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
    answer = HTTPResponse(caller, method="GET")
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
        answer = HTTPResponse(caller, method="GET")
        answer.begin()
        assert answer.status == 431
        assert json.loads(answer.read())["type"].endswith("/head-too-large")


@pytest.mark.parametrize(
    ("drop", "answered"), [(b"", False), (b"X", False), (b"X", True), (b"\r\n", False), (b"\r\n", True)]
)
def test_a_head_that_does_not_come_is_not_waited_for(
    service: Serving, monkeypatch: pytest.MonkeyPatch, drop: bytes, answered: bool
) -> None:
    monkeypatch.setattr(connection, "_HEAD_S", 0.5)
    with connected(service) as caller:
        if answered:
            caller.sendall(HEAD + b"\r\n")
            assert status(caller) == 200
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
