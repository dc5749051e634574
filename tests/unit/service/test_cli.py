"""What the commands promise, with a service played by a function in place of httpx's transport."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest
import typer.main
from typer.testing import CliRunner

from service.bench import accuracy
from service.bench.measures import Figures
from service.cli import app
from service.storage.database import Database


def every_command(group: Any, before: tuple[str, ...] = ()) -> Iterator[list[str]]:
    """All commands of a group, those of its groups too."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from every_command(command, (*before, name))
        else:
            yield [*before, name]


COMMANDS = list(every_command(typer.main.get_command(app)))

GALLERY = {
    "name": "shop",
    "images": 1204,
    "people": 2,
    "keep_pictures": False,
    "created_at": "2026-11-20T12:00:00Z",
}
ANSWER = {
    "query": {
        "occlusion": {
            "type": "bottom_half",
            "scores": {"top": 0.1, "bottom": 0.9, "left": 0.0, "right": 0.0},
        },
        "pictures": [],
    },
    "results": [
        {
            "rank": 1,
            "person": "[anna]",
            "score": 0.93148,
            "probability": None,
            "decision": None,
            "image": {
                "id": "01ABC",
                "camera": "c7",
                "time": None,
                "occlusion": {"type": "none", "scores": None},
            },
            "compared": "bottom_half",
        }
    ],
    "model": "f" * 64,
    "timings": {"decode": 0.5, "total": 9.25},
}

Handler = Callable[[httpx.Request], httpx.Response]


class Played:
    """A service that keeps galleries as sets of client ids and refuses pictures that begin with ``bad``."""

    def __init__(self) -> None:
        self.galleries: dict[str, set[str]] = {}
        self.people: dict[str, str] = {}
        self.asked: list[tuple[str, str]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        request.read()
        path = request.url.path
        self.asked.append((request.method, path))
        if path == "/v1/galleries" and request.method == "POST":
            name = json.loads(request.content)["name"]
            if name in self.galleries:
                return problem(409, "gallery-exists")
            self.galleries[name] = set()
            return httpx.Response(201, json={**GALLERY, "name": name})
        if path == "/v1/galleries":
            return httpx.Response(200, json={"items": [GALLERY], "next_cursor": None})
        name = path.split("/")[3]
        if name not in self.galleries:
            return problem(404, "unknown-gallery")
        if path.endswith("/images"):
            return self._enrol(name, request)
        if path.endswith("/query"):
            return httpx.Response(200, json=ANSWER)
        if request.method == "DELETE":
            del self.galleries[name]
            return httpx.Response(204)
        return httpx.Response(200, json={**GALLERY, "name": name})

    def _enrol(self, name: str, request: httpx.Request) -> httpx.Response:
        fields, files = multipart(request)
        items = []
        for item, content in zip(json.loads(fields["items"]), files, strict=True):
            client_id = item["client_id"]
            if content.startswith(b"bad"):
                fault = {"status": 422, "detail": "no picture at all"}
                items.append({"id": None, "client_id": client_id, "status": "failed", "problem": fault})
                continue
            status = "exists" if client_id in self.galleries[name] else "enrolled"
            self.galleries[name].add(client_id)
            person = self.people.setdefault(client_id, item["person"])
            differs = [] if person == item["person"] else ["person"]
            known = {"client_id": client_id, "status": status, "person": person, "differs": differs}
            items.append({"id": f"id-{client_id}", **known})
        return httpx.Response(201, json={"items": items})


def problem(status: int, slug: str) -> httpx.Response:
    document = {"type": f"https://penumbra.invalid/problems/{slug}", "title": slug, "detail": f"about {slug}"}
    return httpx.Response(
        status, content=json.dumps(document), headers={"content-type": "application/problem+json"}
    )


def multipart(request: httpx.Request) -> tuple[dict[str, str], list[bytes]]:
    """Fields and files of a multipart request."""
    boundary = b"--" + request.headers["content-type"].split("boundary=")[1].encode()
    fields: dict[str, str] = {}
    files: list[bytes] = []
    for part in request.content.split(boundary)[1:-1]:
        head, _, body = part.partition(b"\r\n\r\n")
        if b"filename=" in head:
            files.append(body.removesuffix(b"\r\n"))
        else:
            fields[head.split(b'name="')[1].split(b'"')[0].decode()] = body.removesuffix(b"\r\n").decode()
    return fields, files


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> Played:
    service = Played()
    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", lambda _, request: service(request))
    monkeypatch.delenv("PENUMBRA_URL", raising=False)
    return service


@pytest.fixture
def people(tmp_path: Path) -> Path:
    """Two people with a folder each."""
    for name in ("anna/1.jpg", "anna/2.jpg", "bo/1.jpg"):
        path = tmp_path / "people" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"picture")
    return tmp_path / "people"


