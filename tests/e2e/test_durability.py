"""What was answered is kept: across SIGKILL, and what was accepted is answered: across SIGTERM."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.drawings import encoded, person, png_of_zeros
from tests.handmade_bundle import write_handmade_bundle

_SERVE = """
import sys
from service.api.serve import run
from service.settings import Settings

sys.exit(run(Settings()))
"""


@contextmanager
def service(folder: Path, **settings: object) -> Iterator[tuple[subprocess.Popen[bytes], httpx.Client]]:
    """A service in a process of its own, its settings given as environment variables only."""
    bundle = folder / "handmade.onnx"
    if not bundle.exists():
        write_handmade_bundle(bundle)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    given = {"bundle": bundle, "data_dir": folder / "data", "port": port, "provider": "cpu", **settings}
    environment = os.environ | {f"PENUMBRA_{name.upper()}": str(value) for name, value in given.items()}
    with (folder / "log.txt").open("ab") as log:
        process = subprocess.Popen([sys.executable, "-c", _SERVE], env=environment, stdout=log, stderr=log)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as http:
            while not _ready(http):
                assert process.poll() is None, (folder / "log.txt").read_text()
                time.sleep(0.05)
            yield process, http
    finally:
        process.kill()
        process.wait()


def _ready(http: httpx.Client) -> bool:
    try:
        return http.get("/readyz").status_code == 200
    except httpx.TransportError:
        return False


def enrol(http: httpx.Client, who: int, view: int = 0) -> httpx.Response:
    return http.post(
        "/v1/galleries/g/images",
        files=[("files", ("0", encoded(person(who, view))))],
        data={"items": json.dumps([{"person": str(who)}])},
    )


def found(http: httpx.Client, who: int, hidden: int = 0) -> str:
    answer = http.post(
        "/v1/galleries/g/query",
        files=[("files", ("0", encoded(person(who, 99, hidden))))],
        data={"top_k": "1"},
    )
    assert answer.status_code == 200, answer.text
    return str(answer.json()["results"][0]["person"])


def test_acknowledged_picture_survives_kill(tmp_path: Path) -> None:
    with service(tmp_path) as (process, http):
        assert http.post("/v1/galleries", json={"name": "g"}).status_code == 201
        for who in range(4):
            assert enrol(http, who).status_code == 201
        assert enrol(http, 4).status_code == 201
        process.send_signal(signal.SIGKILL)
        process.wait()
    with service(tmp_path) as (_, http):
        assert http.get("/v1/galleries/g").json()["images"] == 5
        assert [found(http, who) for who in range(5)] == ["0", "1", "2", "3", "4"]
        assert found(http, 4, hidden=4) == "4"


def test_every_acknowledged_picture_survives_a_kill_in_the_middle_of_enrolling(tmp_path: Path) -> None:
    acknowledged: list[int] = []
    with service(tmp_path) as (process, http):
        http.post("/v1/galleries", json={"name": "g"})

        def enrol_until_killed() -> None:
            for who in range(10_000):
                try:
                    if enrol(http, who).status_code == 201:
                        acknowledged.append(who)
                except httpx.TransportError:
                    return

        enrolling = threading.Thread(target=enrol_until_killed)
        enrolling.start()
        while len(acknowledged) < 8:
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
        enrolling.join()
    with service(tmp_path) as (_, http):
        assert [found(http, who) for who in acknowledged] == [str(who) for who in acknowledged]


def test_sigterm_finishes_what_was_accepted_and_then_leaves(tmp_path: Path) -> None:
    # Pictures that take long to decode, so that the signal comes in the middle of it.
    contents = [png_of_zeros(6000, 6000 + number) for number in range(16)]
    answers: list[int] = []
    with service(tmp_path, deadline_s=270, shutdown_grace_s=280) as (process, http):
        http.post("/v1/galleries", json={"name": "g"})
        enrol(http, 0)
        before = _started(http)

        def ask() -> None:
            with httpx.Client(base_url=http.base_url, timeout=280) as own:
                files = [("files", (str(number), content)) for number, content in enumerate(contents)]
                answers.append(own.post("/v1/galleries/g/query", files=files).status_code)

        asking = threading.Thread(target=ask)
        asking.start()
        while _started(http) < before + len(contents):
            time.sleep(0.001)
        assert not answers
        process.send_signal(signal.SIGTERM)
        asking.join()
        assert answers == [200]
        assert process.wait(60) == 0
    log = (tmp_path / "log.txt").read_text()
    assert "stopped by SIGTERM" in log
    assert "Traceback" not in log


def _started(http: httpx.Client) -> int:
    """Pictures that the service began to look up so far."""
    text = http.get("/metrics").text
    lookups = [line for line in text.splitlines() if line.startswith("penumbra_cache_lookups_total")]
    return sum(int(float(line.rsplit(" ", 1)[1])) for line in lookups)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org"])
def test_service_does_not_open_its_door_to_other_machines_unasked(tmp_path: Path, host: str) -> None:
    environment = os.environ | {"PENUMBRA_HOST": host, "PENUMBRA_DATA_DIR": str(tmp_path)}
    refused = subprocess.run([sys.executable, "-c", _SERVE], env=environment, capture_output=True, text=True)
    assert refused.returncode != 0
    assert "refusing to bind" in refused.stderr
    assert "PENUMBRA_ALLOW_ANONYMOUS" in refused.stderr
