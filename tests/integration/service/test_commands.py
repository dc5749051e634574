"""What the commands do to a running service, each from the shell's side."""

from __future__ import annotations

import inspect
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner

from service.api import images
from service.api.schemas.embedding import EmbedForm
from service.api.schemas.galleries import GalleryChange, GalleryCreate
from service.api.schemas.queries import QueryForm
from service.api.schemas.verification import VerifyForm
from service.cli import app
from service.client import Client, NewPicture
from service.client.calls.enrolment import Enrolment
from service.commands.comparing import embed, verify
from service.commands.galleries import change_gallery, create_gallery
from service.commands.images import list_images
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


class Shell:
    """Runs commands against a service."""

    def __init__(self, url: str) -> None:
        self._environment = {"PENUMBRA_URL": url, "COLUMNS": "200"}

    def __call__(self, *arguments: str | Path, said: str | None = None) -> Any:
        words = [str(argument) for argument in arguments]
        return CliRunner().invoke(app, words, env=self._environment, input=said)


@pytest.fixture
def run(service: Serving) -> Shell:
    return Shell(service.url)


def test_people_are_merged_into_one_who_is_there(client: Client, run: Shell) -> None:
    enrol(client, "anna", "anna-2", "bo")
    missing = run("people", "merge", "anna-2", "ana", "-g", "g")
    assert (missing.exit_code, "ana" in missing.stderr) == (1, True)
    assert run("people", "merge", "anna", "anna", "-g", "g").exit_code == 2
    assert {one.name for one in client.people("g")} == {"anna", "anna-2", "bo"}
    asked = run("people", "merge", "anna-2", "anna", "-g", "g")  # nobody answers
    assert (asked.exit_code, "anna-2's 1 pictures to anna" in asked.output) == (1, True)
    assert {one.name for one in client.people("g")} == {"anna", "anna-2", "bo"}
    merged = run("people", "merge", "anna-2", "anna", "-g", "g", "--yes", "--json")
    assert json.loads(merged.stdout) == {"name": "anna", "images": 2}
    assert {one.name: one.images for one in client.people("g")} == {"anna": 2, "bo": 1}


