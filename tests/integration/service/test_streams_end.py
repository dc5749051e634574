"""A stream of queries ends when its key does, and when the service stops, its whole lines answered."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.api import batch, gatekeeper, linger, stay
from service.client import Client
from service.storage.audit import AuditTrail
from service.storage.database import Database
from service.storage.keys import Keys, NewKey
from tests.drawings import encoded, person
from tests.serving import Serving, handmade_settings, serving

LINE = json.dumps({"pictures": [base64.b64encode(encoded(person(1))).decode()]}).encode() + b"\n"


class Stream:
    """A stream of queries, a chunk at a time. By asyncio's own streams: httpx sends all before it reads."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def send(self, content: bytes) -> None:
        self._writer.write(b"%x\r\n%s\r\n" % (len(content), content))
        await self._writer.drain()

    async def begun(self) -> None:
        """Return when the answer's head is there."""
        async with asyncio.timeout(60):
            await self._reader.readuntil(b"\r\n\r\n")

    async def answer(self) -> dict[str, Any] | None:
        """The next line; None where the stream has ended."""
        async with asyncio.timeout(60):
            while (text := await self._reader.readline()) != b"":
                if text.startswith(b"{"):
                    found: dict[str, Any] = json.loads(text)
                    return found
                if text == b"0\r\n":
                    return None
        raise AssertionError("the connection broke off within the stream")