def run(*arguments: str | Path) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_of_every_command_shows_an_example(command: list[str]) -> None:
    done = run(*command, "--help")
    assert done.exit_code == 0
    assert f"penumbra {' '.join(command)}" in done.stdout.partition("Example")[2]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_is_set_to_the_terminals_width(command: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    told, _, examples = run(*command, "--help").stdout.partition(" Example")
    paragraphs = [text.strip().split("\n") for text in re.split(r"\n\s*\n", told)][1:]
    for lines in paragraphs:  # none is broken where the next word had fitted
        for line, following in pairwise(lines):
            assert len(line.rstrip()) + 1 + len(following.split()[0]) > 78
    for line in examples.partition("╭")[0].splitlines()[1:]:
        assert not line.strip() or line.startswith("   ")


@pytest.mark.parametrize(
    ("mistyped", "suggested"),
    [
        (["people", "erased"], None),
        (["people", "mergee"], "merge"),
        (["galleries", "deleted"], None),
        (["galleries", "crate"], "create"),
        (["keys", "revok"], None),
    ],
)
def test_no_mistyped_command_leads_to_one_that_erases(mistyped: list[str], suggested: str | None) -> None:
    done = run(*mistyped, "anna")
    assert done.exit_code == 2
    assert f"No such command '{mistyped[-1]}'" in done.stderr
    assert ("Did you mean" in done.stderr, f"'{suggested}'" in done.stderr) == (bool(suggested),) * 2


def test_version_is_the_packages() -> None:
    assert run("--version").stdout == f"penumbra {version('penumbra-reid')}\n"


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from typer.testing import CliRunner; from service.cli import app;"
        "assert CliRunner().invoke(app, ['--help']).exit_code == 0;"
        "heavy = {'numpy', 'httpx', 'fastapi', 'onnxruntime', 'faiss', 'sqlalchemy', 'PIL', 'pydantic'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_folder_enrolled_twice_is_enrolled_once(played: Played, people: Path) -> None:
    first = run("enrol", people, "--gallery", "shop", "--create", "--json")
    again = run("enrol", people, "--gallery", "shop", "--create", "--json")
    assert (first.exit_code, again.exit_code) == (0, 0)
    assert json.loads(first.stdout) == {
        "gallery": "shop",
        "enrolled": 3,
        "exists": 0,
        "failed": 0,
        "failures": [],
        "duplicates": [],
        "stored_otherwise": [],
    }
    assert json.loads(again.stdout)["exists"] == 3
    assert played.galleries["shop"] == {"anna/1.jpg", "anna/2.jpg", "bo/1.jpg"}


def test_pictures_that_are_stored_under_another_name_are_told(played: Played, people: Path) -> None:
    run("enrol", people, "--gallery", "shop", "--create")
    played.people["bo/1.jpg"] = "robert"
    said = run("enrol", people, "--gallery", "shop").stdout
    assert "stored with another person, camera, time or metadata, and left so: 1" in said
    told = json.loads(run("enrol", people, "--gallery", "shop", "--json").stdout)["stored_otherwise"]
    assert told == [{"client_id": "bo/1.jpg", "id": "id-bo/1.jpg", "person": "robert", "differs": ["person"]}]


def test_failed_pictures_are_listed_and_the_rest_is_enrolled(played: Played, people: Path) -> None:
    (people / "bo" / "2.jpg").write_bytes(b"bad")
    done = run("enrol", people, "-g", "shop", "--create")
    assert done.exit_code == 1
    assert "3 enrolled, 0 were there already, 1 failed" in done.stdout
    assert "bo/2.jpg: no picture at all" in done.stderr
    assert len(played.galleries["shop"]) == 3


def test_enrolling_into_a_missing_gallery_needs_create(played: Played, people: Path) -> None:
    done = run("enrol", people, "-g", "shop")
    assert done.exit_code == 1
    assert "about unknown-gallery" in done.stderr
    assert played.galleries == {}


@pytest.mark.parametrize(
    "arguments",
    [["--pattern", "nonsense"], ["--pattern", "{person}", "--manifest", __file__], ["--manifest", __file__]],
)
def test_what_cannot_be_enrolled_is_said_before_the_service_is_asked(
    played: Played, people: Path, arguments: list[str]
) -> None:
    done = run("enrol", people, "-g", "shop", "--create", *arguments)
    assert done.exit_code == 2
    assert "penumbra:" in done.stderr
    assert played.asked == []


def test_query_shows_person_score_occlusion_and_timings(played: Played, people: Path) -> None:
    played.galleries["shop"] = set()
    done = run("query", people / "anna" / "1.jpg", "-g", "shop")
    assert done.exit_code == 0
    for shown in ("bottom_half", "bottom 0.90", "[anna]", "0.9315", "01ABC", "c7", "total 9.2 ms"):
        assert shown in done.stdout


def test_query_prints_the_answer_as_json(played: Played, people: Path) -> None:
    played.galleries["shop"] = set()
    done = run("query", people / "anna" / "1.jpg", "-g", "shop", "--json")
    answer = json.loads(done.stdout)
    assert answer["results"][0]["person"] == "[anna]"
    assert answer["timings"] == ANSWER["timings"]


def test_query_refuses_another_ranking_than_people_and_pictures(played: Played, people: Path) -> None:
    assert run("query", people / "anna" / "1.jpg", "-g", "shop", "--by", "shoe").exit_code == 2
    assert played.asked == []


def test_galleries_are_listed_created_and_deleted(played: Played) -> None:
    assert "1,204" in run("galleries", "list").stdout
    assert json.loads(run("galleries", "list", "--json").stdout)[0]["people"] == 2
    assert run("galleries", "create", "yard").exit_code == 0
    assert run("galleries", "create", "yard").exit_code == 1
    assert CliRunner().invoke(app, ["galleries", "delete", "yard"], input="n\n").exit_code == 1
    assert "yard" in played.galleries
    assert run("galleries", "delete", "yard", "--yes").exit_code == 0
    assert played.galleries == {}


def test_list_tells_how_many_pictures_another_model_enrolled(
    played: Played, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(GALLERY, "pending", 1087)
    listed = run("galleries", "list").stdout
    assert "of another model" in listed
    assert "1,087" in listed


def test_address_comes_from_option_or_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    hosts: list[str] = []

    def answer(_: httpx.HTTPTransport, request: httpx.Request) -> httpx.Response:
        hosts.append(request.url.host)
        return httpx.Response(200, json={"items": [], "next_cursor": None})

    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", answer)
    monkeypatch.setenv("PENUMBRA_URL", "http://from-environment")
    run("galleries", "list")
    run("galleries", "list", "--url", "http://from-option")
    assert hosts == ["from-environment", "from-option"]


def test_missing_service_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: httpx.HTTPTransport, request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("connection refused", request=request)

    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", refuse)
    monkeypatch.setattr("time.sleep", lambda _: None)
    done = run("galleries", "list", "--url", "http://nowhere")
    assert done.exit_code == 1
    assert "http://nowhere" in done.stderr
    assert "penumbra serve" in done.stderr
    assert "Traceback" not in done.stderr


def test_waiting_that_the_service_asks_for_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [problem(429, "rate-limit-exceeded"), problem(429, "overloaded"), problem(429, "overloaded")]
    for answer, seconds in zip(answers, ("12", "90", "0"), strict=True):
        answer.headers["retry-after"] = seconds
    answers.append(httpx.Response(200, json={"items": [GALLERY], "next_cursor": None}))
    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", lambda *_: answers.pop(0))
    slept: list[float] = []
    monkeypatch.setattr("time.sleep", slept.append)
    monkeypatch.setattr("random.uniform", lambda low, _: low)
    done = run("galleries", "list")
    assert (done.exit_code, slept) == (0, [12.0, 15.0, 0.5])
    assert done.stderr.splitlines() == [
        "penumbra: the service asks to wait (429 rate-limit-exceeded); trying again in 12 s",
        "penumbra: the service asks to wait (429 overloaded); trying again in 15 s",
    ]


@pytest.mark.parametrize(
    ("key", "said"),
    [(None, "`penumbra keys create` makes one"), ("pen_x", "the key is the one in PENUMBRA_KEY")],
)
def test_who_is_not_let_in_is_told_where_the_key_belongs(
    monkeypatch: pytest.MonkeyPatch, key: str | None, said: str
) -> None:
    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", lambda *_: problem(401, "unauthorised"))
    monkeypatch.delenv("PENUMBRA_KEY", raising=False)
    if key is not None:
        monkeypatch.setenv("PENUMBRA_KEY", key)
    done = run("galleries", "list")
    assert (done.exit_code, len(done.stderr.splitlines())) == (1, 1)
    assert said in done.stderr
    assert "PENUMBRA_KEY" in done.stderr


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("127.0.0.1:8421", "http://127.0.0.1:8421?"),
        ("localhost:8421", "http://localhost:8421?"),
        ("ftp://service", "http://service?"),
        ("http://", "such as http://127.0.0.1:8321"),
        ("http://service:port", "no address"),
        ("http://service:70000", "no address"),
    ],
)
def test_address_without_a_scheme_is_told_what_it_lacks(
    played: Played, monkeypatch: pytest.MonkeyPatch, url: str, said: str
) -> None:
    monkeypatch.setenv("PENUMBRA_URL", url)
    done = run("galleries", "list")
    assert (done.exit_code, len(done.stderr.splitlines())) == (1, 1)
    assert said in done.stderr
    assert played.asked == []


