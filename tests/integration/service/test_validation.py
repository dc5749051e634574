"""What no call takes is refused, and the answer says what was wrong with it."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.api.schemas import examples
from tests.drawings import encoded, person
from tests.serving import handmade_settings, serving

PICTURE = encoded(person(1))
NOT_ASKED = ("/healthz", "/readyz", "/metrics")


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    with (
        serving(handmade_settings(tmp_path_factory.mktemp("service"))) as running,
        httpx.Client(base_url=running.url, timeout=60) as client,
    ):
        client.post("/v1/galleries", json={"name": "shop"}).raise_for_status()
        yield client


def refused(answer: httpx.Response) -> str:
    """The detail of a request that did not validate."""
    assert answer.status_code == 422, answer.text
    detail: str = answer.json()["detail"]
    assert "alue error" not in detail
    return detail


def test_contradicting_rates_are_told_in_plain_words(http: httpx.Client) -> None:
    said = "match_rate (0.5) must not be above uncertain_rate (0.1)"
    rates = {"match_rate": 0.5, "uncertain_rate": 0.1}
    form = {name: str(rate) for name, rate in rates.items()}
    assert refused(http.post("/v1/galleries/shop/query", files={"files": PICTURE}, data=form)) == said
    assert refused(http.patch("/v1/galleries/shop", json=rates)) == f"body: {said}"
    made = http.post("/v1/galleries", json={"name": "other", **rates})
    assert refused(made) == f"body: {said}"
    assert made.json()["errors"] == [{"field": "body", "message": said}]
    line = json.dumps({"pictures": ["AAAA"], **rates})
    kind = {"Content-Type": "application/x-ndjson"}
    answered = http.post("/v1/galleries/shop/query/batch", content=line, headers=kind)
    assert answered.json()["problem"]["detail"] == said


def test_a_body_that_is_not_said_to_be_json_is_told_how_to_be(http: httpx.Client) -> None:
    for method, path in (("POST", "/v1/galleries"), ("PATCH", "/v1/galleries/shop")):
        for headers in ({}, {"Content-Type": "application/x-www-form-urlencoded"}):
            answer = http.request(method, path, content=b'{"name": "other"}', headers=headers)
            assert refused(answer).endswith("send it with `Content-Type: application/json`")


def test_json_says_numbers_and_booleans_as_such(http: httpx.Client) -> None:
    for method, path, body, said in (
        (
            "POST",
            "/v1/galleries",
            {"name": "strict", "keep_pictures": "no"},
            "keep_pictures: Input should be a",
        ),
        ("POST", "/v1/galleries", {"name": "strict", "retention_days": "30"}, "retention_days: Input should"),
        (
            "POST",
            "/v1/galleries",
            {"name": "strict", "prior": "0.5"},
            "prior: Input should be a valid number",
        ),
        (
            "PATCH",
            "/v1/galleries/shop",
            {"keep_pictures": 1},
            "keep_pictures: Input should be a valid boolean",
        ),
        ("PATCH", "/v1/galleries/shop/people/anna", {"name": "b", "merge": "on"}, "merge: Input should be a"),
    ):
        assert refused(http.request(method, path, json=body)).startswith(said)
    picture = base64.b64encode(PICTURE).decode()
    kind = {"Content-Type": "application/x-ndjson"}
    window = {"time_from": "2026-01-31T00:00:00Z", "time_to": "2026-02-01T00:00:00+01:00"}
    for options, field in (
        ({"top_k": "3"}, "top_k"),
        ({"rerank": "true"}, "rerank"),
        ({"boxes": [["1", 1, 2, 2]]}, "boxes[0][0]"),
        ({"boxes": [[1.0, 1, 2, 2]], "top_k": 3, "rerank": True, **window}, None),
    ):
        line = json.dumps({"pictures": [picture], **options})
        answered = http.post("/v1/galleries/shop/query/batch", content=line, headers=kind).json()
        assert [one["field"] for one in (answered["problem"] or {}).get("errors", [])] == [field][
            : bool(field)
        ]
    # in a form all is text
    form = {"top_k": "3", "rerank": "true", "boxes": "[[1, 1, 2, 2]]", **window}
    assert http.post("/v1/galleries/shop/query", files={"files": PICTURE}, data=form).is_success
    items = json.dumps([{"person": "anna", "time": window["time_from"], "box": ["1", 1, 2, 2]}])
    enrolled = http.post("/v1/galleries/shop/images", files={"files": PICTURE}, data={"items": items})
    assert refused(enrolled) == "items[0].box[0]: must be a whole number"


def test_an_option_that_is_no_json_is_told_what_it_is_to_be(http: httpx.Client) -> None:
    for name, value, wanted in (
        ("cameras", "cam0", 'cameras: Must be a JSON array, e.g. ["entrance"]'),
        ("exclude_people", "anna", 'exclude_people: Must be a JSON array, e.g. ["anna"]'),
        ("metadata", "shift=night", 'metadata: Must be a JSON object, e.g. {"shift": "night"}'),
        ("boxes", "1,2,3,4", "boxes: Must be a JSON array, e.g. [[120, 40, 64, 128]]"),
        ("metadata", '{"a": null}', "metadata.a: must be a string, a finite number or a boolean"),
        ("metadata", '{"a": [1]}', "metadata.a: must be a string, a finite number or a boolean"),
    ):
        answer = http.post("/v1/galleries/shop/query", files={"files": PICTURE}, data={name: value})
        assert refused(answer) == wanted
        field, message = wanted.split(": ", 1)
        assert answer.json()["errors"] == [{"field": field, "message": message}]
    embed = http.post("/v1/embed", files={"files": PICTURE}, data={"occlusions": "none"})
    assert refused(embed) == 'occlusions: Must be a JSON array, e.g. ["none", "bottom_half"]'


def test_faults_of_forms_and_lines_are_told_by_field_as_those_of_json_are(http: httpx.Client) -> None:
    asked = http.post("/v1/galleries/shop/query", files={"files": PICTURE}, data={"top_k": "0", "by": "x"})
    assert [one["field"] for one in asked.json()["errors"]] == ["top_k", "by"]
    items = json.dumps([{"person": ""}])
    enrolled = http.post("/v1/galleries/shop/images", files={"files": PICTURE}, data={"items": items})
    assert [one["field"] for one in enrolled.json()["errors"]] == ["items[0].person"]
    kind = {"Content-Type": "application/x-ndjson"}
    line = json.dumps({"pictures": [], "top_k": 0})
    answered = http.post("/v1/galleries/shop/query/batch", content=line, headers=kind).json()
    assert [one["field"] for one in answered["problem"]["errors"]] == ["top_k", "pictures"]
    absent = http.post("/v1/galleries/shop/query", files={"other": PICTURE})
    assert "errors" not in absent.json()


def test_a_time_that_ends_before_it_begins_is_refused(http: httpx.Client) -> None:
    window = {"time_from": "2026-02-01T00:00:00Z", "time_to": "2026-01-31T00:00:00Z"}
    said = "time_from (2026-02-01T00:00:00+00:00) must be before time_to (2026-01-31T00:00:00+00:00)"
    assert refused(http.post("/v1/galleries/shop/query", files={"files": PICTURE}, data=window)) == said
    assert refused(http.get("/v1/galleries/shop/images", params=window)) == said
    at_once = {"time_from": window["time_to"], "time_to": window["time_to"]}
    assert "must be before" in refused(http.get("/v1/galleries/shop/images", params=at_once))


def test_what_would_decide_nothing_is_refused_but_of_a_gallery(http: httpx.Client) -> None:
    """The handmade bundle has no calibration; a gallery's own may wait for one that has."""
    line = json.dumps({"pictures": [base64.b64encode(PICTURE).decode()], "prior": 0.1})
    kind = {"Content-Type": "application/x-ndjson"}
    for name in ("match_rate", "uncertain_rate", "prior"):
        form = {name: "0.1"}
        for path, files in (
            ("/v1/galleries/shop/query", [("files", PICTURE)]),
            ("/v1/verify", [("files", PICTURE), ("files", PICTURE)]),
        ):
            said = refused(http.post(path, files=files, data=form))
            assert said.startswith(f"{name}: the served bundle has no calibration")
    answered = http.post("/v1/galleries/shop/query/batch", content=line, headers=kind).json()
    assert answered["problem"]["detail"].startswith("prior: the served bundle has no calibration")
    assert http.patch("/v1/galleries/shop", json={"prior": 0.1}).json()["prior"] == 0.1
    assert http.post("/v1/galleries/shop/query", files={"files": PICTURE}).is_success


