"""What is stored of people can be read by the service's user alone, however open the shell's umask is."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.background import start_service
from service.client import Client, NewPicture
from tests.drawings import encoded, person
from tests.handmade_bundle import write_handmade_bundle


@pytest.fixture(autouse=True)
def open_umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def open_to_others(folder: Path) -> list[Path]:
    return [path for path in (folder, *folder.rglob("*")) if path.stat().st_mode & 0o077]


def test_a_service_stores_nothing_that_others_can_read(tmp_path: Path) -> None:
    bundle = write_handmade_bundle(tmp_path / "handmade.onnx")
    data = tmp_path / "new" / "data"
    service = start_service(data, tmp_path / "log", bundle=bundle, environment={"PENUMBRA_SNAPSHOTS": "true"})
    try:
        service.wait_until_ready()
        with Client(service.url) as client:
            client.create_gallery("g", keep_pictures=True)
            client.enrol("g", [NewPicture(encoded(person(1)), "anna")])
        assert open_to_others(data) == []
    finally:
        service.stop()
    kinds = {path.suffix for path in data.rglob("*") if path.is_file()}
    assert {".sqlite3", ".picture", ".thumbnail", ".owner"} <= kinds
    assert list(data.glob("snapshots/*"))
    assert open_to_others(data) == []


def test_what_is_there_already_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    for _ in range(2):
        command = [sys.executable, "-m", "service.cli", "keys", "create", "operator", "--data-dir", "data"]
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
        subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True)
        assert open_to_others(tmp_path / "data") == [tmp_path / "data"]
        (tmp_path / "data").chmod(0o755)
