"""The OpenAPI page's examples: every request is sent as it stands, every answer holds against its schema.

Cursors of a next page are of one list of one catalog, so one of that list is sent besides.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final, TypeAlias

import httpx
import jsonschema_rs
import pytest

from service.gallery import enrolment
from service.storage.ulid import new_ulid
from tests.drawings import encoded, person
from tests.serving import handmade_settings, serving

Json: TypeAlias = dict[str, Any]

PROBLEM: Final = "application/problem+json"


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    with (
        serving(handmade_settings(tmp_path_factory.mktemp("service"))) as running,
        httpx.Client(base_url=running.url, timeout=60) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def page(http: httpx.Client) -> Json:
    found: Json = http.get("/openapi.json").json()
    return found


def operations(page: Json) -> Iterator[tuple[str, str, Json]]:
    """Method, path and description of each."""
    for path, methods in page["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def examples(page: Json, described: Json) -> list[Any]:
    """What a parameter or a media type, or else the schema, shows as examples."""
    if "examples" in described:
        return [example["value"] for example in described["examples"].values()]
    if "example" in described:
        return [described["example"]]
    name = described["schema"].get("$ref", "").rsplit("/", 1)[-1]
    schema = page["components"]["schemas"].get(name, {})
    return [schema["example"]] if "example" in schema else []


def holds(page: Json, schema: Json, value: Any) -> None:
    """Raise unless the value is what the schema says, formats of text included."""
    whole = {**schema, "components": page["components"]}
    jsonschema_rs.Draft202012Validator(whole, validate_formats=True).validate(value)


def values_of(kind: str, content: Any) -> list[Any]:
    """What is held against the schema: a stream's lines one by one, everything else as it is."""
    if kind.endswith("ndjson") and isinstance(content, str):
        return [json.loads(line) for line in content.splitlines()]
    return [content]


def test_every_parameter_body_and_answer_has_an_example_that_is_what_its_schema_says(page: Json) -> None:
    count = 0
    for method, path, operation in operations(page):
        contents = [("body", operation["requestBody"]["content"])] if "requestBody" in operation else []
        contents += [(status, said.get("content", {})) for status, said in operation["responses"].items()]
        shown = [(parameter["name"], "", parameter) for parameter in operation.get("parameters", ())]
        shown += [(where, kind, one) for where, kinds in contents for kind, one in kinds.items()]
        for where, kind, described in shown:
            if kind.startswith("image/"):
                continue  # no JSON can show one
            about = f"{method} {path}, {where} {kind}"
            found = examples(page, described)
            assert found, f"{about}: no example"
            for value in (value for example in found for value in values_of(kind, example)):
                try:
                    holds(page, described["schema"], value)
                except jsonschema_rs.ValidationError as error:
                    raise AssertionError(f"{about}: {error}") from error
                count += 1
    assert count > 200


def test_every_call_is_answered_as_documented_when_its_examples_are_sent(
    http: httpx.Client, page: Json, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = 0
    for method, path, operation in operations(page):
        named, asked = (
            {
                one["name"]: json_text(examples(page, one)[0])
                for one in operation.get("parameters", ())
                if one["in"] == place
            }
            for place in ("path", "query")
        )
        bodies = operation.get("requestBody", {"content": {"": {"example": None}}})["content"]
        for kind, described in bodies.items():
            for example in examples(page, described):
                for query in ({}, asked) if asked else ({},):
                    empty_house(http)
                    if operation["operationId"] != "create_gallery":
                        make_shop(http, page, monkeypatch)
                    sent_to = path.format(**named)
                    url = http.build_request(method, sent_to, params=query).url
                    answer = send(http, method, url, kind, example)
                    check(page, operation, answer)
                    if "cursor" in query and (found := answer.json()["next_cursor"]) is not None:
                        check(page, operation, http.get(sent_to, params={**query, "cursor": found}))
                    sent += 1
    assert sent >= len(list(operations(page))) >= 27


def empty_house(http: httpx.Client) -> None:
    for gallery in http.get("/v1/galleries").json()["items"]:
        http.delete(f"/v1/galleries/{gallery['name']}").raise_for_status()


def make_shop(http: httpx.Client, page: Json, monkeypatch: pytest.MonkeyPatch) -> None:
    """The gallery that the examples speak of, with the person and the picture that they name."""
    parameters = page["paths"]["/v1/galleries/{gallery}/images/{image}"]["get"]["parameters"]
    ids = iter(examples(page, next(one for one in parameters if one["name"] == "image")))
    monkeypatch.setattr(enrolment, "new_ulid", lambda: next(ids, None) or new_ulid())
    http.post("/v1/galleries", json={"name": "shop", "keep_pictures": True}).raise_for_status()
    told = {"camera": "entrance", "time": "2026-01-31T13:00:00+01:00", "metadata": {"shift": "night"}}
    items = [{"person": "anna", **told}, {"person": "anna"}, {"person": "ben"}]
    http.post(
        "/v1/galleries/shop/images",
        files=[("files", (f"{n}", encoded(person(n)))) for n in (1, 1, 2)],
        data={"items": json.dumps(items)},
    ).raise_for_status()


def send(http: httpx.Client, method: str, url: httpx.URL, kind: str, example: Any) -> httpx.Response:
    if kind == "application/json":
        return http.request(method, url, json=example)
    if kind.endswith("ndjson"):
        return http.request(method, url, content=example, headers={"Content-Type": kind})
    if kind == "multipart/form-data":
        pictures = [("files", (name, encoded(person(n + 4)))) for n, name in enumerate(example["files"])]
        form = {name: json_text(value) for name, value in example.items() if name != "files"}
        return http.request(method, url, files=pictures, data=form)
    assert example is None
    return http.request(method, url)


def json_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def check(page: Json, operation: Json, answer: httpx.Response) -> None:
    """A success that the page tells of, and what it says of the body holds."""
    about = (str(answer.request.url), answer.status_code, answer.text[:500])
    assert answer.is_success, about
    said = operation["responses"][str(answer.status_code)].get("content")
    if said is None:
        assert answer.content == b"", about
        return
    ((kind, described),) = said.items()
    sent_kind = answer.headers["content-type"].split(";")[0]
    assert sent_kind == kind or (kind == "image/*" and sent_kind.startswith("image/")), about
    if kind.startswith("image/"):
        assert answer.content
        return
    if kind == "text/plain":
        holds(page, described["schema"], answer.text)
        return
    for value in values_of(kind, answer.text if kind.endswith("ndjson") else answer.json()):
        holds(page, described["schema"], value)
        assert value.get("problem") is None, about
        for found in ("items", "results"):
            if found in value:
                assert value[found] or "?" in str(answer.request.url), about
