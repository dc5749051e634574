"""The model is replaced, and the one before answers until all kept pictures are of the present one."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from models.bundle import read_bundle
from service.background import BackgroundService, start_service
from service.cli import app
from service.client import Client, Decisions, NewPicture, ProblemError
from service.storage.catalog import Catalog
from tests.calibrations import handmade_site
from tests.drawings import encoded, person
from tests.handmade_bundle import write_handmade_bundle
from tests.serving import handmade_settings, serving
from tests.stuck_file import stuck
from tests.waiting import until


def pictures(*people: int) -> list[NewPicture]:
    return [NewPicture(encoded(person(who, hidden=who % 9)), f"p{who}", client_id=f"{who}") for who in people]


@pytest.fixture
def bundles(tmp_path: Path) -> tuple[Path, Path]:
    """The model before and the present one, with embeddings of different lengths."""
    return (
        write_handmade_bundle(tmp_path / "handmade.onnx"),
        write_handmade_bundle(tmp_path / "present.onnx", dimension=50),
    )


def fingerprints(bundles: tuple[Path, Path]) -> tuple[str, str]:
    before, present = (read_bundle(bundle).fingerprint for bundle in bundles)
    return before, present


@pytest.mark.parametrize("options", [{}, {"unify": "fuse"}, {"rerank": True}])
def test_the_model_before_answers_alone_until_all_is_reindexed_and_then_no_more(
    tmp_path: Path, bundles: tuple[Path, Path], options: dict[str, object]
) -> None:
    before, present = fingerprints(bundles)
    with serving(handmade_settings(tmp_path)) as running, Client(running.url) as client:
        client.create_gallery("g", keep_pictures=True)
        client.enrol("g", pictures(*range(5)))
        client.create_gallery("empty")

    settings = handmade_settings(tmp_path, bundle=bundles[1], previous_bundle=bundles[0])
    with serving(settings) as running, Client(running.url) as client:
        parts = running.app.state.assembly.galleries._parts

        def ask(who: int) -> tuple[str, str]:
            answer = client.query("g", [encoded(person(who, 1))], **options)  # type: ignore[arg-type]
            return answer.results[0].person, answer.model

        assert [ask(who) for who in range(5)] == [(f"p{who}", before) for who in range(5)]
        # whoever is enrolled meanwhile is found at once, and erased from both models at once
        client.enrol("g", pictures(5, 6))
        assert ask(5) == ("p5", before)
        assert client.verify([encoded(person(5, 1))], gallery="g", person="p5").model == before
        client.delete_person("g", "p6")
        assert ask(6)[0] != "p6"
        assert client.reindexing("g").answers == before
        # a gallery that never had pictures of the model before is the present one's
        client.enrol("empty", pictures(1))
        assert client.query("empty", [encoded(person(1, 1))]).model == present
        # a client id met again is brought to the present model, and stays known to the one before
        client.enrol("g", pictures(0))
        assert ask(0) == ("p0", before)
        assert client.reindexing("g").done == 2

        client.reindex("g")
        until(lambda: not client.reindexing("g").running)
        assert client.reindexing("g").answers == present
        assert [ask(who) for who in range(6)] == [(f"p{who}", present) for who in range(6)]
        assert parts.previous.index.parts(1) == {}
        assert list(parts.catalog.previous.batches([1, 2], before)) == []
        assert client.gallery("g").pending == 0


def test_rates_may_be_stated_while_a_model_that_is_not_calibrated_answers_before_one_that_is(
    tmp_path: Path, bundles: tuple[Path, Path]
) -> None:
    """They decide nothing yet; else the same call would be refused until the gallery is reindexed."""
    before, present = fingerprints(bundles)
    with serving(handmade_settings(tmp_path)) as running, Client(running.url) as client:
        client.create_gallery("g", keep_pictures=True)
        client.enrol("g", pictures(0, 1))
        with pytest.raises(ProblemError, match="no calibration"):
            client.query("g", [encoded(person(0, 1))], decisions=Decisions(match_rate=0.05))
    settings = handmade_settings(
        tmp_path,
        bundle=bundles[1],
        previous_bundle=bundles[0],
        calibration=handmade_site(tmp_path, present),
    )
    with serving(settings) as running, Client(running.url) as client:
        for model in (before, present):
            answer = client.query("g", [encoded(person(0, 1))], decisions=Decisions(match_rate=0.05))
            assert answer.model == model
            assert (answer.results[0].decision is None) == (model == before)
            client.reindex("g")
            until(lambda: not client.reindexing("g").running)


@pytest.mark.parametrize("lost", ["not kept", "file gone"])
def test_the_model_before_goes_on_answering_while_the_present_one_would_not_find_everybody(
    tmp_path: Path, bundles: tuple[Path, Path], lost: str
) -> None:
    before, present = fingerprints(bundles)
    with serving(handmade_settings(tmp_path)) as running, Client(running.url) as client:
        client.create_gallery("g", keep_pictures=lost == "file gone")
        client.enrol("g", pictures(0))
        client.change_gallery("g", keep_pictures=True)
        client.enrol("g", pictures(1, 2))
        (missing,) = client.images("g", person="p0")
    for file in (tmp_path / "data" / "pictures").rglob(f"{missing.id}.picture"):
        file.unlink()

    settings = handmade_settings(tmp_path, bundle=bundles[1], previous_bundle=bundles[0])

    def asked(client: Client) -> list[tuple[str, str]]:
        answers = [client.query("g", [encoded(person(who, 1))]) for who in range(3)]
        return [(answer.results[0].person, answer.model) for answer in answers]

    def reindex(url: str, *options: str) -> Result:
        return CliRunner().invoke(app, ["galleries", "reindex", "g", "--url", url, *options])

    with serving(settings) as running, Client(running.url) as client:
        told = reindex(running.url)
        assert told.exit_code == 1
        assert "goes on answering" in told.output
        assert client.reindexing("g").done == 2
        assert asked(client) == [(f"p{who}", before) for who in range(3)]
    with serving(settings) as running, Client(running.url) as client:  # a start does not give up either
        until(lambda: not client.reindexing("g").running)
        assert asked(client) == [(f"p{who}", before) for who in range(3)]
        left = reindex(running.url, "--leave-behind")
        assert left.exit_code == (1 if lost == "file gone" else 0)  # its picture could still not be embedded
        assert [model for _, model in asked(client)] == [present] * 3
        assert asked(client)[1:] == [("p1", present), ("p2", present)]
        assert "goes on" not in (client.reindexing("g").problem or "")


def test_leaving_behind_holds_for_the_gallery_it_was_said_of_alone(
    tmp_path: Path, bundles: tuple[Path, Path]
) -> None:
    before, _ = fingerprints(bundles)
    with serving(handmade_settings(tmp_path)) as running, Client(running.url) as client:
        client.create_gallery("other")
        client.enrol("other", pictures(0, 1))
    settings = handmade_settings(tmp_path, bundle=bundles[1], previous_bundle=bundles[0])
    with serving(settings) as running, Client(running.url) as client:
        reindexer = running.app.state.assembly.reindexer
        with pytest.raises(ProblemError):
            client.reindex("g", leave_behind=True)
        assert reindexer._leaves_behind == set()
        client.create_gallery("g")
        client.reindex("g", leave_behind=True)
        until(lambda: not client.reindexing("g").running)
        assert reindexer._leaves_behind == set()
        client.reindex("other")
        until(lambda: not client.reindexing("other").running)
        assert client.reindexing("other").answers == before


def test_once_those_left_are_enrolled_again_or_erased_the_present_model_takes_over(
    tmp_path: Path, bundles: tuple[Path, Path]
) -> None:
    before, present = fingerprints(bundles)
    with serving(handmade_settings(tmp_path)) as running, Client(running.url) as client:
        client.create_gallery("g")
        client.enrol("g", pictures(0, 1))
    settings = handmade_settings(tmp_path, bundle=bundles[1], previous_bundle=bundles[0])
    with serving(settings) as running, Client(running.url) as client:

        def reindexed() -> str:
            client.reindex("g")
            until(lambda: not client.reindexing("g").running)
            return client.reindexing("g").answers

        assert reindexed() == before
        client.enrol("g", pictures(0))
        assert reindexed() == before
        client.delete_person("g", "p1")
        assert reindexed() == present
        assert client.query("g", [encoded(person(0, 1))]).results[0].person == "p0"


def test_a_query_under_way_while_the_present_model_takes_over_is_answered_by_it_wholly(
    tmp_path: Path, bundles: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, present = fingerprints(bundles)
    with serving(handmade_settings(tmp_path)) as running, Client(running.url) as client:
        client.create_gallery("g", keep_pictures=True)
        client.enrol("g", pictures(*range(5)))
    settings = handmade_settings(tmp_path, bundle=bundles[1], previous_bundle=bundles[0])
    with serving(settings) as running, Client(running.url) as client:
        parts = running.app.state.assembly.galleries._parts
        search: Callable[..., object] = parts.previous.index.search

        def take_over_first(*arguments: object) -> object:
            monkeypatch.undo()
            client.reindex("g")
            until(lambda: not client.reindexing("g").running)
            return search(*arguments)

        monkeypatch.setattr(parts.previous.index, "search", take_over_first)
        with Client(running.url) as other:
            answer = other.query("g", [encoded(person(3, 1))])
        assert (answer.results[0].person, answer.model) == ("p3", present)


def test_killed_while_reindexing_every_answer_is_whole_and_either_model_can_go_on(
    tmp_path: Path, bundles: tuple[Path, Path]
) -> None:
    before, present = fingerprints(bundles)
    people = range(60)
    some = (0, 7, 30, 59)

    def start(*models: Path) -> BackgroundService:
        environment = {"PENUMBRA_PREVIOUS_BUNDLE": str(models[1])} if models[1:] else {}
        service = start_service(
            tmp_path / "data", tmp_path / "log.txt", bundle=models[0], environment=environment
        )
        service.wait_until_ready()
        return service

    def kill_while_reindexing() -> None:
        with stuck(last):  # so that the kill comes before the end, however late it comes
            service = start(bundles[1], bundles[0])
            with Client(service.url) as client:
                client.reindex("g")
                while client.reindexing("g").done == 0:
                    time.sleep(0.001)
            os.kill(service.process.pid, signal.SIGKILL)
            service.process.wait()
        catalog = Catalog(f"sqlite:///{tmp_path / 'data' / 'catalog.sqlite3'}")
        left = catalog.pending.counts(1, present).kept
        known = sum(len(batch.ids) for batch in catalog.previous.batches([1], before))
        catalog.close()
        assert 0 < left < len(people)
        assert known == len(people)

    service = start(bundles[0])
    with Client(service.url) as client:
        client.create_gallery("g", keep_pictures=True)
        enrolled = client.enrol("g", pictures(*people))
    service.stop()
    (last,) = (tmp_path / "data" / "pictures").rglob(f"{enrolled[-1].id}.picture")

    kill_while_reindexing()
    # Back to the model before, alone: it has what it made of everybody.
    service = start(bundles[0])
    with Client(service.url) as client:
        assert client.gallery("g").pending == 0
        for who in some:
            answer = client.query("g", [encoded(person(who, 1))])
            assert (answer.results[0].person, answer.model) == (f"p{who}", before)
    service.stop()

    kill_while_reindexing()
    service = start(bundles[1], bundles[0])
    with Client(service.url) as client:
        models = []
        while not models or models[-1] != present:
            for who in some:
                answer = client.query("g", [encoded(person(who, 1))])
                assert answer.results[0].person == f"p{who}"
                models.append(answer.model)
        assert models == sorted(models, key=[before, present].index)
        assert client.reindexing("g").done == len(people)
    service.stop()
