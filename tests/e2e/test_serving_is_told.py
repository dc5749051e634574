"""`penumbra serve` says where it serves once it does, and not before."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.handmade_bundle import write_handmade_bundle

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_whoever_reads_the_address_is_answered_there(tmp_path: Path, host: str) -> None:
    bundle = write_handmade_bundle(tmp_path / "handmade.onnx")
    command = [sys.executable, "-m", "service.cli", "serve", "--bundle", str(bundle), "--port", "0"]
    with subprocess.Popen(
        [*command, "--host", host, "--data-dir", str(tmp_path / "data")],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as service:
        assert service.stdout is not None
        told = service.stdout.readline()
        address = told.split()[2].rstrip(",")
        try:
            assert told == f"Penumbra at {address}, API page at {address}/docs; Ctrl-C stops it\n"
            assert httpx.get(f"{address}/readyz", timeout=60, trust_env=False).status_code == 200
        finally:
            service.terminate()
        assert service.stdout.read() == ""
        assert service.wait(60) == 0


def test_a_log_for_machines_has_the_address_and_nothing_else_is_printed(tmp_path: Path) -> None:
    bundle = write_handmade_bundle(tmp_path / "handmade.onnx")
    command = [sys.executable, "-m", "service.cli", "serve", "--bundle", str(bundle), "--port", "0"]
    with subprocess.Popen(
        [*command, "--log-format", "json", "--data-dir", str(tmp_path / "data")],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as service:
        assert service.stdout is not None
        assert service.stderr is not None
        while "listening at http://127.0.0.1:" not in (line := service.stderr.readline()):
            assert line, "it ended"
        service.terminate()
        rest, _ = service.communicate()
        assert rest == ""