@pytest.mark.parametrize("key", ["schlüssel", "pen_x\n", "pen x"])
def test_key_that_no_header_carries_is_told(
    played: Played, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setenv("PENUMBRA_KEY", key)
    done = run("galleries", "list")
    assert (done.exit_code, len(done.stderr.splitlines()), played.asked) == (1, 1, [])
    assert "PENUMBRA_KEY" in done.stderr


def test_file_that_cannot_be_read_is_told_in_one_line(
    played: Played, people: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    played.galleries["shop"] = set()
    monkeypatch.setattr(Path, "read_bytes", gone)
    for command in (["query", people / "bo" / "1.jpg"], ["enrol", people]):
        done = run(*command, "-g", "shop")
        assert done.exit_code == 1
        assert done.stderr.splitlines()[-1].startswith("penumbra: a file cannot be read")
        assert "1.jpg" in done.stderr


def test_no_option_is_spelt_in_capitals() -> None:
    """Typer takes a metavar for the name where the two differ in case alone."""
    for words in COMMANDS:
        command: Any = typer.main.get_command(app)
        for word in words:
            command = command.commands[word]
        spelt = [name for option in command.params for name in option.opts if name.startswith("--")]
        assert spelt == [name.lower() for name in spelt], words


def test_help_has_a_short_name_everywhere() -> None:
    assert run("images", "list", "-h").stdout == run("images", "list", "--help").stdout


@pytest.mark.parametrize("name", ["", ".", ".."])
@pytest.mark.parametrize(
    "command",
    [
        ["people", "erase", "NAME", "-g", "shop", "--yes"],
        ["people", "rename", "NAME", "anna", "-g", "shop"],
        ["people", "merge", "NAME", "anna", "-g", "shop"],
        ["people", "list", "-g", "NAME"],
        ["galleries", "delete", "NAME", "--yes"],
        ["query", __file__, "-g", "NAME"],
    ],
    ids=lambda command: " ".join(command[:2]),
)
def test_name_that_no_url_carries_is_told_in_one_line(played: Played, command: list[str], name: str) -> None:
    played.galleries["shop"] = set()
    done = run(*(name if word == "NAME" else word for word in command))
    assert (done.exit_code, len(done.stderr.splitlines())) == (1, 1)
    assert repr(name) in done.stderr
    assert all(method == "GET" for method, _ in played.asked)


@pytest.mark.parametrize("arguments", [["--provider", "abacus"], ["--port", "99999"]])
def test_serve_refuses_a_setting_that_is_not_valid(arguments: list[str]) -> None:
    done = run("serve", *arguments)
    assert done.exit_code == 2
    assert arguments[0].removeprefix("--") in done.stderr


def test_serve_says_of_a_wrong_setting_what_is_wrong_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PENUMBRA_TRUSTED_PROXIES", "proxy.example")
    done = run("serve")
    assert done.exit_code == 2
    heading, fault = done.stderr.strip().splitlines()
    assert heading == "penumbra: a setting is not valid"
    assert "trusted_proxies" in fault
    assert "'proxy.example'" in fault


def line(difference: float) -> accuracy.Comparison:
    rest = Figures(80.0, 90.0, 95.0, 70.0, 10)
    offline = Figures(80.0, 90.0, 95.0, 70.0 - difference, 10)
    return accuracy.Comparison("a-model", "f" * 64, "partial-ilids", "off", rest, offline, 20)


@pytest.mark.parametrize(("difference", "code", "equal"), [(0.05, 0, True), (0.2, 1, False)])
def test_bench_accuracy_ends_with_1_where_rest_and_offline_differ(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, difference: float, code: int, equal: bool
) -> None:
    manifest = accuracy.Manifest(name="partial-ilids", camera_rule=False, query=[], gallery=[])
    monkeypatch.setattr(accuracy, "read_manifest", lambda *_: manifest)
    monkeypatch.setattr(accuracy, "serve_bundle", lambda *_: nullcontext("http://x"))
    monkeypatch.setattr(accuracy, "compare", lambda *_: [line(difference)])
    bundle = tmp_path / "a.onnx"
    bundle.touch()
    arguments = ["bench", "accuracy", "--dataset", "partial-ilids", "--root", tmp_path, "--bundle", bundle]
    done = run(*arguments, "--json")
    assert done.exit_code == code
    assert json.loads(done.stdout)[0]["equal"] is equal
    table = run(*arguments)
    assert table.exit_code == code
    assert "a-model" in table.stdout
    assert ("yes" if equal else "no (") in table.stdout


def test_bench_accuracy_needs_a_service_or_a_bundle(tmp_path: Path) -> None:
    arguments = ["bench", "accuracy", "--dataset", "partial-ilids", "--root", tmp_path]
    assert run(*arguments).exit_code == 2
    bundle = tmp_path / "a.onnx"
    bundle.touch()
    both = ["--url", "http://x", "--bundle", bundle, "--bundle", bundle]
    assert run(*arguments, *both).exit_code == 2


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_a_service_that_is_refused_says_nowhere_that_it_serves(log_format: str, tmp_path: Path) -> None:
    address = ["--host", "0.0.0.0", "--port", "9000"]
    done = run("serve", *address, "--log-format", log_format, "--data-dir", tmp_path)
    assert done.exit_code == 2
    assert "refusing to bind" in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("command", [["keys", "list"], ["audit"], ["serve"], ["demo"]])
def test_a_setting_that_is_not_valid_is_told_without_its_secrets(
    command: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PENUMBRA_REDIS_URL", "rdis://:secret@localhost")
    monkeypatch.setenv("PENUMBRA_CATALOG_URL", "mysql://user:secret@localhost/catalog")
    done = run(*command)
    assert done.exit_code == 2
    heading, *faults = done.stderr.strip().splitlines()
    assert heading == "penumbra: a setting is not valid"
    assert [fault.split(":")[0].strip() for fault in faults] == ["catalog_url", "redis_url"]
    assert "secret" not in done.output
    assert list(tmp_path.iterdir()) == []


def test_who_reads_no_further_has_not_lost_the_file_of_queries(tmp_path: Path) -> None:
    file = tmp_path / "queries.ndjson"
    file.write_text("no JSON\n")
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "service.cli", "query-batch", str(file), "--gallery", "shop"]
    try:
        done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    finally:
        os.close(writing)
    assert (done.returncode, "cannot be read" in done.stderr) == (1, False)


ANNA_BELOW = 'from service.commands.saying import print_json; print_json({"person": "änna 🙂"})'


def test_json_stays_json_where_the_output_is_not_in_utf_8() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", ANNA_BELOW],
        env={**os.environ, "PYTHONIOENCODING": "latin-1"},
        stdout=subprocess.PIPE,
    )
    assert json.loads(ran.stdout.decode("ascii")) == {"person": "änna 🙂"}


def test_names_that_the_output_has_no_letters_for_are_shown_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    people = {"items": [{"name": "anna 🙂", "images": 1}], "next_cursor": None}
    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", lambda *_: httpx.Response(200, json=people))
    done = CliRunner(charset="latin-1").invoke(app, ["people", "list", "-g", "shop"])
    assert done.exit_code == 0
    assert r"anna \U0001f642" in done.stdout


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("command", [["--version"], ["--help"], ["keys", "list", "--json"]])
def test_output_that_cannot_be_written_is_told_in_one_line(tmp_path: Path, command: list[str]) -> None:
    Database(f"sqlite:///{tmp_path / 'catalog.sqlite3'}").close()
    with open("/dev/full", "w") as full:
        ran = subprocess.run(
            [sys.executable, "-m", "service.cli", *command],
            env={**os.environ, "PENUMBRA_DATA_DIR": str(tmp_path)},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert (ran.returncode, ran.stderr) == (1, "penumbra: [Errno 28] No space left on device\n")


def test_folder_that_cannot_be_made_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for command in (["keys", "create", "anna", "--data-dir"], ["demo", "--exit", "--output"]):
        done = run(*command, tmp_path / "file" / "data")
        assert done.exit_code == 1
        assert done.stderr.startswith("penumbra: ")
        assert len(done.stderr.splitlines()) == 1
        assert str(tmp_path / "file") in done.stderr


def test_what_is_no_catalog_is_named(tmp_path: Path) -> None:
    (tmp_path / "catalog.sqlite3").write_bytes(b"not a database" * 1000)
    for command in (["keys", "list"], ["keys", "create", "anna"], ["audit"]):
        done = run(*command, "--data-dir", tmp_path)
        assert (done.exit_code, len(done.stderr.splitlines())) == (1, 1)
        assert "not a database" in done.stderr
        assert str(tmp_path / "catalog.sqlite3") in done.stderr


def test_demo_refuses_a_port_that_is_none_before_it_draws(tmp_path: Path) -> None:
    done = run("demo", "--exit", "--output", tmp_path / "out", "--port", "99999")
    assert done.exit_code == 2
    assert "--port" in done.stderr
    assert not (tmp_path / "out").exists()


def test_serve_names_a_previous_bundle_that_is_missing_before_anything_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "model.onnx").touch()
    monkeypatch.setenv("PENUMBRA_PREVIOUS_BUNDLE", str(tmp_path / "old.onnx"))
    done = run("serve", "--bundle", tmp_path / "model.onnx", "--data-dir", tmp_path / "data")
    assert (done.exit_code, len(done.stderr.splitlines())) == (2, 1)
    assert str(tmp_path / "old.onnx") in done.stderr
    assert "PENUMBRA_PREVIOUS_BUNDLE" in done.stderr
