"""A start that cannot succeed says why, in one line, and leaves with status 1."""

from __future__ import annotations

import socket
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner
from uvicorn.lifespan.on import LifespanOn as Lifespan

from service.cli import app
from service.storage.catalog import Catalog
from tests.handmade_bundle import write_handmade_bundle


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return write_handmade_bundle(tmp_path / "handmade.onnx")


def refused(*arguments: str, port: int = 0) -> str:
    """What `serve` prints on standard error when it ends with status 1."""
    result = CliRunner().invoke(app, ["serve", "--port", str(port), "--log-level", "error", *arguments])
    assert result.exit_code == 1, result.output
    assert result.stdout == ""
    assert "Traceback" not in result.output
    (line,) = result.stderr.splitlines()
    return line


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_a_port_that_is_taken_is_told_before_anything_is_loaded(tmp_path: Path, host: str) -> None:
    nonsense = tmp_path / "handmade.onnx"
    nonsense.write_bytes(b"not a model, and nobody looks")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with closing(socket.create_server((host, 0), family=family)) as other:
        port = other.getsockname()[1]
        data = tmp_path / "data"
        line = refused("--bundle", str(nonsense), "--data-dir", str(data), "--host", host, port=port)
    named = f"[{host}]" if ":" in host else host
    assert line == f"penumbra: cannot listen at http://{named}:{port}: another program has the port"
    assert not data.exists()


def test_a_host_that_is_another_machines_is_told_so(tmp_path: Path, bundle: Path) -> None:
    arguments = ["--allow-anonymous", "--host", "192.0.2.1", "--bundle", str(bundle)]
    line = refused(*arguments, "--data-dir", str(tmp_path / "data"))
    assert "cannot listen at http://192.0.2.1:0: " in line
    assert not (tmp_path / "data").exists()


def test_of_two_services_that_bound_a_port_at_once_the_later_is_told_so(
    tmp_path: Path, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As long as nobody listens, both may have bound it."""
    with socket.socket() as quicker:
        quicker.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        quicker.bind(("127.0.0.1", 0))
        port = quicker.getsockname()[1]
        started = Lifespan.startup

        async def start(lifespan: Lifespan) -> None:
            await started(lifespan)
            quicker.listen()

        monkeypatch.setattr(Lifespan, "startup", start)
        line = refused("--bundle", str(bundle), "--data-dir", str(tmp_path / "data"), port=port)
    assert "another program has the port" in line
    again = Catalog(f"sqlite:///{tmp_path / 'data' / 'catalog.sqlite3'}")
    again.claim()  # it was let go
    again.close()


def test_a_second_service_on_the_same_data_is_told_so(tmp_path: Path, bundle: Path) -> None:
    catalog = Catalog(f"sqlite:///{tmp_path / 'catalog.sqlite3'}")
    catalog.claim()
    try:
        line = refused("--bundle", str(bundle), "--data-dir", str(tmp_path))
    finally:
        catalog.close()
    assert "another service is running on" in line


def test_a_file_that_is_no_bundle_is_told_so(tmp_path: Path) -> None:
    nonsense = tmp_path / "model.onnx"
    nonsense.write_bytes(b"not a model")
    assert "model.onnx" in refused("--bundle", str(nonsense), "--data-dir", str(tmp_path))


def test_a_catalog_that_is_no_database_is_told_so(tmp_path: Path, bundle: Path) -> None:
    (tmp_path / "catalog.sqlite3").write_bytes(b"not a database" * 1000)
    line = refused("--bundle", str(bundle), "--data-dir", str(tmp_path))
    assert "catalog cannot be opened" in line
    assert str(tmp_path / "catalog.sqlite3") in line


def test_a_misspelt_setting_is_told_at_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENUMBRA_RATELIMIT", "600/minute")
    missing = ["--bundle", str(tmp_path / "handmade.onnx"), "--data-dir", str(tmp_path)]
    (tmp_path / "handmade.onnx").write_bytes(b"not a model")  # so that it ends
    told = CliRunner().invoke(app, ["serve", "--port", "0", *missing]).stderr
    (line,) = [line for line in told.splitlines() if "RATELIMIT" in line]
    assert "WARNING" in line
    assert "PENUMBRA_RATELIMIT is no setting; is PENUMBRA_RATE_LIMIT meant?" in line