def test_an_answer_says_how_many_pictures_were_looked_at(http: httpx.Client) -> None:
    items = json.dumps([{"person": "anna", "camera": "entrance"}, {"person": "ben"}])
    files = [("files", PICTURE), ("files", encoded(person(2)))]
    http.post("/v1/galleries", json={"name": "counted"}).raise_for_status()
    http.post("/v1/galleries/counted/images", files=files, data={"items": items}).raise_for_status()
    for filters, count in (
        ({}, 2),
        ({"cameras": '["entrance"]'}, 1),
        ({"cameras": '["entrnace"]'}, 0),
        ({"people": '["ben", "anna"]', "top_k": "1"}, 2),
    ):
        answer = http.post("/v1/galleries/counted/query", files={"files": PICTURE}, data=filters).json()
        assert answer["query"]["compared_images"] == count
        assert bool(answer["results"]) == bool(count)


def test_a_body_that_is_no_json_is_told_as_such(http: httpx.Client) -> None:
    answer = http.post("/v1/galleries", content=b'{"name": }', headers={"Content-Type": "application/json"})
    assert refused(answer) == "body: No JSON: Expecting value (character 9)"


@pytest.mark.parametrize("time", [1700000000, 1700000000000, 1.5, "1700000000", "2026-01-31T12:00:00"])
def test_times_are_taken_in_one_form_everywhere(http: httpx.Client, time: Any) -> None:
    items = json.dumps([{"person": "anna", "time": time}])
    enrolled = http.post("/v1/galleries/shop/images", files={"files": PICTURE}, data={"items": items})
    assert refused(enrolled).startswith("items[0].time: not a date and time of RFC 3339 with an offset")
    for name in ("time_from", "time_to"):
        asked = http.post("/v1/galleries/shop/query", files={"files": PICTURE}, data={name: str(time)})
        assert refused(asked).startswith(f"{name}: not a date and time of RFC 3339 with an offset")
        line = json.dumps({"pictures": ["AAAA"], name: time})
        kind = {"Content-Type": "application/x-ndjson"}
        answered = http.post("/v1/galleries/shop/query/batch", content=line, headers=kind).json()
        assert answered["problem"]["detail"].startswith(f"{name}: not a date and time of RFC 3339")


