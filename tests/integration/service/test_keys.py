"""Keys, roles, limits and the audit trail of a running service."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from sqlalchemy import create_engine, inspect
from typer.testing import CliRunner

from service.api.serve import ServeRefused, refuse_open_door
from service.cli import app
from service.client import Client, NewPicture, ProblemError
from service.settings import Settings
from service.storage.audit import AuditTrail
from service.storage.catalog import Catalog
from service.storage.keys import Keys, Role
from tests.drawings import encoded, person
from tests.reading import contents_of
from tests.servers import PostgreSQLServer
from tests.serving import Serving, handmade_settings, serving

MakeKey = Callable[..., str]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("service")


@pytest.fixture(scope="module")
def service(folder: Path) -> Iterator[Serving]:
    """With an admin key, so that everybody needs one, and the galleries ``a`` and ``b``."""
    with serving(handmade_settings(folder)) as running:
        with Client(running.url) as anybody:  # there is no key yet
            anybody.create_gallery("a")
            anybody.create_gallery("b")
            anybody.enrol("a", [NewPicture(encoded(person(1)), "anna")])
        keys(running).create("the first", "admin")
        time.sleep(1.1)  # what was known of the keys is taken for granted for a second
        yield running


def keys(service: Serving) -> Keys:
    return Keys(service.app.state.assembly.galleries._parts.catalog.database)


@pytest.fixture
def client(service: Serving) -> Iterator[Callable[..., Client]]:
    made: list[Client] = []

    def make(role: Role, galleries: list[str] | None = None, expires_at: datetime | None = None) -> Client:
        token = keys(service).create(f"a {role} key", role, galleries, expires_at).token
        made.append(Client(service.url, key=token))
        return made[-1]

    yield make
    for one in made:
        one.close()


def refusal(call: Callable[[], object]) -> tuple[int, str]:
    with pytest.raises(ProblemError) as refused:
        call()
    return refused.value.status, refused.value.slug


def test_without_a_key_nothing_but_health_is_answered(service: Serving) -> None:
    paths = httpx.get(f"{service.url}/openapi.json", timeout=60).json()["paths"]
    for path, operations in paths.items():
        for method in operations:
            url = service.url + path.format(gallery="a", image="i", person="p")
            answer = httpx.request(method, url, timeout=60)
            if path in ("/healthz", "/readyz"):
                assert answer.status_code == 200
            else:
                assert answer.status_code == 401, (method, path)
                assert answer.headers["WWW-Authenticate"] == "Bearer"
                assert answer.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize(
    "token",
    [
        "pen_",
        "x" * 5000,
        "pen_01KD4Z6M9W4S0X2J5T7V8Y1A3B_" + "A" * 43,
        "pen_01KD4Z6M9W4S0X2J5T7V8Y1A3B_" + "é" * 43,
    ],
)
def test_an_unknown_key_is_refused(service: Serving, token: str) -> None:
    answer = httpx.get(f"{service.url}/v1/galleries", headers={"Authorization": f"Bearer {token}".encode()})
    assert answer.status_code == 401


def test_a_wrong_secret_with_a_right_id_is_refused(service: Serving) -> None:
    token = keys(service).create("mine", "admin").token
    other = token[:-1] + ("A" if token[-1] != "A" else "B")
    assert refusal(lambda: Client(service.url, key=other).model()) == (401, "unauthorised")


def test_each_role_may_do_what_it_says_and_no_more(service: Serving, client: Callable[..., Client]) -> None:
    reader, enroller, admin = client("query"), client("enrol"), client("admin")
    assert reader.query("a", [encoded(person(1))]).results[0].person == "anna"
    assert refusal(lambda: reader.enrol("a", [NewPicture(encoded(person(2)), "ben")])) == (403, "forbidden")
    assert refusal(lambda: reader.delete_person("a", "anna")) == (403, "forbidden")
    enroller.enrol("a", [NewPicture(encoded(person(2)), "ben")])
    enroller.delete_person("a", "ben")
    assert refusal(lambda: enroller.create_gallery("c")) == (403, "forbidden")
    assert refusal(lambda: enroller.delete_gallery("a")) == (403, "forbidden")
    admin.create_gallery("c")
    admin.delete_gallery("c")


def test_a_bound_key_reaches_its_galleries_only(service: Serving, client: Callable[..., Client]) -> None:
    bound = client("enrol", ["b"])
    assert [gallery.name for gallery in bound.galleries()] == ["b"]
    bound.enrol("b", [NewPicture(encoded(person(3)), "cleo", client_id="cleo")])
    for call in (
        lambda: bound.query("a", [encoded(person(1))]),
        lambda: bound.gallery("a"),
        lambda: bound.gallery("not there at all"),
        lambda: list(bound.images("a")),
        lambda: bound.verify([encoded(person(1))], gallery="a", person="anna"),
    ):
        assert refusal(call) == (403, "forbidden")


def test_revoked_and_expired_keys_end(service: Serving, client: Callable[..., Client]) -> None:
    soon = client("query", expires_at=datetime.now(UTC) + timedelta(seconds=0.4))
    made = keys(service).create("to be revoked", "query")
    revoked = Client(service.url, key=made.token)
    assert revoked.model().name
    keys(service).revoke(made.record.id)
    time.sleep(1.1)
    assert refusal(soon.model) == (401, "unauthorised")
    assert refusal(revoked.model) == (401, "unauthorised")


def test_secrets_are_in_no_file_and_no_answer(service: Serving, folder: Path) -> None:
    token = keys(service).create("secret", "query").token
    _, _, secret = token.split("_", 2)  # which may have the sign itself
    for file, content in contents_of(folder / "data").items():
        assert secret.encode() not in content, file


def test_the_trail_tells_what_was_done_by_whom_without_names(
    service: Serving, client: Callable[..., Client], folder: Path
) -> None:
    enroller = client("enrol")
    enroller.enrol("a", [NewPicture(encoded(person(7)), "Somebody Unforgettable")])
    enroller.query("a", [encoded(person(7)), encoded(person(7, 1))])
    enroller.delete_person("a", "Somebody Unforgettable")
    key = keys(service).list()[-1].id
    trail = AuditTrail(service.app.state.assembly.galleries._parts.catalog.database)
    until = time.monotonic() + 30
    while len(events := trail.events(gallery="a", key=key)) < 3 and time.monotonic() < until:
        time.sleep(0.05)  # what was only read is written a moment later
    assert {(event.action, event.pictures, event.status) for event in events} == {
        ("enrol", 1, 201),
        ("query", 2, 200),
        ("delete_person", None, 204),
    }
    about = trail.events(gallery="a", name="Somebody Unforgettable")
    assert {event.action for event in about} == {"enrol", "delete_person"}
    database = service.app.state.assembly.catalog.database
    while database.unforgotten and time.monotonic() < until:
        time.sleep(0.05)  # at once, unless the trail was just being written
    for file, content in contents_of(folder / "data").items():
        assert b"Somebody Unforgettable" not in content, file


def test_the_log_names_calls_and_nobody(
    service: Serving, client: Callable[..., Client], caplog: pytest.LogCaptureFixture
) -> None:
    def logged() -> list[str]:
        return [entry.getMessage() for entry in caplog.records if entry.name == "service.access"]

    with caplog.at_level(logging.INFO, logger="service.access"):
        with pytest.raises(ProblemError):
            client("query").person("a", "Somebody Unheard-of")
        # The line is written once the answer is out, so it may come after the caller has it.
        until = time.monotonic() + 30
        while not logged() and time.monotonic() < until:
            time.sleep(0.05)
    assert any("/people/{person" in line for line in logged())
    assert not any("Somebody" in line for line in logged())


def test_refusals_are_in_the_trail(service: Serving, client: Callable[..., Client]) -> None:
    bound = client("query", ["b"])
    refusal(lambda: bound.gallery("a"))
    key = keys(service).list()[-1].id
    trail = AuditTrail(service.app.state.assembly.galleries._parts.catalog.database)
    until = time.monotonic() + 30
    while not (events := trail.events(key=key)) and time.monotonic() < until:
        time.sleep(0.05)
    assert [(event.action, event.gallery, event.status) for event in events] == [("get_gallery", "a", 403)]


def test_whoever_asks_too_often_is_told_when_to_come_back(tmp_path: Path) -> None:
    with serving(handmade_settings(tmp_path, rate_limit="3/hour")) as running:
        answers = [httpx.get(f"{running.url}/v1/model") for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        assert 1 <= int(answers[-1].headers["Retry-After"]) <= 3600
        assert httpx.get(f"{running.url}/healthz").status_code == 200


def test_every_answer_forbids_a_browser_to_guess(service: Serving) -> None:
    for path in ("/v1/model", "/docs", "/nothing/here"):
        headers = httpx.get(service.url + path).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["X-Frame-Options"] == "DENY"
        assert "Content-Security-Policy" in headers
    assert httpx.get(f"{service.url}/v1/model").headers["Cache-Control"] == "no-store"


def test_the_door_opens_to_other_machines_with_the_first_key(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'catalog.sqlite3'}"
    settings = Settings(host="0.0.0.0", catalog_url=url)
    with pytest.raises(ServeRefused, match="penumbra keys create"):
        refuse_open_door(settings)
    catalog = Catalog(url)
    made = Keys(catalog.database).create("operator", "admin")
    refuse_open_door(settings)
    Keys(catalog.database).revoke(made.record.id)
    with pytest.raises(ServeRefused):
        refuse_open_door(settings)
    catalog.close()


def test_the_end_of_the_last_key_opens_nothing_to_other_machines(tmp_path: Path) -> None:
    for allowed, expected in ((False, 401), (True, 200)):
        settings = handmade_settings(tmp_path, host="0.0.0.0", allow_anonymous=allowed)
        with serving(settings) as running, httpx.Client(base_url=running.url, timeout=60) as http:
            made = keys(running).create("operator", "admin")
            keys(running).revoke(made.record.id)
            assert http.get("/v1/galleries").status_code == expected
            assert http.get("/healthz").status_code == 200


def test_keys_are_made_listed_and_revoked_from_the_shell(tmp_path: Path) -> None:
    def penumbra(*arguments: str) -> tuple[int, str]:
        done = CliRunner().invoke(app, [*arguments, "--data-dir", str(tmp_path)])
        return done.exit_code, done.output if done.exit_code else done.stdout

    code, text = penumbra("keys", "create", "tracker", "--role", "enrol", "--gallery", "g", "--json")
    made = json.loads(text)
    assert (code, made["role"], made["galleries"], made["awaited"]) == (0, "enrol", ["g"], ["g"])
    code, text = penumbra("keys", "list", "--json")
    assert [key["id"] for key in json.loads(text)] == [made["id"]]
    assert made["token"] not in text
    assert penumbra("keys", "revoke", made["id"])[0] == 0
    assert json.loads(penumbra("keys", "list", "--json")[1])[0]["revoked_at"]
    code, text = penumbra("keys", "revoke", "nobody's")
    assert (code, "there is no key" in text) == (1, True)
    assert penumbra("keys", "create", "x", "--role", "owner")[0] == 2
    for never in ("soon", "99999999d", "9" * 5000 + "h", "-1d"):
        code, text = penumbra("keys", "create", "x", f"--expires={never}")
        assert (code, "--expires is a number of days or hours" in " ".join(text.split())) == (2, True), never
    for nowhere in ("No Such!", "", "g/h", "x" * 65):
        code, text = penumbra("keys", "create", "x", "--gallery", nowhere)
        assert (code, "no gallery can have the name" in " ".join(text.split())) == (2, True), nowhere
    code, text = penumbra("keys", "create", "x", "--role", "admin", "--gallery", "g")
    assert (code, "cannot be bound" in text) == (1, True)
    assert len(json.loads(penumbra("keys", "list", "--json")[1])) == 1, "none of those was made"
    assert penumbra("audit", "--json") == (0, "[]\n")


def test_a_key_says_for_which_catalog_it_is_and_whether_that_is_new(tmp_path: Path) -> None:
    folder = tmp_path / "typo"
    create = ["keys", "create", "tracker", "--json", "--data-dir", str(folder)]
    made, another = (CliRunner().invoke(app, create) for _ in range(2))
    assert (made.exit_code, another.exit_code) == (0, 0)
    assert f"a new catalog, at {folder / 'catalog.sqlite3'}" in made.stderr
    assert f"the catalog at {folder / 'catalog.sqlite3'}" in another.stderr
    assert "new" not in another.stderr.replace(str(tmp_path), "")


@pytest.mark.parametrize("command", [["audit"], ["keys", "list"], ["keys", "revoke", "01KD4Z6M9W4S"]])
def test_who_only_looks_makes_no_catalog(
    command: list[str], tmp_path: Path, postgresql_server: PostgreSQLServer
) -> None:
    said = CliRunner().invoke(app, [*command, "--data-dir", str(tmp_path / "typo")])
    assert said.exit_code == 1
    where = tmp_path / "typo" / "catalog.sqlite3"
    assert f"there is no catalog at {where}; name it with --data-dir" in said.stderr
    assert list(tmp_path.iterdir()) == []
    url = postgresql_server.empty_database()
    said = CliRunner().invoke(app, [*command, "--catalog-url", url])
    assert said.exit_code == 1
    assert f"there is no catalog at {url}; name it with" in said.stderr
    engine = create_engine(url)
    assert inspect(engine).get_table_names() == []
    engine.dispose()