def test_an_interrupted_enrolment_says_what_is_done_and_can_be_run_again(
    client: Client, run: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for who in range(70):
        (tmp_path / f"p{who}").mkdir()
        (tmp_path / f"p{who}" / "1.png").write_bytes(encoded(person(who)))
    (tmp_path / "p1" / "1.heic").touch()
    real = Enrolment.next_call

    def interrupted(self: Enrolment) -> object:
        if self._known:
            raise KeyboardInterrupt
        return real(self)

    with monkeypatch.context() as pressed:
        pressed.setattr(Enrolment, "next_call", interrupted)
        broken_off = run("enrol", str(tmp_path), "-g", "g")
    assert broken_off.exit_code == 130
    assert "of 70 pictures 64 are answered" in broken_off.stderr
    again = run("enrol", str(tmp_path), "-g", "g")
    assert "6 enrolled, 64 were there already" in again.stdout
    assert "left alone: 1 .heic" in again.stderr


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


def test_query_looks_at_the_pictures_of_a_time(client: Client, run: Shell, tmp_path: Path) -> None:
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


def test_query_looks_at_the_person_in_the_box(client: Client, run: Shell, tmp_path: Path) -> None:
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


def test_camera_and_time_are_told_of_a_whole_folder(client: Client, run: Shell, tmp_path: Path) -> None:
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


def test_a_gallerys_settings_are_given_changed_and_taken_back(service: Serving, run: Shell) -> None:
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


def test_pictures_are_listed_shown_fetched_and_erased(client: Client, run: Shell, tmp_path: Path) -> None:
    anna, bo, other = enrol(client, "anna", "bo", "anna")
    listed = json.loads(run("images", "list", "-g", "g", "--person", "anna", "--json").stdout)
    assert [image["id"] for image in listed] == [anna, other]
    assert [
        one["id"] for one in json.loads(run("images", "list", "-g", "g", "--limit", "2", "--json").stdout)
    ] == [
        anna,
        bo,
    ]
    table = run("images", "list", "-g", "g", "--camera", "north").stdout
    assert all(shown in table for shown in (anna, bo, other, "north", "none"))

    shown = run("images", "show", bo, "-g", "g").stdout
    assert dict(line.split(maxsplit=1) for line in shown.splitlines())["person"] == "bo"
    assert json.loads(run("images", "show", bo, "-g", "g", "--json").stdout)["camera"] == "north"

    path = tmp_path / "bo.png"
    assert run("images", "file", bo, "-g", "g", "--output", path).stdout == f"wrote {path}\n"
    assert path.read_bytes() == encoded(person(1))
    assert run("images", "file", bo, "-g", "g", "--output", "-").stdout_bytes == encoded(person(1))
    assert run("images", "file", bo, "-g", "g", "-o", "-", "--thumbnail").stdout_bytes.startswith(b"\xff\xd8")
    away = run("images", "file", bo, "-g", "g", "--output", tmp_path / "no" / "where.png")
    assert (away.exit_code, "cannot be written" in away.stderr) == (1, True)

    asked = run("images", "erase", bo, "-g", "g", said="n\n")
    assert (asked.exit_code, "the picture of bo" in asked.output) == (1, True)
    assert len(list(client.images("g"))) == 3
    done = run("images", "erase", bo, "01KD4Z6M9W4S0X2J5T7V8Y1A3B", other, "-g", "g", "--yes")
    assert (done.exit_code, done.stdout) == (1, "erased 2\n")
    assert "01KD4Z6M9W4S0X2J5T7V8Y1A3B" in done.stderr
    assert [image.id for image in client.images("g")] == [anna]


def test_a_file_is_written_here_under_its_id(
    client: Client, run: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (anna,) = enrol(client, "anna")
    monkeypatch.chdir(tmp_path)
    assert run("images", "file", anna, "-g", "g").exit_code == 0
    assert (tmp_path / f"{anna}.png").read_bytes() == encoded(person(0))


def test_duplicates_are_erased_as_the_help_says(client: Client, run: Shell) -> None:
    content = encoded(person(7))
    first, *_ = client.enrol("g", [NewPicture(content, "anna", client_id=name) for name in ("a", "b", "c")])
    found = json.loads(run("galleries", "duplicates", "g", "--json").stdout)
    assert run("images", "erase", "-g", "g", "--yes", *(one["id"] for one in found)).exit_code == 0
    assert [image.id for image in client.images("g")] == [first.id]


def test_a_gallery_is_shown_with_its_counts(client: Client, run: Shell) -> None:
    enrol(client, "anna", "anna", "bo")
    shown = run("galleries", "show", "g").stdout.splitlines()
    assert [line.split() for line in shown[:3]] == [["gallery", "g"], ["pictures", "3"], ["people", "2"]]
    assert json.loads(run("galleries", "show", "g", "--json").stdout)["images"] == 3


def test_two_pictures_or_a_picture_and_a_person_are_verified(
    client: Client, run: Shell, tmp_path: Path
) -> None:
    enrol(client, "anna", "bo")
    for name, who in (("a.png", 0), ("b.png", 1)):
        person(who, 4).save(tmp_path / name)

    def score(*arguments: str | Path) -> float:
        done = run("verify", *arguments, "--json")
        assert done.exit_code == 0, done.stderr
        return float(json.loads(done.stdout)["score"])

    alike = score(tmp_path / "a.png", "-g", "g", "--person", "anna")
    assert alike > score(tmp_path / "a.png", "-g", "g", "--person", "bo")
    assert alike > score(tmp_path / "a.png", tmp_path / "b.png")
    shown = run("verify", tmp_path / "a.png", tmp_path / "b.png").stdout
    assert "hidden in b.png" in shown
    for wrong in ([], [tmp_path / "b.png", "-g", "g", "--person", "anna"], ["--person", "anna"]):
        assert run("verify", tmp_path / "a.png", *wrong).exit_code == 2


def test_pictures_are_embedded_however_many(service: Serving, run: Shell, tmp_path: Path) -> None:
    for number in range(70):
        person(number).save(tmp_path / f"{number:02d}.png")
    pictures = sorted(tmp_path.glob("*.png"))
    kinds = ["--occlusion", "none", "--occlusion", "bottom_half"]
    done = run("embed", *pictures, *kinds, "--json")
    assert done.exit_code == 0, done.stderr
    told = json.loads(done.stdout)["items"]
    assert [one["picture"] for one in told] == [str(path) for path in pictures]
    with Client(service.url) as client:
        assert (
            told[69]["embeddings"]
            == client.embed([pictures[69]], occlusions=["none", "bottom_half"]).items[0].embeddings
        )
    assert "00.png" in run("embed", pictures[0]).stdout


def test_verify_and_embed_have_an_option_for_every_field_of_rest() -> None:
    called = {"boxes": "box", "occlusions": "occlusion"}
    for form, command in ((VerifyForm, verify), (EmbedForm, embed)):
        options = set(inspect.signature(command).parameters)
        assert {called.get(name, name) for name in form.model_fields} <= options


def test_people_of_one_frame_are_enrolled_from_a_manifest_and_found_by_a_number(
    client: Client, run: Shell, tmp_path: Path
) -> None:
    frame = Image.new("RGB", (300, 200))
    frame.paste(person(0, 5), (20, 30))
    frame.paste(person(1, 5), (150, 40))
    frame.save(tmp_path / "frame.png")
    person(1, 6).save(tmp_path / "who.png")
    listed = (
        "path,person,box,gate:=,shift\nframe.png,anna,20 30 64 128,4,night\nframe.png,bo,150 40 64 128,5,4\n"
    )
    (tmp_path / "list.csv").write_text(listed)
    again = [
        run("enrol", tmp_path, "-g", "g", "--manifest", tmp_path / "list.csv", "--json") for _ in range(2)
    ]
    assert [done.exit_code for done in again] == [0, 0]
    assert [json.loads(done.stdout)["exists"] for done in again] == [0, 2]
    assert again[0].stderr.splitlines()[0] == "taken as metadata: gate:=, shift"

    def found(*options: str) -> list[str]:
        done = run("query", tmp_path / "who.png", "-g", "g", "--json", *options)
        return [result["person"] for result in json.loads(done.stdout)["results"]]

    assert found() == ["bo", "anna"]
    assert (found("--metadata", "gate:=4"), found("--metadata", "shift=4")) == (["anna"], ["bo"])


def test_every_table_tells_the_time_by_this_machines_clock(
    service: Serving, client: Client, run: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = service.app.state.assembly.settings.data_dir
    client.enrol("g", [NewPicture(encoded(person(1)), "anna", time=datetime(2026, 11, 20, 20, tzinfo=UTC))])
    catalog = ["--data-dir", data]
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "XST-5:30")
        time.tzset()
        shown = {
            "images list": run("images", "list", "-g", "g"),
            "galleries list": run("galleries", "list"),
            "audit": run("audit", *catalog, "--limit", "1"),
        }
        events = json.loads(run("audit", *catalog, "--json").stdout)  # those of reading come a little later
        created = client.gallery("g").created_at.astimezone()
        moments = [datetime.fromisoformat(event["at"]).astimezone() for event in events]
    time.tzset()
    assert "2026-11-21 01:30" in shown["images list"].stdout
    assert f"{created:%Y-%m-%d %H:%M}" in shown["galleries list"].stdout
    assert any(f"{moment:%Y-%m-%d %H:%M:%S}" in shown["audit"].stdout for moment in moments)


def test_images_are_listed_by_all_that_rest_lists_them_by(client: Client, run: Shell) -> None:
    fields = set(inspect.signature(images.list_images).parameters) - {"request", "cursor"}
    assert fields <= set(inspect.signature(list_images).parameters)
    times = [datetime(2026, 11, 20, hour, tzinfo=UTC) for hour in (8, 12, 16)]
    client.enrol(
        "g",
        [NewPicture(encoded(person(1, t.hour)), "anna", time=t, client_id=f"at-{t.hour}") for t in times],
    )

    def listed(*options: str) -> list[str]:
        done = run("images", "list", "-g", "g", "--json", *options)
        assert done.exit_code == 0, done.stderr
        return [image["client_id"] for image in json.loads(done.stdout)]

    assert listed("--client-id", "at-12") == ["at-12"]
    assert listed("--from", "2026-11-20T12:00:00Z") == ["at-12", "at-16"]
    assert listed("--to", "2026-11-20T12:00:00Z", "--not-pending") == ["at-8"]
    assert listed("--pending") == []
    assert run("images", "list", "-g", "g", "--from", "2026-11-20", "--to", "2026-11-19").exit_code == 2
