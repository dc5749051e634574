"""A start that cannot succeed says why, in one line, and leaves with status 1."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from typer.testing import CliRunner

from service.cli import app
from service.storage.catalog import Catalog
from tests.handmade_bundle import write_handmade_bundle


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return write_handmade_bundle(tmp_path / "handmade.onnx")


def test_a_port_that_is_taken_ends_with_status_1(tmp_path: Path, bundle: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        arguments = ["serve", "--bundle", str(bundle), "--data-dir", str(tmp_path), "--port", port]
        assert CliRunner().invoke(app, arguments).exit_code == 1


def refused(*arguments: str) -> str:
    """What `serve` prints on standard error when it ends with status 1."""
    result = CliRunner().invoke(app, ["serve", "--port", "0", "--log-level", "error", *arguments])
    assert result.exit_code == 1, result.output
    assert "Traceback" not in result.output
    (line,) = result.stderr.splitlines()
    return line


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


def test_a_misspelt_setting_is_told_at_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENUMBRA_RATELIMIT", "600/minute")
    missing = ["--bundle", str(tmp_path / "handmade.onnx"), "--data-dir", str(tmp_path)]
    (tmp_path / "handmade.onnx").write_bytes(b"not a model")  # so that it ends
    told = CliRunner().invoke(app, ["serve", "--port", "0", *missing]).stderr
    (line,) = [line for line in told.splitlines() if "RATELIMIT" in line]
    assert "WARNING" in line
    assert "PENUMBRA_RATELIMIT is no setting; is PENUMBRA_RATE_LIMIT meant?" in line