@asynccontextmanager
async def stream(service: Serving, key: NewKey | None = None) -> AsyncIterator[Stream]:
    host, port = service.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    head = ["POST /v1/galleries/g/query/batch HTTP/1.1", "Host: 127.0.0.1", "Transfer-Encoding: chunked"]
    head += ["Content-Type: application/x-ndjson"]
    head += [] if key is None else [f"Authorization: Bearer {key.token}"]
    writer.write("\r\n".join([*head, "", ""]).encode())
    try:
        yield Stream(reader, writer)
    finally:
        writer.close()


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is waited for who sends nothing, and keys are looked up anew."""
    monkeypatch.setattr(linger, "_SECONDS", 0.1)
    monkeypatch.setattr(gatekeeper, "_REMEMBERED_S", 0.0)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with serving(handmade_settings(tmp_path_factory.mktemp("service"))) as running:
        with Client(running.url) as client:
            client.create_gallery("g")
        yield running


@pytest.fixture
def key(service: Serving) -> NewKey:
    return keys(service).create("a stream's", "query", ["g"])


def keys(service: Serving) -> Keys:
    return Keys(service.app.state.assembly.catalog.database)


def said(answer: dict[str, Any] | None) -> tuple[int, int | None]:
    """An answer's line, and its problem's status."""
    assert answer is not None
    return answer["line"], None if answer["problem"] is None else answer["problem"]["status"]


async def test_a_stream_ends_after_the_first_line_that_its_key_does_not_permit(
    service: Serving, key: NewKey
) -> None:
    async with stream(service, key) as asked:
        await asked.send(LINE)
        assert said(await asked.answer()) == (1, None)
        keys(service).revoke(key.record.id)
        await asked.send(LINE * 6)
        assert said(await asked.answer()) == (2, 401)
        assert await asked.answer() is None


@pytest.mark.parametrize("held_by", [b"\n" * 100, b"x" * 100], ids=["blank lines", "a line without an end"])
async def test_a_stream_whose_key_ends_is_not_held_by_what_is_no_line(
    service: Serving, key: NewKey, held_by: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stay, "_ASK_AGAIN_S", 0.05)

    async def hold() -> None:
        while True:
            await asked.send(held_by)
            await asyncio.sleep(0.001)

    async with stream(service, key) as asked:
        await asked.send(LINE)
        assert said(await asked.answer()) == (1, None)
        holding = asyncio.create_task(hold())
        keys(service).revoke(key.record.id)
        answer = await asked.answer()
        assert answer is not None
        assert answer["problem"]["status"] == 401
        assert await asked.answer() is None
        holding.cancel()


async def test_a_stream_ends_with_its_gallery_for_a_key_that_is_bound_to_it(service: Serving) -> None:
    with Client(service.url, key=keys(service).create("operator", "admin").token) as operator:
        operator.delete_gallery("g")
        operator.create_gallery("g")
        bound = keys(service).create("bound", "query", ["g"])
        async with stream(service, bound) as asked:
            await asked.send(LINE)
            assert said(await asked.answer()) == (1, None)
            operator.delete_gallery("g")
            operator.create_gallery("g")
            await asked.send(LINE * 2)
            assert said(await asked.answer()) == (2, 403)
            assert await asked.answer() is None


@pytest.mark.parametrize("begun", [b"", LINE[:50]], ids=["idle", "within a line"])
async def test_a_service_that_stops_answers_whole_lines_and_ends_streams_without_a_fault(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, begun: bytes
) -> None:
    """Long before its patience with requests ends."""
    with caplog.at_level(logging.INFO), serving(handmade_settings(tmp_path, shutdown_grace_s=300)) as service:
        await asyncio.to_thread(make_gallery, service)
        async with stream(service) as asked:
            await asked.send(LINE)
            assert said(await asked.answer()) == (1, None)
            await asked.send(LINE * 3 + begun)
            service.stop()
            assert [said(await asked.answer()) for _ in range(4)] == [
                (2, None),
                (3, None),
                (4, None),
                (5, 503),
            ]
            assert await asked.answer() is None
    assert [entry.getMessage() for entry in caplog.records if entry.levelno > logging.INFO] == []


async def test_a_service_that_stops_waits_for_nobody_whose_rate_is_used_up(tmp_path: Path) -> None:
    settings = handmade_settings(tmp_path, shutdown_grace_s=300, rate_limit="3/hour")
    with serving(settings) as service:
        await asyncio.to_thread(make_gallery, service)
        async with stream(service) as asked:
            await asked.send(LINE)
            assert said(await asked.answer()) == (1, None)
            await asked.send(LINE * 2)
            service.stop()
            assert said(await asked.answer()) == (2, 503)
            assert await asked.answer() is None


async def test_a_stream_that_goes_on_and_on_does_not_hold_a_service_that_stops(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(linger, "_SECONDS", 1.0)  # its caller still sends

    async def go_on() -> None:
        while True:
            await asked.send(LINE)
            await asyncio.sleep(0.01)

    with serving(handmade_settings(tmp_path, shutdown_grace_s=4)) as service:
        service.server.config.timeout_graceful_shutdown = None  # it is to end by itself
        await asyncio.to_thread(make_gallery, service)
        async with stream(service) as asked:
            going_on = asyncio.create_task(go_on())
            assert said(await asked.answer()) == (1, None)
            service.stop()
            while said(answer := await asked.answer())[1] is None:
                pass
            going_on.cancel()
            assert said(answer)[1] == 503
            assert await asked.answer() is None


async def test_what_is_not_ready_when_the_patience_of_a_stop_ends_breaks_off_without_a_stack_trace(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(*_: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(batch, "answer_query", never)
    with serving(handmade_settings(tmp_path, shutdown_grace_s=1)) as service:
        await asyncio.to_thread(make_gallery, service)
        async with stream(service) as asked, httpx.AsyncClient(base_url=service.url, timeout=60) as http:
            await asked.send(LINE)
            await asked.begun()
            monkeypatch.setattr(service.app.state.assembly.reindexer, "state", never)
            waiting = asyncio.create_task(http.get("/v1/galleries/g/reindex"))
            while len(service.server.server_state.tasks) < 2:
                await asyncio.sleep(0.01)
            service.stop()
            answer = await waiting
            assert (answer.status_code, answer.json()["title"]) == (503, "Service unavailable")
            with pytest.raises(AssertionError, match="broke off"):
                await asked.answer()
    assert [entry.getMessage() for entry in caplog.records if entry.exc_info is not None] == []
    trail = AuditTrail(Database(service.app.state.assembly.settings.catalog_url))
    assert {(event.action, event.status) for event in trail.events(9)} == {
        ("create_gallery", 201),
        ("get_reindexing", 503),
        ("query_batch", 200),
    }


def make_gallery(service: Serving) -> None:
    with Client(service.url) as client:
        client.create_gallery("g")
