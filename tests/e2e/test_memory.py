"""What the service's process takes from the system and keeps."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from service.background import start_service
from service.client import Client, NewPicture
from tests.drawings import encoded, person
from tests.handmade_bundle import write_handmade_bundle

MAPPING = re.compile(r"^([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ \S+ *$", re.MULTILINE)  # without a name
HEAP = 64 * 1024 * 1024  # bytes, at a multiple of it: what glibc sets apart for an arena besides the first


@pytest.mark.parametrize(("told", "expected"), [(None, 1), ("5", 4)])
def test_threads_share_the_memory_that_they_give_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: str | None, expected: int
) -> None:
    monkeypatch.delenv("MALLOC_ARENA_MAX", raising=False)
    bundle = write_handmade_bundle(tmp_path / "handmade.onnx")
    environment = {} if told is None else {"MALLOC_ARENA_MAX": told}
    service = start_service(tmp_path / "data", tmp_path / "log.txt", bundle=bundle, environment=environment)
    try:
        service.wait_until_ready()
        with Client(service.url) as client, ThreadPoolExecutor(8) as threads:
            client.create_gallery("g", keep_pictures=True)
            list(threads.map(lambda who: _enrol_and_ask(client, who), range(60)))
        assert arenas(service.process.pid) == expected
    finally:
        service.stop()


def _enrol_and_ask(client: Client, who: int) -> None:
    client.enrol("g", [NewPicture(encoded(person(who)), f"p{who}")])
    client.query("g", [encoded(person(who, 1))])


def arenas(pid: int) -> int:
    """How many a process has, besides the first."""
    parts = [
        (int(begin, 16), int(end, 16), rights)
        for begin, end, rights in MAPPING.findall(Path(f"/proc/{pid}/maps").read_text())
    ]
    starts = [begin for begin, _, rights in parts if begin % HEAP == 0 and rights == "rw-p"]
    reserved = {end for _, end, rights in parts if rights == "---p" and end % HEAP == 0}
    return sum(begin + HEAP in reserved for begin in starts)
