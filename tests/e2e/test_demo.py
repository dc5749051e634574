"""`penumbra demo` as a user runs it: a process of its own, a real service, drawn people."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from service.background import HOST, free_port
from service.client import Client, ClientError, Retries
from service.rank_list import RIGHT, WRONG
from tests.handmade_bundle import write_handmade_bundle

ROOT = Path(__file__).parents[2]
PEOPLE = 16


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_handmade_bundle(tmp_path_factory.mktemp("bundle") / "handmade.onnx")


@pytest.fixture
def output(tmp_path: Path) -> Iterator[Path]:
    """A demo folder; what was left running in it is stopped afterwards."""
    folder = tmp_path / "demo"
    yield folder
    record = folder / "service.json"
    if record.exists():
        stop(json.loads(record.read_text()))


def command(output: Path, bundle: Path, *more: str) -> list[str]:
    arguments = ["--output", str(output), "--bundle", str(bundle), "--people", str(PEOPLE), *more]
    return [sys.executable, "-m", "service.cli", "demo", *arguments]


def demo(output: Path, bundle: Path, *more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(output, bundle, *more), cwd=ROOT, capture_output=True, text=True, check=False, timeout=200
    )


def answers(url: str) -> bool:
    with Client(url, timeout=5.0, retries=Retries(attempts=1)) as client:
        try:
            return client.ready()
        except ClientError:
            return False


def stop(record: dict[str, object]) -> None:
    """End a service as the demo says how to, and see it gone."""
    os.kill(int(str(record["pid"])), signal.SIGTERM)
    until = time.monotonic() + 60
    while answers(str(record["url"])):
        assert time.monotonic() < until, f"{record} still answers"
        time.sleep(0.1)


def test_demo_leaves_a_rank_list_and_a_service_that_answers_and_can_be_stopped(
    output: Path, bundle: Path
) -> None:
    port = free_port()
    done = demo(output, bundle, "--port", str(port))
    assert done.returncode == 0, done.stderr
    for told in ("rank-1", "timings", "unify=auto", "unify=off", "bottom_half", f"of {PEOPLE}"):
        assert told in done.stdout
    assert [path for path in output.rglob("*") if path.is_file() and path.stat().st_mode & 0o077] == []
    with Image.open(output / "rank-list.png") as picture:
        colours = {colour for _, colour in picture.getcolors(maxcolors=picture.width * picture.height) or []}
        assert picture.width > 500
        assert picture.height > 1500
    assert RIGHT in colours or WRONG in colours
    record = json.loads((output / "service.json").read_text())
    assert record["url"] == f"http://{HOST}:{port}"
    assert f"{record['url']}/docs" in done.stdout
    assert f"kill {record['pid']}" in done.stdout
    queries = sorted((output / "pictures").glob("*.png"))
    with Client(record["url"]) as client:
        gallery = client.gallery("demo")
        assert gallery.people == PEOPLE
        assert gallery.images == len(queries) - PEOPLE
        found = client.query("demo", [queries[0]], unify="off").results[0]
        assert found.person.startswith("person-")
    stop(record)
    (output / "service.json").unlink()


def test_second_demo_takes_the_place_of_the_first_and_can_leave_nothing_running(
    output: Path, bundle: Path
) -> None:
    first = demo(output, bundle, "--port", str(free_port()))
    assert first.returncode == 0, first.stderr
    url = json.loads((output / "service.json").read_text())["url"]
    assert answers(url)
    second = demo(output, bundle, "--port", url.rsplit(":", 1)[1], "--exit")
    assert second.returncode == 0, second.stderr
    assert "stopping the service of an earlier demo" in second.stderr
    assert f"{PEOPLE * 3}/{PEOPLE * 3}" in second.stderr
    assert not answers(url)
    assert not (output / "service.json").exists()


def test_busy_port_is_told_and_another_one_taken(output: Path, bundle: Path) -> None:
    with socket.socket() as other:
        other.bind((HOST, 0))
        other.listen()
        port = other.getsockname()[1]
        done = demo(output, bundle, "--port", str(port), "--exit")
    assert done.returncode == 0, done.stderr
    assert f"port {port} is taken" in done.stderr
    found = re.search(rf"http://{re.escape(HOST)}:(\d+)", done.stdout)
    assert found is not None
    assert int(found.group(1)) != port


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupted_demo_takes_its_service_with_it(
    output: Path, bundle: Path, number: signal.Signals, status: int
) -> None:
    port = free_port()
    running = subprocess.Popen(
        command(output, bundle, "--port", str(port)),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # A shell that runs the tests in its background has them ignore Ctrl-C, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    until = time.monotonic() + 120
    while not answers(f"http://{HOST}:{port}"):
        assert running.poll() is None, running.communicate()[0]
        assert time.monotonic() < until
        time.sleep(0.05)
    running.send_signal(number)
    printed, _ = running.communicate(timeout=100)
    assert running.returncode == status, printed
    assert "Traceback" not in printed
    assert not answers(f"http://{HOST}:{port}")


def test_folder_with_other_things_in_it_is_left_alone(output: Path, bundle: Path) -> None:
    (output / "pictures").mkdir(parents=True)
    (output / "pictures" / "holiday.jpg").write_bytes(b"precious")
    done = demo(output, bundle, "--exit")
    assert done.returncode == 1
    assert "has other things in it" in done.stderr
    assert (output / "pictures" / "holiday.jpg").read_bytes() == b"precious"


def test_missing_model_is_told_before_anything_is_drawn(output: Path, tmp_path: Path) -> None:
    done = demo(output, tmp_path / "none.onnx", "--exit")
    assert done.returncode == 1
    assert "there is no model at" in done.stderr
    assert not output.exists()
