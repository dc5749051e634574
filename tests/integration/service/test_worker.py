"""The worker dies, or its session breaks, while a real service embeds: the request is answered."""

from __future__ import annotations

import time
from pathlib import Path

import httpx
import numpy as np
import pytest

from service.client import Client, ProblemError, Retries
from tests.deadly_model import deadly
from tests.drawings import encoded, person
from tests.serving import handmade_settings, serving


def test_request_is_answered_though_the_worker_died_over_it(tmp_path: Path) -> None:
    with (
        serving(handmade_settings(tmp_path)) as running,
        Client(running.url, retries=Retries(attempts=1)) as client,
    ):
        assembly = running.app.state.assembly
        expected = client.embed([encoded(person(1))]).items[0].embeddings["none"]
        engine, working = assembly.engine, type(assembly.engine).run

        def killed_once(*_: object) -> None:
            engine.__dict__["run"] = lambda *arguments: working(engine, *arguments)
            raise SystemExit("killed")

        engine.__dict__["run"] = killed_once
        again = client.embed([encoded(person(2))]).items[0].embeddings["none"]
        assert assembly.metrics.worker_restarts._value.get() == 1
        assert np.linalg.norm(again) == pytest.approx(1, abs=1e-5)
        assert client.embed([encoded(person(1), "BMP")]).items[0].embeddings["none"] == expected


def test_session_that_fails_on_everything_is_opened_anew_under_the_request(tmp_path: Path) -> None:
    class Broken:
        def run(self, *_: object) -> None:
            raise RuntimeError("CUDA failure 700: an illegal memory access was encountered")

    with (
        serving(handmade_settings(tmp_path)) as running,
        Client(running.url, retries=Retries(attempts=1)) as client,
    ):
        engine = running.app.state.assembly.engine
        for name in ("_session", "_wide"):
            if getattr(engine, name) is not None:
                setattr(engine, name, Broken())
        assert client.embed([encoded(person(1))]).items[0].embeddings["none"]
        assert client.ready()


def test_metrics_tell_whether_it_is_ready_though_nobody_asks_for_that(tmp_path: Path) -> None:
    def measured() -> set[str]:
        text = httpx.get(f"{running.url}/metrics", timeout=60).text
        return {line for line in text.splitlines() if line.startswith("penumbra_ready")}

    with (
        serving(handmade_settings(tmp_path)) as running,
        Client(running.url, retries=Retries(attempts=1)) as client,
    ):
        assert measured() == {"penumbra_ready 1.0"}
        with deadly(running.app.state.assembly.engine):
            with pytest.raises(ProblemError):
                client.embed([encoded(person(1))])
            assert measured() == {"penumbra_ready 0.0"}
        until = time.monotonic() + 60
        while measured() != {"penumbra_ready 1.0"}:
            assert time.monotonic() < until
            time.sleep(0.05)


def test_model_that_cannot_be_opened_again_is_not_ready(tmp_path: Path) -> None:
    with (
        serving(handmade_settings(tmp_path, deadline_s=2)) as running,
        Client(running.url, retries=Retries(attempts=1)) as client,
    ):
        engine = running.app.state.assembly.engine

        def gone(*_: object) -> None:
            raise RuntimeError("no device")

        for call in ("run", "warm_up", "reopen"):
            engine.__dict__[call] = gone
        with pytest.raises(ProblemError) as waited:
            client.embed([encoded(person(1))])
        assert waited.value.status in (503, 504)
        assert not client.ready()
