"""A stream of queries, in and out, against the running service."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import pty
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from service.cli import app
from service.client import AsyncClient, BatchQuery, Client, Decisions, Filters, NewPicture
from tests.drawings import encoded, person
from tests.serving import Serving, handmade_settings, serving

NDJSON = {"Content-Type": "application/x-ndjson"}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    settings = handmade_settings(
        tmp_path_factory.mktemp("service"), max_line_bytes=60_000, max_body_bytes=200_000
    )
    with serving(settings) as running:
        with Client(running.url) as client:
            client.create_gallery("people")
            client.enrol("people", [NewPicture(encoded(person(who)), f"p{who}", "north") for who in range(5)])
        yield running


def line(who: int, **options: Any) -> bytes:
    picture = base64.b64encode(encoded(person(who, 1))).decode()
    return json.dumps({"id": f"q{who}", "pictures": [picture], "top_k": 1, **options}).encode() + b"\n"


def test_each_line_gets_its_answer_or_its_problem_in_order(service: Serving) -> None:
    lines = [
        line(0),
        b"not JSON\n",
        b"\n",
        line(1, colour="red"),
        b"x" * 70_000 + b"\n",
        line(2, pictures=["%%%"]),
        line(3, pictures=[base64.b64encode(b"no picture").decode()]),
        line(3, pictures=[]),
        line(3, top_k=10_000_000),
        line(3, boxes=[None, None]),
        b"[" * 50_000 + b"\n",
        b"\xff\xfe\n",
        line(4)[:-1],
    ]
    url = f"{service.url}/v1/galleries/people/query/batch"
    answer = httpx.post(url, content=b"".join(lines), headers=NDJSON)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/x-ndjson")
    found = [json.loads(text) for text in answer.text.splitlines()]
    assert [item["line"] for item in found] == [1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13]
    by_line = {item["line"]: item for item in found}
    for number, who in ((1, "p0"), (13, "p4")):
        assert by_line[number]["answer"]["results"][0]["person"] == who
        assert by_line[number]["problem"] is None
    ids = {number: item["id"] for number, item in by_line.items() if item["id"] is not None}
    # what is wrong with a line does not keep its sender from knowing which it was
    assert ids == {1: "q0", 4: "q1", 6: "q2", 7: "q3", 8: "q3", 9: "q3", 10: "q3", 13: "q4"}
    problems = {number: by_line[number]["problem"] for number in by_line if number not in (1, 13)}
    assert {problem["status"] // 100 for problem in problems.values()} == {4}
    members = {"type", "title", "status", "detail"}
    assert all(problem.keys() in (members, members | {"errors"}) for problem in problems.values())
    assert problems[4]["errors"] == [{"field": "colour", "message": "Extra inputs are not permitted"}]
    assert problems[5]["type"].endswith("body-too-large")
    assert "pictures[0]" in problems[6]["detail"]
    assert problems[7]["type"].endswith("not-a-picture")


@pytest.mark.parametrize("id", ["x" * 257, 17, ["q"], None])
def test_an_id_that_is_none_is_not_answered(service: Serving, id: Any) -> None:
    url = f"{service.url}/v1/galleries/people/query/batch"
    answer = httpx.post(url, content=line(1, id=id, colour="red"), headers=NDJSON)
    assert (answer.json()["id"], answer.json()["problem"]["status"]) == (None, 422)


def test_a_stream_longer_than_any_body_is_answered_while_it_comes(service: Serving) -> None:
    with Client(service.url) as client:
        queries = (
            BatchQuery([encoded(person(n % 5, n))], id=str(n), top_k=2, filters=Filters(cameras=["north"]))
            for n in range(70)
        )
        answers = list(client.query_batch("people", queries))
    assert [answer.id for answer in answers] == [str(n) for n in range(70)]
    best = [answer.answer.results[0].person for answer in answers if answer.answer is not None]
    assert best == [f"p{n % 5}" for n in range(70)]
    assert sum(len(encoded(person(n % 5, n))) for n in range(64)) > 200_000


def test_a_batch_is_refused_whole_only_before_its_first_line(service: Serving) -> None:
    unknown = httpx.post(f"{service.url}/v1/galleries/nowhere/query/batch", content=line(1), headers=NDJSON)
    assert (unknown.status_code, unknown.headers["content-type"]) == (404, "application/problem+json")
    wrong = httpx.post(f"{service.url}/v1/galleries/people/query/batch", json={})
    assert wrong.status_code == 422
    empty = httpx.post(f"{service.url}/v1/galleries/people/query/batch", headers=NDJSON)
    assert (empty.status_code, empty.content) == (200, b"")


async def test_an_answer_comes_before_the_next_line_is_sent(service: Serving) -> None:
    """By asyncio's own streams: httpx reads nothing before it has sent everything."""
    host, port = service.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    head = "POST /v1/galleries/people/query/batch HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    writer.write(f"{head}Transfer-Encoding: chunked\r\nContent-Type: application/x-ndjson\r\n\r\n".encode())
    for who in (2, 4):
        content = line(who)
        writer.write(b"%x\r\n%s\r\n" % (len(content), content))
        await writer.drain()
        async with asyncio.timeout(60):
            while f'"id":"q{who}"'.encode() not in await reader.readline():
                pass
    writer.write(b"0\r\n\r\n")
    await writer.drain()
    async with asyncio.timeout(60):
        assert (await reader.readuntil(b"0\r\n\r\n")).endswith(b"0\r\n\r\n")
    writer.close()


