"""`penumbra bench load` against a real service: bounded, counted, and cleaned up after."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from service.bench import wrk
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
    assert load["generator"] == "python"
    assert (load["above_ms"] is not None) == (call == "query")
    assert load["ratio"] == pytest.approx(load["requests"] / load["seconds"] / load["bare"])
    assert metrics.cache_lookups.labels("hit")._value.get() == hits  # every picture cost an inference
    with Client(service.url) as client:
        assert list(client.galleries()) == []


@pytest.mark.skipif(not wrk.installed(), reason="wrk is not installed")
def test_pictures_that_wrk_sends_are_unlike_each_other_and_all_answered(
    service: Serving, folder: Path
) -> None:
    metrics = service.app.state.assembly.metrics
    arguments = ["bench", "load", "embed", "--generator", "wrk", "-c", "4", "--threads", "1", "--json"]
    arguments += ["--bundle", str(folder / "handmade.onnx"), "--url", service.url]
    for seconds in (1, 5, 25):  # as long as a machine with other work takes for more than were drawn
        misses = metrics.cache_lookups.labels("miss")._value.get()
        done = CliRunner().invoke(app, [*arguments, "--seconds", str(seconds)])
        assert done.exit_code == 0, done.output
        load = json.loads(done.stdout)
        assert load["generator"] == "wrk"
        assert load["refused"] == 0
        # those that were under way at the end are not counted by wrk
        assert load["requests"] <= metrics.cache_lookups.labels("miss")._value.get() - misses
        if load["requests"] > 64:
            return
    raise AssertionError(f"only {load['requests']} requests in {seconds} s")


def test_who_lacks_wrk_is_told_how_to_get_it(service: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wrk.shutil, "which", lambda _: None)
    done = CliRunner().invoke(app, ["bench", "load", "--generator", "wrk", "--url", service.url])
    assert done.exit_code == 1
    assert "apt-get install wrk" in done.stderr


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
