"""What the commands do to a running service, each from the shell's side."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner

from service.api.schemas.galleries import GalleryChange, GalleryCreate
from service.api.schemas.queries import QueryForm
from service.cli import app
from service.client import Client, NewPicture
from service.commands.galleries import change_gallery, create_gallery
from service.commands.query import query
from tests.drawings import encoded, person
from tests.serving import Serving, handmade_settings, serving


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with serving(handmade_settings(tmp_path_factory.mktemp("service"))) as running:
        yield running


@pytest.fixture
def client(service: Serving) -> Iterator[Client]:
    """To a service with an empty gallery ``g``, which keeps pictures."""
    with Client(service.url) as client:
        client.create_gallery("g", keep_pictures=True)
        yield client
        client.delete_gallery("g")


def enrol(client: Client, *names: str) -> list[str]:
    """Enrol a picture of each, and tell the ids."""
    pictures = [NewPicture(encoded(person(who)), name, "north") for who, name in enumerate(names)]
    return [str(one.id) for one in client.enrol("g", pictures)]


@pytest.fixture
def run(service: Serving) -> Any:
    def command(*arguments: str | Path) -> Any:
        environment = {"PENUMBRA_URL": service.url, "COLUMNS": "200"}
        return CliRunner().invoke(app, [str(argument) for argument in arguments], env=environment)

    return command


def test_people_are_merged_into_one_who_is_there(client: Client, run: Any) -> None:
    enrol(client, "anna", "anna-2", "bo")
    missing = run("people", "merge", "anna-2", "ana", "-g", "g")
    assert (missing.exit_code, "ana" in missing.stderr) == (1, True)
    assert run("people", "merge", "anna", "anna", "-g", "g").exit_code == 2
    assert {one.name for one in client.people("g")} == {"anna", "anna-2", "bo"}
    merged = run("people", "merge", "anna-2", "anna", "-g", "g", "--json")
    assert json.loads(merged.stdout) == {"name": "anna", "images": 2}
    assert {one.name: one.images for one in client.people("g")} == {"anna": 2, "bo": 1}


def test_query_has_an_option_for_every_field_of_rest() -> None:
    called = {
        "boxes": "box",
        "cameras": "camera",
        "people": "person",
        "exclude_cameras": "exclude_camera",
        "exclude_people": "exclude_person",
    }
    assert {called.get(name, name) for name in QueryForm.model_fields} <= set(
        inspect.signature(query).parameters
    )


def test_query_looks_at_the_pictures_of_a_time(client: Client, run: Any, tmp_path: Path) -> None:
    times = [datetime(2026, 11, 20, hour, tzinfo=UTC) for hour in (8, 12, 16)]
    client.enrol(
        "g", [NewPicture(encoded(person(1, n)), f"at-{t.hour}", time=t) for n, t in enumerate(times)]
    )
    (tmp_path / "who.png").write_bytes(encoded(person(1)))

    def found(*options: str) -> set[str]:
        done = run("query", tmp_path / "who.png", "-g", "g", "--json", *options)
        assert done.exit_code == 0, done.stderr
        return {result["person"] for result in json.loads(done.stdout)["results"]}

    assert found("--from", "2026-11-20T12:00:00Z") == {"at-12", "at-16"}
    assert found("--to", "2026-11-20T13:00:00+01:00") == {"at-8"}
    assert found("--from", "2026-11-20T09:00:00Z", "--to", "2026-11-20T16:00:00Z") == {"at-12"}
    assert found("--from", "2026-11-18", "--to", "2026-11-22 12:30") == {"at-8", "at-12", "at-16"}
    for wrong in (["--from", "yesterday"], ["--from", "2026-11-20", "--to", "2026-11-20"]):
        refused = run("query", tmp_path / "who.png", "-g", "g", *wrong)
        assert (refused.exit_code, len(refused.stderr.splitlines())) == (2, 1)


def test_query_looks_at_the_person_in_the_box(client: Client, run: Any, tmp_path: Path) -> None:
    enrol(client, "anna", "bo")
    frame = Image.new("RGB", (300, 200))
    frame.paste(person(0, 5), (20, 30))
    frame.paste(person(1, 5), (150, 40))
    frame.save(tmp_path / "frame.png")
    person(0, 6).save(tmp_path / "anna.png")

    def best(*arguments: str | Path) -> str:
        done = run("query", *arguments, "-g", "g", "--json", "--top-k", "1")
        assert done.exit_code == 0, done.stderr
        return str(json.loads(done.stdout)["results"][0]["person"])

    assert best(tmp_path / "frame.png", "--box", "20,30,64,128") == "anna"
    assert best(tmp_path / "frame.png", "--box", "150 40 64 128") == "bo"
    both = [tmp_path / "anna.png", tmp_path / "frame.png"]
    assert best(*both, "--box", "none", "--box", "[20, 30, 64, 128]") == "anna"
    for boxes in (["--box", "1,2,3"], ["--box", "none", "--box", "1,2,3,4"]):
        assert run("query", tmp_path / "frame.png", "-g", "g", *boxes).exit_code == 2


def test_camera_and_time_are_told_of_a_whole_folder(client: Client, run: Any, tmp_path: Path) -> None:
    for who, name in enumerate(("anna_c1", "bo_c")):
        person(who).save(tmp_path / f"{name}.png")
    listed = "path,person,camera\nanna_c1.png,anna,1\nbo_c.png,bo,\n"
    (tmp_path / "list.csv").write_text(listed)
    told = ["--camera", "gate", "--time", "2026-11-20T12:00:00+01:00"]
    done = run("enrol", tmp_path, "-g", "g", "--manifest", tmp_path / "list.csv", *told)
    assert done.exit_code == 0, done.stderr
    stored = {one.person: (one.camera, one.time) for one in client.images("g")}
    noon = datetime(2026, 11, 20, 11, tzinfo=UTC)
    assert stored == {"anna": ("1", noon), "bo": ("gate", noon)}


def test_galleries_have_an_option_for_every_field_of_rest() -> None:
    assert set(GalleryCreate.model_fields) <= set(inspect.signature(create_gallery).parameters)
    assert set(GalleryCreate.model_fields) == set(inspect.signature(Client.create_gallery).parameters) - {
        "self"
    }
    assert set(GalleryChange.model_fields) <= set(inspect.signature(change_gallery).parameters)


def test_a_gallerys_settings_are_given_changed_and_taken_back(service: Serving, run: Any) -> None:
    made = ["--keep-pictures", "--retention-days", "30", "--match-rate", "0.01", "--prior", "0.25"]
    first = run("galleries", "create", "yard", *made, "--json")
    assert first.exit_code == 0, first.stderr
    said = {"keep_pictures": True, "retention_days": 30, "match_rate": 0.01, "uncertain_rate": None}
    assert {**json.loads(first.stdout), **said, "prior": 0.25} == json.loads(first.stdout)

    shown = run(
        "galleries", "change", "yard", "--no-keep-pictures", "--uncertain-rate", "0.2", "--prior", "none"
    )
    assert shown.exit_code == 0, shown.stderr
    assert [line.split("  ")[-1].strip() for line in shown.stdout.splitlines()] == [
        "yard",
        "no, only their features",
        "30 days",
        "auto, as the service says",
        "0.01",
        "0.2",
        "as the calibration says",
    ]
    cleared = [
        "--retention-days",
        "none",
        "--match-rate",
        "none",
        "--uncertain-rate",
        "none",
        "--keep-pictures",
    ]
    last = json.loads(run("galleries", "change", "yard", *cleared, "--json").stdout)
    unsaid = dict.fromkeys(("retention_days", "match_rate", "uncertain_rate", "prior"))
    assert {**last, **unsaid, "keep_pictures": True} == last
    for wrong in ([], ["--retention-days", "0"], ["--prior", "much"], ["--index", "round"]):
        assert run("galleries", "change", "yard", *wrong).exit_code == 2
    with Client(service.url) as client:
        client.delete_gallery("yard")