async def test_the_asynchronous_client_asks_the_same(service: Serving) -> None:
    async with AsyncClient(service.url) as client:
        query = BatchQuery([encoded(person(1, 3))], "a", rerank=True, decisions=Decisions())
        found: AsyncIterator[Any] = client.query_batch("people", [query, BatchQuery([b""], "b")])
        answers = [answer async for answer in found]
    assert answers[0].answer is not None
    assert answers[0].answer.results[0].person == "p1"
    assert answers[1].problem is not None
    assert answers[1].problem.status == 422


def test_a_file_of_queries_is_asked_from_the_shell(service: Serving, tmp_path: Path) -> None:
    (tmp_path / "who.png").write_bytes(encoded(person(3, 5)))
    (tmp_path / "bad.png").write_bytes(b"no picture")
    file = tmp_path / "queries.ndjson"
    asked = [
        {"id": "a", "pictures": ["who.png"], "top_k": 1, "cameras": ["north"]},
        {"id": "b", "pictures": ["bad.png"]},
    ]
    file.write_text("\n".join(json.dumps(query) for query in asked))
    arguments = ["query-batch", str(file), "--gallery", "people", "--url", service.url]
    done = CliRunner().invoke(app, arguments)
    first, second = (json.loads(text) for text in done.stdout.splitlines())
    assert (done.exit_code, first["answer"]["results"][0]["person"], second["id"]) == (1, "p3", "b")
    assert (first["line"], second["line"]) == (1, 2)


def test_a_bad_line_stops_no_other_from_being_asked(service: Serving, tmp_path: Path) -> None:
    (tmp_path / "who.png").write_bytes(encoded(person(3, 5)))
    lines = [
        b"not JSON",
        json.dumps({"id": "a", "pictures": ["gone.png"]}).encode(),
        json.dumps({"id": "b", "pictures": ["who.png"], "evidence": 2, "top_k": 1}).encode(),
        b"",
        b"{}",
    ]
    file = tmp_path / "queries.ndjson"
    file.write_bytes(b"\n".join(lines))
    done = CliRunner().invoke(app, ["query-batch", str(file), "-g", "people", "--url", service.url])
    found = [json.loads(text) for text in done.stdout.splitlines()]
    assert [(one["line"], one["id"], one["answer"] is None) for one in found] == [
        (1, None, True),
        (2, "a", True),
        (3, "b", False),
        (5, None, True),
    ]
    assert (done.exit_code, "3 of 4 queries failed" in done.stderr) == (1, True)


def test_queries_come_from_standard_input_too(
    service: Serving, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "who.png").write_bytes(encoded(person(3, 5)))
    monkeypatch.chdir(tmp_path)
    said = json.dumps({"id": "a", "pictures": ["who.png"], "top_k": 1})
    arguments = ["query-batch", "-", "--gallery", "people", "--url", service.url]
    done = CliRunner().invoke(app, arguments, input=said)
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["answer"]["results"][0]["person"] == "p3"


def test_a_query_is_answered_before_the_next_one_comes(service: Serving, tmp_path: Path) -> None:
    (tmp_path / "who.png").write_bytes(encoded(person(3, 5)))
    command = [sys.executable, "-m", "service.cli", "query-batch", "-"]
    command += ["--gallery", "people", "--url", service.url]
    asked = json.dumps({"pictures": [str(tmp_path / "who.png")], "top_k": 1}).encode() + b"\n"
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as asking:
        assert asking.stdin is not None
        assert asking.stdout is not None
        for line in (1, 2):
            asking.stdin.write(asked)
            asking.stdin.flush()
            assert json.loads(asking.stdout.readline())["line"] == line
        asking.stdin.close()
        assert asking.wait(60) == 0


def test_answers_go_into_a_file_while_the_bar_is_on_a_terminal(service: Serving, tmp_path: Path) -> None:
    (tmp_path / "who.png").write_bytes(encoded(person(3, 5)))
    file = tmp_path / "queries.ndjson"
    file.write_text(json.dumps({"id": "a", "pictures": ["who.png"], "top_k": 1}))
    command = [sys.executable, "-m", "service.cli", "query-batch", str(file)]
    command += ["--gallery", "people", "--url", service.url]
    terminal, end = pty.openpty()

    def watch() -> None:
        with contextlib.suppress(OSError):  # that the other end is closed
            while os.read(terminal, 1024):
                pass

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        environment = {**os.environ, "TERM": "xterm"}
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=end, env=environment, check=True)
    finally:
        os.close(end)
        watcher.join()
        os.close(terminal)
    assert json.loads(done.stdout)["answer"]["results"][0]["person"] == "p3"
