"""REST from outside: the real application, server, ONNX Runtime, FAISS and SQLite, on drawn people."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import event

from models import occlusion
from tests.deadly_model import deadly
from tests.drawings import encoded, person, png_of_zeros, truncated_jpeg
from tests.serving import Serving, handmade_settings, serving
from tests.waiting import until

PROBLEM = "application/problem+json"
GIF = b"GIF89a\x01\x00\x01\x00\x00\x00\x00;"
HOSTILE = {
    "a text file": (b"Dear service, find me.", 422, "not-a-picture"),
    "a truncated JPEG": (truncated_jpeg(), 422, "broken-picture"),
    "20,000 x 20,000 pixels": (png_of_zeros(20_000, 20_000), 413, "picture-too-large"),
    "more pixels than allowed": (png_of_zeros(8_000, 8_000), 413, "picture-too-large"),
    "an empty body": (b"", 422, "empty-picture"),
    "a GIF": (GIF, 415, "unsupported-format"),
}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    settings = handmade_settings(tmp_path_factory.mktemp("service"), max_body_bytes=4_000_000)
    with serving(settings) as running:
        yield running


@pytest.fixture
def http(service: Serving) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=service.url, timeout=60) as client:
        yield client


@pytest.fixture
def gallery(http: httpx.Client, request: pytest.FixtureRequest) -> Iterator[str]:
    """A gallery with three whole pictures of each of five people; gone after the test."""
    name = "people"
    assert http.post("/v1/galleries", json={"name": name}).status_code == 201
    pictures = [(who, encoded(person(who, view))) for who in range(5) for view in range(3)]
    answer = enrol(
        http, name, [content for _, content in pictures], [{"person": str(p)} for p, _ in pictures]
    )
    assert answer.status_code == 201, answer.text
    yield name
    http.delete(f"/v1/galleries/{name}")


def files(*contents: bytes) -> list[tuple[str, tuple[str, bytes]]]:
    return [("files", (str(index), content)) for index, content in enumerate(contents)]


def enrol(http: httpx.Client, gallery: str, contents: list[bytes], items: Any) -> httpx.Response:
    return http.post(
        f"/v1/galleries/{gallery}/images", files=files(*contents), data={"items": json.dumps(items)}
    )


def query(http: httpx.Client, gallery: str, *contents: bytes, **options: Any) -> httpx.Response:
    return http.post(f"/v1/galleries/{gallery}/query", files=files(*contents), data=options)


def assert_problem(response: httpx.Response, status: int, slug: str, *words: str) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == PROBLEM
    problem = response.json()
    assert problem["type"] == f"https://penumbra.invalid/problems/{slug}"
    assert problem["status"] == status
    assert problem["title"]
    assert problem["request_id"] == response.headers["x-request-id"]
    for word in words:
        assert word in problem["detail"]
    return dict(problem)


# Galleries


def test_gallery_is_made_listed_shown_and_deleted(http: httpx.Client) -> None:
    made = http.post("/v1/galleries", json={"name": "shop", "keep_pictures": True})
    assert made.status_code == 201
    assert made.headers["location"] == "/v1/galleries/shop"
    assert made.json() | {"created_at": ""} == {
        "name": "shop",
        "images": 0,
        "people": 0,
        "pending": 0,
        "keep_pictures": True,
        "created_at": "",
        "match_rate": None,
        "uncertain_rate": None,
        "prior": None,
        "retention_days": None,
        "index": "auto",
    }
    assert_problem(http.post("/v1/galleries", json={"name": "shop"}), 409, "gallery-exists", "shop")
    assert http.get("/v1/galleries/shop").json()["name"] == "shop"
    assert http.delete("/v1/galleries/shop").status_code == 204
    assert_problem(http.get("/v1/galleries/shop"), 404, "unknown-gallery", "shop")
    assert_problem(http.delete("/v1/galleries/shop"), 404, "unknown-gallery", "shop")


def test_pages_give_every_gallery_once(http: httpx.Client) -> None:
    names = [f"page-{number}" for number in range(5)]
    for name in names:
        http.post("/v1/galleries", json={"name": name})
    seen: list[str] = []
    cursor = None
    while True:
        page = http.get("/v1/galleries", params={"limit": 2} | ({"cursor": cursor} if cursor else {})).json()
        seen += [item["name"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == names
    assert_problem(http.get("/v1/galleries", params={"cursor": "?"}), 422, "invalid-request", "cursor")
    for name in names:
        http.delete(f"/v1/galleries/{name}")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": "No Capitals"}, "name"),
        ({"name": "x" * 65}, "name"),
        ({"name": "a", "colour": 1}, "colour"),
        ({}, "name"),
        ({"name": "a", "keep_pictures": "perhaps"}, "keep_pictures"),
    ],
)
def test_gallery_that_does_not_validate_is_told_which_field(
    http: httpx.Client, body: dict[str, Any], field: str
) -> None:
    problem = assert_problem(http.post("/v1/galleries", json=body), 422, "invalid-request", field)
    assert [fault["field"] for fault in problem["errors"]] == [field]


@pytest.mark.parametrize("body", [b"\xf9a\xa0", b"[" * 60_000, b"{", b""])
def test_body_that_is_no_json_is_a_named_fault(http: httpx.Client, body: bytes) -> None:
    answer = http.post("/v1/galleries", content=body, headers={"content-type": "application/json"})
    assert_problem(answer, 422, "invalid-request")


# Enrolling


def test_enrolled_people_are_found_by_other_pictures_of_them(http: httpx.Client, gallery: str) -> None:
    assert http.get(f"/v1/galleries/{gallery}").json() | {"created_at": ""} == {
        "name": gallery,
        "images": 15,
        "people": 5,
        "pending": 0,
        "keep_pictures": False,
        "created_at": "",
        "match_rate": None,
        "uncertain_rate": None,
        "prior": None,
        "retention_days": None,
        "index": "auto",
    }
    for who in range(5):
        answer = query(http, gallery, encoded(person(who, view=99), "JPEG"))
        assert answer.status_code == 200
        results = answer.json()["results"]
        assert [result["rank"] for result in results] == [1, 2, 3, 4, 5]
        assert len({result["person"] for result in results}) == 5
        assert results[0]["person"] == str(who)
        assert results[0]["score"] > results[1]["score"]


@pytest.mark.parametrize("code", range(1, occlusion.COUNT))
def test_occluded_person_is_graded_and_found(http: httpx.Client, gallery: str, code: int) -> None:
    answer = query(http, gallery, encoded(person(3, view=50, hidden=code)), top_k=2).json()
    kind = occlusion.NAMES[code]
    assert answer["query"]["occlusion"]["type"] == kind
    assert set(answer["query"]["occlusion"]["scores"]) == set(occlusion.PLACES)
    result, second = answer["results"]
    assert (result["person"], result["compared"]) == ("3", kind)
    assert result["score"] > second["score"]
    assert (result["probability"], result["decision"]) == (None, None)
    assert answer["model"] == http.get("/v1/model").json()["fingerprint"]
    assert set(answer["timings"]) == {"decode", "queue", "embed", "search", "total"}


def test_unification_off_and_stated_occlusion_are_obeyed(http: httpx.Client, gallery: str) -> None:
    picture = encoded(person(2, view=50, hidden=4))
    off = query(http, gallery, picture, unify="off").json()["results"][0]
    auto = query(http, gallery, picture, unify="auto").json()["results"][0]
    stated = query(http, gallery, picture, unify="bottom_half").json()["results"][0]
    assert (off["compared"], auto["compared"]) == ("none", "bottom_half")
    assert auto == stated
    assert auto["score"] > off["score"]


def test_query_by_image_ranks_pictures_and_several_pictures_are_one_query(
    http: httpx.Client, gallery: str
) -> None:
    contents = [encoded(person(1, view=60 + number)) for number in range(3)]
    answer = query(http, gallery, *contents, by="image", top_k=4).json()
    assert [result["person"] for result in answer["results"][:3]] == ["1", "1", "1"]
    assert len({result["image"]["id"] for result in answer["results"]}) == 4
    assert len(answer["query"]["pictures"]) == 3


def test_what_was_told_of_a_picture_comes_back_with_it(http: httpx.Client, gallery: str) -> None:
    item = {
        "person": "späti",
        "camera": "entrance",
        "time": "2026-01-31T12:00:00+01:00",
        "client_id": "späti-1",
        "metadata": {"coat": ["red", 1.5, None]},
    }
    content = encoded(person(77))
    first = enrol(http, gallery, [content], [item]).json()["items"][0]
    assert (first["status"], first["client_id"], first["occlusion"]["type"]) == (
        "enrolled",
        "späti-1",
        "none",
    )
    assert "problem" not in first
    again = enrol(http, gallery, [content], [item]).json()["items"][0]
    assert again == first | {"status": "exists"}
    assert (first["person"], first["differs"]) == ("späti", [])
    said = {**item, "person": "else", "camera": "yard"}
    other = enrol(http, gallery, [content], [said]).json()["items"][0]
    assert other == again | {"differs": ["person", "camera"]}
    assert http.get(f"/v1/galleries/{gallery}/people/else").status_code == 404
    result = query(http, gallery, encoded(person(77, view=1))).json()["results"][0]
    assert result["person"] == "späti"
    assert result["image"] | {"occlusion": None} == {
        "id": first["id"],
        "camera": "entrance",
        "time": "2026-01-31T11:00:00Z",
        "client_id": "späti-1",
        "metadata": item["metadata"],
        "occlusion": None,
    }
    other = enrol(http, gallery, [encoded(person(78))], [item])
    assert_problem(other, 409, "client-id-conflict", "späti-1")


def test_erased_picture_is_not_found_again(http: httpx.Client, gallery: str) -> None:
    content = encoded(person(88))
    image = enrol(http, gallery, [content], [{"person": "gone"}]).json()["items"][0]["id"]
    assert query(http, gallery, content).json()["results"][0]["person"] == "gone"
    assert http.delete(f"/v1/galleries/{gallery}/images/{image}").status_code == 204
    assert "gone" not in {result["person"] for result in query(http, gallery, content).json()["results"]}
    assert_problem(http.delete(f"/v1/galleries/{gallery}/images/{image}"), 404, "unknown-image", image)


def test_bad_picture_fails_alone_in_its_batch(http: httpx.Client, gallery: str) -> None:
    contents = [encoded(person(90)), *(content for content, _, _ in HOSTILE.values()), encoded(person(91))]
    items = [{"person": f"batch-{number}", "client_id": f"c{number}"} for number in range(len(contents))]
    answer = enrol(http, gallery, contents, items)
    assert answer.status_code == 201
    outcomes = answer.json()["items"]
    assert [outcome["client_id"] for outcome in outcomes] == [item["client_id"] for item in items]
    assert [outcome["status"] for outcome in outcomes] == [
        "enrolled",
        *["failed"] * len(HOSTILE),
        "enrolled",
    ]
    for outcome, (_, status, slug) in zip(outcomes[1:], HOSTILE.values(), strict=False):
        assert outcome["id"] is None
        assert outcome["problem"]["status"] == status
        assert outcome["problem"]["type"].endswith(slug)


def test_batch_of_which_nothing_is_enrolled_is_a_problem_with_its_items(
    http: httpx.Client, gallery: str
) -> None:
    answer = enrol(http, gallery, [b"x", truncated_jpeg()], [{"person": "a"}, {"person": "b"}])
    problem = assert_problem(answer, 422, "none-enrolled", "files[0]", "files[1]")
    assert [item["status"] for item in problem["items"]] == ["failed", "failed"]
    assert problem["items"][0]["problem"]["type"].endswith("not-a-picture")


@pytest.mark.parametrize(
    ("items", "words"),
    [
        ("no json", ["items", "JSON"]),
        ('{"person": "a"}', ["items", "array"]),
        ("[{}, {}]", ["items[0].person", "items[1].person"]),
        ('[{"person": "a"}, {"person": "b", "colour": 1}]', ["items[1].colour"]),
        ('[{"person": "a"}, {"person": "b", "time": "2026-01-01T00:00:00"}]', ["items[1].time", "offset"]),
        ('[{"person": "a"}, {"person": 7}]', ["items[1].person", "string"]),
        ('[{"person": "a"}, {"person": "b", "metadata": {"x": NaN}}]', ["items[1].metadata"]),
        ('[{"person": "a"}, {"person": "b\\u0000"}]', ["items[1].person"]),
        ('[{"person": "a"}]', ["2 files", "1 items"]),
        ("[" * 100_000, ["items"]),
    ],
)
def test_items_that_do_not_validate_are_told_index_and_field(
    http: httpx.Client, gallery: str, items: str, words: list[str]
) -> None:
    answer = http.post(f"/v1/galleries/{gallery}/images", files=files(b"x", b"y"), data={"items": items})
    assert_problem(answer, 422, "bad-items", *words)


# Forms


def test_parts_of_unknown_names_are_named(http: httpx.Client, gallery: str) -> None:
    picture = encoded(person(1))
    path = f"/v1/galleries/{gallery}"
    wrong_file = http.post(f"{path}/query", files=[("file", ("a.png", picture))])
    assert_problem(wrong_file, 422, "invalid-request", "'file'", "'files'")
    assert_problem(query(http, gallery, picture, topk=3), 422, "invalid-request", "'topk'", "'top_k'")
    assert_problem(http.post(f"{path}/images", files=files(picture)), 422, "bad-items", "missing")
    as_text = http.post(f"{path}/query", data={"files": "abc"}, files=[("files", (None, "abc"))])
    assert_problem(as_text, 422, "invalid-request", "text field")
    assert_problem(http.post(f"{path}/query", json={"files": []}), 422, "invalid-request", "multipart")
    assert_problem(http.post(f"{path}/query"), 422, "invalid-request", "multipart")
    twice = http.post(f"{path}/query", files=[*files(picture), ("by", (None, "image")), ("by", (None, "x"))])
    assert_problem(twice, 422, "invalid-request", "'by' twice")
    broken = http.post(
        f"{path}/query",
        content=b"--x\r\nnonsense",
        headers={"content-type": "multipart/form-data; boundary=x"},
    )
    assert_problem(broken, 422, "invalid-request")


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"top_k": 0}, "top_k"),
        ({"top_k": "many"}, "top_k"),
        ({"top_k": 10_001}, "top_k"),
        ({"by": "camera"}, "by"),
        ({"unify": "blend"}, "unify"),
    ],
)
def test_query_option_that_does_not_validate_is_named(
    http: httpx.Client, gallery: str, options: dict[str, Any], word: str
) -> None:
    assert_problem(query(http, gallery, encoded(person(1)), **options), 422, "invalid-request", word)


def test_too_many_pictures_are_refused(http: httpx.Client, gallery: str) -> None:
    assert_problem(query(http, gallery, *[b"x"] * 17), 422, "invalid-request", "16")
    answer = enrol(http, gallery, [b"x"] * 65, [{"person": "a"}] * 65)
    problem = assert_problem(answer, 422, "invalid-request", "64")
    assert not problem["detail"].endswith("..")


@pytest.mark.parametrize("call", ["/v1/galleries/people/query", "/v1/verify", "/v1/embed"])
def test_bad_picture_among_several_is_pointed_out(http: httpx.Client, gallery: str, call: str) -> None:
    answer = http.post(call, files=files(encoded(person(0, 0)), b"Dear service, find me."))
    assert_problem(answer, 422, "not-a-picture", "files[1]: ")


def test_unknown_gallery_is_named(http: httpx.Client) -> None:
    picture = encoded(person(1))
    assert_problem(query(http, "nowhere", picture), 404, "unknown-gallery", "nowhere")
    assert_problem(enrol(http, "nowhere", [picture], [{"person": "a"}]), 404, "unknown-gallery", "nowhere")


def test_unknown_route_and_method_are_problems_too(http: httpx.Client) -> None:
    assert_problem(http.get("/v2"), 404, "not-found", "/v2")
    refused = http.put("/v1/galleries")
    assert_problem(refused, 405, "method-not-allowed")
    assert "GET" in refused.headers["allow"]


# Hostile and heavy


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_picture_alone_gets_its_own_fault(http: httpx.Client, gallery: str, name: str) -> None:
    content, status, slug = HOSTILE[name]
    assert_problem(query(http, gallery, content), status, slug)
    assert_problem(enrol(http, gallery, [content], [{"person": "x"}]), status, slug)


async def test_requests_go_on_while_hostile_ones_are_refused(service: Serving, gallery: str) -> None:
    async with httpx.AsyncClient(
        base_url=service.url, timeout=120, limits=httpx.Limits(max_connections=32)
    ) as http:

        async def ask(content: bytes) -> httpx.Response:
            return await http.post(
                f"/v1/galleries/{gallery}/query", files=files(content), data={"top_k": "1"}
            )

        asked: list[tuple[bytes, int, str | None]] = []
        for turn in range(100):
            asked.append((encoded(person(turn % 5, view=1000 + turn)), 200, str(turn % 5)))
            if turn % 5 == 0:
                asked += [(content, status, None) for content, status, _ in HOSTILE.values()]
        answers = await asyncio.gather(*(ask(content) for content, _, _ in asked))
        for (_, status, who), answer in zip(asked, answers, strict=True):
            assert answer.status_code == status, answer.text
            if who is not None:
                assert answer.json()["results"][0]["person"] == who
        assert (await http.get("/readyz")).status_code == 200


def test_body_beyond_the_limit_is_refused_by_its_announced_length(http: httpx.Client, gallery: str) -> None:
    answer = query(http, gallery, bytes(4_000_001))
    assert_problem(answer, 413, "body-too-large", "4000000")


def test_body_of_unknown_length_is_refused_once_it_is_too_long(http: httpx.Client, gallery: str) -> None:
    def endless() -> Iterator[bytes]:
        yield b'--x\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\n'
        for _ in range(100):
            yield bytes(100_000)

    answer = http.post(
        f"/v1/galleries/{gallery}/query",
        content=endless(),
        headers={"content-type": "multipart/form-data; boundary=x"},
    )
    assert_problem(answer, 413, "body-too-large", "it went on")
    as_json = http.post("/v1/galleries", content=endless(), headers={"content-type": "application/json"})
    assert_problem(as_json, 413, "body-too-large")


def test_overload_is_told_with_the_time_to_come_back_and_no_request_is_one_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = handmade_settings(tmp_path, queue_limit=3, max_files=3, max_query_files=3)
    go = threading.Event()
    with (
        serving(settings) as running,
        httpx.Client(base_url=running.url, timeout=60) as http,
        ThreadPoolExecutor(1) as others,
    ):
        embedder = running.app.state.assembly.embedder
        model = embedder._batcher.submit

        async def held(*picture: Any) -> Any:
            while not go.is_set():
                await asyncio.sleep(0.01)
            return await model(*picture)

        monkeypatch.setattr(embedder._batcher, "submit", held)
        http.post("/v1/galleries", json={"name": "g"})
        taken = others.submit(query, http, "g", *(encoded(person(number)) for number in range(3)))
        try:
            until(lambda: embedder.in_work == 3)
            answer = query(http, "g", encoded(person(3)))
        finally:
            go.set()
        assert_problem(answer, 429, "overloaded")
        assert int(answer.headers["retry-after"]) >= 1
        assert taken.result().status_code == 200
        assert query(http, "g", encoded(person(3))).status_code == 200
        embedded = http.post("/v1/embed", files=files(*(encoded(person(number)) for number in range(3))))
        assert embedded.status_code == 200


# The service itself


def test_request_id_is_kept_if_harmless_and_made_otherwise(http: httpx.Client) -> None:
    assert http.get("/healthz", headers={"X-Request-ID": "mine-1"}).headers["x-request-id"] == "mine-1"
    made = http.get("/healthz", headers={"X-Request-ID": 'bad "id"'}).headers["x-request-id"]
    assert len(made) == 32


def test_metrics_tell_of_requests_stages_batches_cache_and_galleries(
    http: httpx.Client, gallery: str
) -> None:
    content = encoded(person(4, view=70))
    query(http, gallery, content)
    query(http, gallery, content)
    text = http.get("/metrics").text
    assert f'penumbra_gallery_images{{gallery="{gallery}"}} 15.0' in text
    assert 'route="/v1/galleries/{gallery}/query",status="200"' in text
    for stage in ("decode", "queue", "embed", "search"):
        assert f'penumbra_stage_seconds_count{{stage="{stage}"}}' in text
    assert 'penumbra_cache_lookups_total{result="hit"}' in text
    assert 'provider="cpu"' in text
    assert "penumbra_queue_depth 0.0" in text
    assert "penumbra_batch_rows_count" in text


def test_description_names_every_call_and_loads_without_another_host(http: httpx.Client) -> None:
    schema = http.get("/openapi.json").json()
    assert set(schema["paths"]) == {
        "/v1/galleries",
        "/v1/galleries/{gallery}",
        "/v1/galleries/{gallery}/duplicates",
        "/v1/galleries/{gallery}/images",
        "/v1/galleries/{gallery}/images/{image}",
        "/v1/galleries/{gallery}/images/{image}/file",
        "/v1/galleries/{gallery}/images/{image}/thumbnail",
        "/v1/galleries/{gallery}/people",
        "/v1/galleries/{gallery}/people/{person}",
        "/v1/galleries/{gallery}/query",
        "/v1/galleries/{gallery}/query/batch",
        "/v1/galleries/{gallery}/reindex",
        "/v1/galleries/{gallery}/statistics",
        "/v1/verify",
        "/v1/embed",
        "/v1/model",
        "/healthz",
        "/readyz",
        "/metrics",
    }
    assert "ProblemDocument" in schema["components"]["schemas"]
    assert "HTTPValidationError" not in json.dumps(schema)
    page = http.get("/docs").text
    assert "://" not in page
    for line in page.splitlines():
        if 'src="/' in line or 'href="/' in line:
            assert http.get(line.split('"')[-2]).status_code == 200


def test_dead_worker_makes_the_service_not_ready_until_it_is_replaced(tmp_path: Path) -> None:
    with (
        serving(handmade_settings(tmp_path)) as running,
        httpx.Client(base_url=running.url, timeout=60) as http,
    ):
        http.post("/v1/galleries", json={"name": "g"})
        with deadly(running.app.state.assembly.engine):
            assert_problem(query(http, "g", encoded(person(1))), 503, "unavailable")
            problem = assert_problem(http.get("/readyz"), 503, "unavailable", "model")
            assert [part for part, ready in problem["parts"].items() if not ready] == ["model"]
            assert http.get("/healthz").json() == {"status": "alive"}
        while http.get("/readyz").status_code != 200:
            pass
        assert query(http, "g", encoded(person(1))).status_code == 200


def test_readiness_reads_one_row_however_much_there_is(
    service: Serving, http: httpx.Client, gallery: str
) -> None:
    asked: list[str] = []
    engine = service.app.state.assembly.catalog.database.engine

    def note(_: object, __: object, statement: str, *___: object) -> None:
        if threading.current_thread().name.startswith(("catalog-probe", "galleries-read")):
            asked.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    try:
        while not asked:  # what was looked at half a second ago counts
            assert http.get("/readyz").status_code == 200
    finally:
        event.remove(engine, "before_cursor_execute", note)
    assert [" ".join(statement.split()[:1]) for statement in asked] == ["BEGIN", "SELECT"]
    assert "FROM about" in asked[1]


def test_fault_nobody_foresaw_is_a_problem_without_a_stack_trace(tmp_path: Path) -> None:
    with serving(handmade_settings(tmp_path)) as running, httpx.Client(base_url=running.url) as http:
        running.app.state.assembly.galleries.__dict__["get"] = None
        answer = http.get("/v1/galleries/g")
        assert_problem(answer, 500, "internal-error", "request id")
        assert "Traceback" not in answer.text
        assert "NoneType" not in answer.text
