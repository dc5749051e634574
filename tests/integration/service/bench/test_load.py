"""`penumbra bench load` against a real service: bounded, counted, and cleaned up after."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from service.bench.load import on_loopback
from service.cli import app
from service.client import Client
from tests.handmade_bundle import write_handmade_bundle
from tests.serving import Serving, handmade_settings, serving


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("service")


@pytest.fixture(scope="module")
def service(folder: Path) -> Iterator[Serving]:
    with serving(handmade_settings(folder)) as running:
        yield running


@pytest.mark.parametrize("call", ["embed", "query"])
def test_as_many_as_asked_for_are_answered_and_held_against_the_bare_model(
    service: Serving, folder: Path, call: str
) -> None:
    metrics = service.app.state.assembly.metrics
    hits = metrics.cache_lookups.labels("hit")._value.get()
    arguments = ["bench", "load", call, "--requests", "40", "-c", "4", "--seconds", "600", "--threads", "1"]
    done = CliRunner().invoke(
        app, [*arguments, "--bundle", str(folder / "handmade.onnx"), "--url", service.url, "--json"]
    )
    assert done.exit_code == 0, done.output
    load = json.loads(done.stdout)
    assert (load["requests"], load["refused"]) == (40, 0)
    assert load["p50_ms"] <= load["p95_ms"] <= load["p99_ms"] <= load["slowest_ms"]
    assert load["ratio"] == pytest.approx(load["requests"] / load["seconds"] / load["bare"])
    assert metrics.cache_lookups.labels("hit")._value.get() == hits  # every picture cost an inference
    with Client(service.url) as client:
        assert list(client.galleries()) == []


def test_another_bundle_s_bare_rate_is_not_held_against_the_service(service: Serving, tmp_path: Path) -> None:
    other = write_handmade_bundle(tmp_path / "other.onnx", grader=False)
    done = CliRunner().invoke(
        app, ["bench", "load", "--requests", "1", "--bundle", str(other), "--url", service.url]
    )
    assert done.exit_code == 1
    assert "which is not" in done.stderr


def test_only_this_machine_is_loaded_unless_another_is_meant() -> None:
    done = CliRunner().invoke(app, ["bench", "load", "--url", "http://service.example:8321"])
    assert done.exit_code == 2
    assert "--elsewhere" in done.stderr
    assert on_loopback("http://[::1]:8321")