def test_a_query_parameter_that_a_call_does_not_know_is_refused_by_every_call(http: httpx.Client) -> None:
    page = http.get("/openapi.json").json()
    for path, operations in page["paths"].items():
        for method in operations:
            url = path.format(gallery="shop", person="anna", image=examples.IMAGE)
            answer = http.request(method, url, params={"limt": "5"})
            if path in NOT_ASKED:
                assert answer.is_success
            else:
                assert refused(answer).startswith("There is no query parameter 'limt'; "), (method, path)
                assert "422" in operations[method]["responses"], (method, path)
    asked = http.get("/v1/galleries/shop/images?persn=anna&limit=5")
    assert refused(asked).endswith(
        "known are 'camera', 'client_id', 'cursor', 'limit', 'pending', 'person', 'time_from', 'time_to'."
    )
    assert refused(http.get("/v1/model?a=1")).endswith("this call takes none.")
    assert refused(http.get("/v1/galleries?limit=1&limit=2")) == "The query parameter 'limit' was sent twice."
    assert len(http.get("/v1/galleries?limit=1").json()["items"]) == 1


def test_names_that_nothing_can_have_are_answered_alike_by_every_database(
    catalog_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        serving(handmade_settings(tmp_path, catalog_url=catalog_url)) as running,
        httpx.Client(base_url=running.url, timeout=60) as client,
    ):
        client.post("/v1/galleries", json={"name": "shop"}).raise_for_status()
        files, change = {"files": PICTURE}, {"name": "ben"}
        for method, path, slug, sent in (
            ("GET", "/v1/galleries/%00", "gallery", {}),
            ("GET", "/v1/galleries/Shop/images", "gallery", {}),
            ("PATCH", "/v1/galleries/%00", "gallery", {"json": {"prior": 0.5}}),
            ("DELETE", "/v1/galleries/%00", "gallery", {}),
            ("POST", "/v1/galleries/a%00/query", "gallery", {"files": files}),
            ("POST", "/v1/galleries/a%00/images", "gallery", {"files": files, "data": {"items": "[]"}}),
            ("GET", "/v1/galleries/shop/images/%00", "image", {}),
            ("GET", "/v1/galleries/shop/images/%00/file", "image", {}),
            ("DELETE", f"/v1/galleries/shop/images/{'A' * 27}", "image", {}),
            ("GET", "/v1/galleries/shop/people/%00", "person", {}),
            ("GET", f"/v1/galleries/shop/people/{'a' * 257}", "person", {}),
            ("PATCH", "/v1/galleries/shop/people/a%09b", "person", {"json": change}),
            ("DELETE", "/v1/galleries/shop/people/a%00b/c", "person", {}),
        ):
            answer = client.request(method, path, **sent)
            about = (method, path, answer.text)
            assert answer.status_code == 404, about
            assert answer.json()["type"].endswith(f"/unknown-{slug}"), about
        for question in ("person=%00", "camera=a%00", "cursor=AA"):
            answer = client.get(f"/v1/galleries/shop/images?{question}")
            assert refused(answer).split(":")[0] in (
                question.split("=")[0],
                "the cursor is none that a page gave",
            )
        for path in ("/v1/galleries", "/v1/galleries/shop/people"):
            assert "cursor" in refused(client.get(f"{path}?cursor=AA"))
    assert [line.getMessage() for line in caplog.records if line.levelno >= logging.ERROR] == []


