"""People and pictures over REST: listed, fetched, renamed, merged, erased, filtered, verified."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from service.cli import app
from service.client import BatchQuery, Client, Filters, NewPicture, ProblemError
from tests.drawings import encoded, person
from tests.reading import contents_of
from tests.serving import Serving, handmade_settings, serving

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
NAMES = ("anna", "b/ob", "späti", "dora?x=1", "eve")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("service")


@pytest.fixture(scope="module")
def service(folder: Path) -> Iterator[Serving]:
    with serving(handmade_settings(folder)) as running:
        yield running


@pytest.fixture
def client(service: Serving) -> Iterator[Client]:
    """With a gallery ``g`` that keeps pictures: five people, three pictures each, an hour apart."""
    with Client(service.url) as made:
        made.create_gallery("g", keep_pictures=True)
        made.enrol(
            "g",
            [
                NewPicture(
                    encoded(person(who, view)),
                    name,
                    camera=None if view == 2 else f"c{view}",
                    time=NOON + timedelta(hours=view),
                    client_id=f"{who}-{view}",
                    metadata={"view": view},
                )
                for who, name in enumerate(NAMES)
                for view in range(3)
            ],
        )
        yield made
        made.delete_gallery("g")


def assert_refused(refused: pytest.ExceptionInfo[ProblemError], status: int, slug: str) -> None:
    assert (refused.value.status, refused.value.slug) == (status, slug)


def test_pictures_are_listed_once_each_while_others_come_and_go(client: Client) -> None:
    seen = []
    for picture in client.images("g", page_size=4):
        seen.append(picture.client_id)
        if len(seen) == 5:
            client.delete_image("g", next(client.images("g")).id)
            client.enrol("g", [NewPicture(encoded(person(70)), "late", client_id="late")])
    assert seen == [f"{who}-{view}" for who in range(5) for view in range(3)] + ["late"]


def test_pictures_are_listed_by_person_and_camera(client: Client) -> None:
    assert [p.client_id for p in client.images("g", person="b/ob")] == ["1-0", "1-1", "1-2"]
    assert [p.client_id for p in client.images("g", person="b/ob", camera="c1")] == ["1-1"]
    assert list(client.images("g", person="nobody")) == []


def test_a_picture_is_shown_with_all_that_was_told_of_it_and_fetched_as_it_was_sent(
    client: Client, service: Serving
) -> None:
    (listed,) = client.images("g", person="anna", camera="c1")
    shown = client.image("g", listed.id)
    assert shown == listed
    assert (shown.person, shown.camera, shown.time, shown.client_id, shown.metadata) == (
        "anna",
        "c1",
        NOON + timedelta(hours=1),
        "0-1",
        {"view": 1},
    )
    assert (shown.kept, shown.pending, shown.occlusion.type) == (True, False, "none")
    assert client.file("g", shown.id) == encoded(person(0, 1))
    answer = httpx.get(
        f"{client._http.base_url}/v1/galleries/g/images/{shown.id}/file".replace("//v1", "/v1"),
        trust_env=False,
    )
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_what_is_not_there_is_named(client: Client) -> None:
    client.create_gallery("bare")
    (outcome,) = client.enrol("bare", [NewPicture(encoded(person(1)), "x")])
    with pytest.raises(ProblemError) as refused:
        client.file("bare", str(outcome.id))
    assert_refused(refused, 404, "picture-not-kept")
    client.delete_gallery("bare")
    with pytest.raises(ProblemError) as refused:
        client.image("g", str(outcome.id))
    assert_refused(refused, 404, "unknown-image")
    for call in (client.person, client.delete_person):
        with pytest.raises(ProblemError) as refused:
            call("g", "nobody")
        assert_refused(refused, 404, "unknown-person")
    with pytest.raises(ProblemError) as refused:
        list(client.people("nowhere"))
    assert_refused(refused, 404, "unknown-gallery")


def test_people_are_listed_in_pages_with_their_counts(client: Client) -> None:
    assert [(p.name, p.images) for p in client.people("g", page_size=2)] == [(n, 3) for n in sorted(NAMES)]
    for name in NAMES:
        assert client.person("g", name).images == 3


def test_an_erased_person_leaves_nothing(client: Client, service: Serving, folder: Path) -> None:
    gone = [picture.id for picture in client.images("g", person="späti")]
    pictures = [fetch("g", id) for id in gone for fetch in (client.file, client.thumbnail)]
    client.delete_person("g", "späti")
    assert "späti" not in {p.name for p in client.people("g")}
    answer = client.query("g", [encoded(person(2, view=9))], top_k=100, by="image")
    assert not {result.image.id for result in answer.results} & set(gone)
    assert len(answer.results) == 12
    database, until = service.app.state.assembly.catalog.database, time.monotonic() + 60
    while database.unforgotten and time.monotonic() < until:
        time.sleep(0.05)  # at once, unless the audit trail was just being written
    kept = {path.stem for path in folder.rglob("*.picture")}
    assert len(kept) == 12
    assert not kept & set(gone)
    for path, content in contents_of(folder / "data").items():
        assert "späti".encode() not in content
        assert not any(id.encode() in content or id in path.name for id in gone)
        # from 100 on: what is before it, other pictures have too
        assert not any(picture[100:] in content for picture in pictures)
    misses = service.app.state.assembly.metrics.cache_lookups.labels("miss")
    before = misses._value.get()
    client.embed([encoded(person(2, view)) for view in range(3)])
    assert misses._value.get() == before + 3  # the feature cache forgot them too


def test_a_renamed_person_is_found_by_the_new_name(client: Client) -> None:
    assert client.rename_person("g", "anna", "anna maria").images == 3
    assert client.query("g", [encoded(person(0, view=9))]).results[0].person == "anna maria"
    assert client.rename_person("g", "anna maria", "anna maria").name == "anna maria"
    with pytest.raises(ProblemError) as refused:
        client.rename_person("g", "anna maria", "eve")
    assert_refused(refused, 409, "person-exists")


def test_merged_people_are_one_from_then_on(client: Client) -> None:
    assert client.rename_person("g", "b/ob", "eve", merge=True).images == 6
    answer = client.query("g", [encoded(person(1, view=9))], top_k=100)
    assert [result.person for result in answer.results].count("eve") == 1
    assert answer.results[0].person == "eve"
    assert len(answer.results) == 4
    client.delete_person("g", "eve")
    assert client.gallery("g").images == 9


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (Filters(cameras=["c0"]), {f"{who}-0" for who in range(5)}),
        (Filters(exclude_cameras=["c0", "c1"]), {f"{who}-2" for who in range(5)}),
        (Filters(people=["anna", "späti"], cameras=["c1"]), {"0-1", "2-1"}),
        (Filters(exclude_people=list(NAMES[:4]), time_from=NOON + timedelta(hours=1)), {"4-1", "4-2"}),
        (Filters(time_to=NOON + timedelta(hours=1), people=["eve"]), {"4-0"}),
        (Filters(people=["nobody"]), set()),
        (Filters(metadata={"view": 1}), {f"{who}-1" for who in range(5)}),
        (Filters(metadata={"view": 2}, people=["eve"]), {"4-2"}),
        (Filters(metadata={"view": "2"}), set()),
    ],
)
def test_a_filtered_query_ranks_exactly_what_the_filters_leave(
    client: Client, filters: Filters, expected: set[str]
) -> None:
    names = {picture.id: picture.client_id for picture in client.images("g")}
    query = [encoded(person(2, view=9, hidden=4)), encoded(person(2, view=10))]  # two terms in one search
    everything = client.query("g", query, top_k=100, by="image").results
    found = client.query("g", query, top_k=100, by="image", filters=filters).results
    assert {names[result.image.id] for result in found} == expected
    unfiltered = [(r.image.id, r.score) for r in everything if names[r.image.id] in expected]
    assert [r.image.id for r in found] == [id for id, _ in unfiltered]
    assert [r.score for r in found] == pytest.approx([score for _, score in unfiltered])


@pytest.mark.parametrize(
    "field",
    [
        {"cameras": "c0"},
        {"people": "[]"},
        {"time_from": "2026-01-01T00:00:00"},
        {"people": "[1]"},
        {"metadata": "shift=night"},
        {"metadata": "{}"},
        {"metadata": '{"view": null}'},
        {"metadata": '{"view": NaN}'},
    ],
)
def test_a_filter_that_does_not_validate_is_named(
    client: Client, service: Serving, field: dict[str, str]
) -> None:
    answer = httpx.post(
        f"{service.url}/v1/galleries/g/query",
        data=field,
        files=[("files", ("a", encoded(person(1))))],
        trust_env=False,
    )
    assert answer.status_code == 422
    assert next(iter(field)) in answer.json()["detail"]


def test_the_same_person_scores_higher_than_another(client: Client) -> None:
    same = client.verify([encoded(person(0, 5)), encoded(person(0, 6, hidden=4))])
    other = client.verify([encoded(person(0, 5)), encoded(person(1, 6, hidden=4))])
    assert same.compared == other.compared == "bottom_half"
    assert same.score > other.score
    assert (same.probability, same.decision, same.image) == (None, None, None)
    # hidden on both sides alike, the two are as symmetric as their score
    mirrored = client.verify([encoded(person(0, 6, hidden=4)), encoded(person(0, 5))])
    assert mirrored.score == pytest.approx(same.score, abs=1e-6)


def test_a_picture_is_verified_against_the_best_picture_of_a_person(client: Client) -> None:
    picture = encoded(person(3, view=9))
    found = client.verify([picture], gallery="g", person=NAMES[3])
    best = client.query("g", [picture], by="image", top_k=1).results[0]
    assert found.image is not None
    assert (found.image.id, found.score) == (best.image.id, best.score)
    assert client.verify([picture], gallery="g", person="eve").score < found.score
    for wrong in ({"gallery": "g"}, {"gallery": "g", "person": "nobody"}):
        with pytest.raises(ProblemError):
            client.verify([picture], **wrong)


def test_people_are_listed_merged_and_erased_from_the_command_line(client: Client, service: Serving) -> None:
    def run(*arguments: str) -> str:
        done = CliRunner().invoke(app, [*arguments, "--gallery", "g", "--url", service.url])
        assert done.exit_code == 0, done.output
        return done.stdout

    assert {"name": "anna", "images": 3} in json.loads(run("people", "list", "--json"))
    assert "anna" in run("people", "list")
    assert "6 pictures" in run("people", "rename", "anna", "eve", "--merge")
    assert run("people", "erase", "eve", "--yes") == "erased eve\n"
    assert "eve" not in {person.name for person in client.people("g")}


def test_the_command_line_filters_a_query(client: Client, service: Serving, tmp_path: Path) -> None:
    picture = tmp_path / "who.png"
    picture.write_bytes(encoded(person(2, view=9)))
    options = ["--gallery", "g", "--camera", "c0", "--exclude-person", "späti", "--by", "image", "--json"]
    done = CliRunner().invoke(app, ["query", str(picture), *options, "--url", service.url])
    results = json.loads(done.stdout)["results"]
    assert len(results) == 4
    assert {result["image"]["camera"] for result in results} == {"c0"}
    assert "späti" not in {result["person"] for result in results}


def test_own_metadata_is_told_and_asked_for_from_the_command_line(
    client: Client, service: Serving, tmp_path: Path
) -> None:
    def run(*arguments: str) -> str:
        done = CliRunner().invoke(app, [*arguments, "--gallery", "g", "--url", service.url])
        assert done.exit_code == 0, done.output
        return done.stdout

    for who in ("fay", "gus"):
        (tmp_path / f"{who}.png").write_bytes(encoded(person(len(who) + ord(who[0]))))
    (tmp_path / "list.csv").write_text("path,person,shift\nfay.png,fay,\ngus.png,gus,day\n")
    told = ["--metadata", "shift=night", "--metadata", "gate:=4"]
    run("enrol", str(tmp_path), "--manifest", str(tmp_path / "list.csv"), *told)
    metadata = {picture.person: picture.metadata for picture in client.images("g", page_size=4)}
    assert metadata["fay"] == {"shift": "night", "gate": 4}
    assert metadata["gus"] == {"shift": "day", "gate": 4}
    found = json.loads(run("query", str(tmp_path / "gus.png"), "--json", *told))["results"]
    assert [result["person"] for result in found] == ["fay"]


def test_what_was_enrolled_before_is_told_at_enrolment_and_listed(
    client: Client, service: Serving, tmp_path: Path
) -> None:
    known = next(picture for picture in client.images("g") if picture.client_id == "3-1")
    content, frame = encoded(person(3, 1)), encoded(person(60))
    outcomes = client.enrol(
        "g",
        [
            NewPicture(content, "eve"),
            NewPicture(frame, "fay"),
            NewPicture(frame, "fay", client_id="again"),
            NewPicture(frame, "fay", box=(0, 0, 20, 40)),  # another part of it
            NewPicture(b"no picture", "fay"),
        ],
    )
    first = outcomes[1].id
    assert [one.duplicate_of for one in outcomes] == [known.id, None, first, None, None]
    found = list(client.duplicates("g", page_size=1))
    assert [(one.id, one.duplicate_of) for one in found] == [
        (outcomes[0].id, known.id),
        (outcomes[2].id, first),
    ]
    assert [(one.person, one.duplicate_of_person) for one in found] == [("eve", NAMES[3]), ("fay", "fay")]

    def run(*arguments: str) -> str:
        done = CliRunner().invoke(app, [*arguments, "--url", service.url])
        assert done.exit_code == 0, done.output
        return done.stdout

    assert [one["client_id"] for one in json.loads(run("galleries", "duplicates", "g", "--json"))] == [
        None,
        "again",
    ]
    assert "again" in run("galleries", "duplicates", "g")
    (tmp_path / "gus").mkdir()
    (tmp_path / "gus" / "1.png").write_bytes(content)
    told = json.loads(run("enrol", str(tmp_path), "--gallery", "g", "--json"))
    assert [one["duplicate_of"] for one in told["duplicates"]] == [known.id]
    with pytest.raises(ProblemError) as refused:
        list(client.duplicates("nowhere"))
    assert_refused(refused, 404, "unknown-gallery")


def test_a_line_of_a_batch_asks_for_own_metadata(client: Client) -> None:
    lines = [
        BatchQuery([encoded(person(2, 9))], top_k=100, by="image", filters=Filters(metadata={"view": view}))
        for view in (1, 7)
    ]
    some, none = (line.answer for line in client.query_batch("g", lines))
    assert some is not None
    assert none is not None
    names = {picture.id: picture.client_id for picture in client.images("g")}
    assert {names[result.image.id] for result in some.results} == {f"{who}-1" for who in range(5)}
    assert none.results == []


def test_more_metadata_than_is_taken_is_refused(client: Client) -> None:
    for told in ({f"k{n}": n for n in range(65)}, {"long": "x" * 16_384}):
        with pytest.raises(ProblemError) as refused:
            client.enrol("g", [NewPicture(encoded(person(61)), "x", metadata=told)])
        assert_refused(refused, 422, "bad-items")
        assert "items[0].metadata" in str(refused.value)


def test_no_name_climbs_out_of_the_people(client: Client) -> None:
    """`people/..` is the gallery: whoever erased a person of that name would erase everybody."""
    for name in ("..", "."):
        with pytest.raises(ValueError, match="URL"):
            client.delete_person("g", name)
    for name in ("..", ".", "a/../..", "..\\x"):
        with pytest.raises(ProblemError) as refused:
            client.enrol("g", [NewPicture(encoded(person(60)), name)])
        assert_refused(refused, 422, "bad-items")
        with pytest.raises(ProblemError) as refused:
            client.rename_person("g", "anna", name)
        assert_refused(refused, 422, "invalid-request")
    assert client.gallery("g").images == 15


def test_times_at_the_edge_of_the_calendar_are_refused(service: Serving, client: Client) -> None:
    early, late = "0001-01-01T00:00:00+10:00", "9999-12-31T23:59:59-10:00"
    picture = [("files", ("a", encoded(person(1))))]
    with httpx.Client(base_url=f"{service.url}/v1/galleries/g", trust_env=False) as http:
        for field, value in (("time_from", late), ("time_to", early)):
            answer = http.post("/query", files=picture, data={field: value})
            assert (answer.status_code, field in answer.json()["detail"]) == (422, True)
        items = json.dumps([{"person": "x", "time": early}])
        assert http.post("/images", files=picture, data={"items": items}).status_code == 422