def test_metrics_say_how_they_are_refused(http: httpx.Client) -> None:
    described = http.get("/openapi.json").json()["paths"]["/metrics"]["get"]["responses"]
    assert {"200", "401", "403", "429"} <= set(described)


@pytest.mark.parametrize("parts", [["people"], ["files"], ["people", "files"]])
def test_a_form_that_is_cut_off_is_refused(http: httpx.Client, parts: list[str]) -> None:
    """Its last part would be left out: a filter, or a picture."""
    contents = {"people": b'["p1"]', "files": PICTURE}
    heads = {"people": 'name="people"', "files": 'name="files"; filename="p"'}
    form = b"".join(
        b"--a\r\nContent-Disposition: form-data; %s\r\n\r\n%s\r\n" % (heads[name].encode(), contents[name])
        for name in ["files", *parts]
    )
    kind = {"Content-Type": "multipart/form-data; boundary=a"}
    for path in ("/v1/galleries/shop/query", "/v1/embed", "/v1/verify"):
        for cut in (form[:-2], form[:-10]):
            said = refused(http.post(path, content=cut, headers=kind))
            assert said == "The form cannot be read: It ends before its closing boundary."
    whole = http.post("/v1/galleries/shop/query", content=form + b"--a--\r\n", headers=kind)
    assert whole.status_code == 200


def test_text_of_a_form_that_is_not_utf_8_is_refused(http: httpx.Client) -> None:
    form = {"people": '["p\xe9"]'.encode("latin-1")}
    answer = http.post("/v1/galleries/shop/query", files={"files": PICTURE}, data=form)
    assert refused(answer) == "The form cannot be read: The part 'people' is not UTF-8."


@pytest.mark.parametrize(
    ("path", "field", "text"),
    [
        ("/v1/embed", "occlusions", "[" + "0," * 300_000 + "0]"),
        ("/v1/embed", "boxes", "[" + "0," * 300_000 + "0]"),
        ("/v1/galleries/shop/query", "boxes", "[" + "0," * 300_000 + "0]"),
        ("/v1/galleries/shop/query", "metadata", json.dumps({str(n): [] for n in range(150_000)})),
        ("/v1/galleries/shop/images", "items", "[" + "0," * 300_000 + "0]"),
        ("/v1/galleries/shop/images", "items", json.dumps([{str(n): 0 for n in range(150_000)}])),
    ],
)
def test_a_crowd_of_faults_is_refused_as_one(http: httpx.Client, path: str, field: str, text: str) -> None:
    answer = http.post(path, files={"files": PICTURE}, data={field: text})
    assert refused(answer) == f"{field} has more than 10000 values."
    assert len(answer.content) < 1000


@pytest.mark.parametrize("member", ['"boxes":[' + "0," * 300_000 + "0]", '"a":0,' * 30_000 + '"b":0'])
def test_a_crowd_of_faults_in_a_line_is_refused_as_one(http: httpx.Client, member: str) -> None:
    line = f'{{"id": "l", "pictures": ["AAAA"], {member}}}'
    kind = {"Content-Type": "application/x-ndjson"}
    answer = http.post("/v1/galleries/shop/query/batch", content=line, headers=kind).json()
    assert answer["problem"]["detail"] == "The line has more than 10000 values."
