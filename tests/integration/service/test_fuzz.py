"""Whatever the OpenAPI page allows, and much that it does not, is answered without a fault of the service.

Most calls ask a gallery that is there, with real pictures: where all is made up nothing is found, and what
a call does when it succeeds never runs. Each test ends by asking whether every call of the page succeeded.
"""

from __future__ import annotations

import base64
import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

import httpx
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from models.bundle import read_bundle
from service.settings import Settings
from service.storage.keys import ROLES, Keys, Role
from tests.calibrations import handmade_site
from tests.drawings import encoded, person
from tests.serving import handmade_settings, serving

TAKE_NOTHING: Final = {"GET /v1/model", "GET /healthz", "GET /readyz", "GET /metrics"}
"""Calls without a parameter: there is nothing wrong that could be sent."""

CHANGES: Final = ("patch", "delete")
"""Methods after which what other calls ask for may be gone."""

WIDTH, HEIGHT = 64, 128
PICTURES: Final = [encoded(person(who, view)) for who in range(3) for view in range(2)]

FOUND: Final = {
    "person": "anna",
    "camera": "entrance",
    "client_id": "anna-1",
    "cameras": ["entrance"],
    "people": ["anna", "ben"],
    "exclude_cameras": ["yard"],
    "exclude_people": ["cid"],
    "metadata": {"shift": "night"},
    "time_from": "2026-01-01T00:00:00Z",
    "time_to": "2026-02-01T00:00:00Z",
}
"""Filters that leave pictures."""

ASKED: Final = ["found", "found", "there", "made up"]

Call = Callable[[schemathesis.Case, GenerationMode], None]


@schemathesis.serializer("application/x-ndjson")
def _stream(context: object, body: object) -> bytes:
    """A list is sent as its lines, all else as one."""
    lines = body if isinstance(body, list) else [body]
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def test_no_request_breaks_the_service(tmp_path: Path, catalog_url: str) -> None:
    with serving(_calibrated(tmp_path, catalog_url=catalog_url)) as running:
        shop, seen = _Shop(running.url), _Seen()

        def answered(case: schemathesis.Case, mode: GenerationMode) -> None:
            answer = case.call()
            seen.note(case, mode, answer)
            assert answer.status_code not in (401, 403, 429), (case.operation.label, answer.text)

        _fuzz(shop, answered, examples=12)
        seen.success_of(shop.operations)
        seen.refusals_of(shop.operations)
        assert httpx.get(f"{running.url}/readyz").status_code == 200


def test_with_keys_nothing_breaks_and_nobody_does_more_than_the_key_says(
    tmp_path: Path, catalog_url: str
) -> None:
    often = "1000000/minute"  # else most would be refused for that
    with serving(_calibrated(tmp_path, refusal_limit=often, catalog_url=catalog_url)) as running:
        keys = Keys(running.app.state.assembly.galleries._parts.catalog.database)
        tokens = {role: keys.create(role, role).token for role in ROLES}
        time.sleep(1.1)  # that there is no key is taken for granted for a second
        shop = _Shop(running.url, tokens["admin"])
        seen = {role: _Seen() for role in ROLES}

        def answered(case: schemathesis.Case, mode: GenerationMode) -> None:
            about = (case.operation.label, case.call().status_code)
            assert about[1] == (200 if case.operation.path in ("/healthz", "/readyz") else 401), about
            for role in ROLES:
                if case.operation.method in CHANGES:
                    shop.stand(case)
                answer = case.call(headers={"Authorization": f"Bearer {tokens[role]}"})
                seen[role].note(case, mode, answer)
                allowed = role in _may(case.operation)
                assert allowed == (answer.status_code != 403), (case.operation.label, role, answer.text)
                assert answer.status_code not in (401, 429), (case.operation.label, role, answer.text)

        _fuzz(shop, answered, examples=5)
        for role in ROLES:
            seen[role].success_of([one for one in shop.operations if role in _may(one)])
        for path in ("/docs", "/openapi.json", "/healthz", "/readyz"):
            assert httpx.get(running.url + path).status_code == 200


def _calibrated(folder: Path, **changed: Any) -> Settings:
    """With a calibration: a call that states how to decide is refused without one."""
    fingerprint = read_bundle(handmade_settings(folder).bundle).fingerprint
    return handmade_settings(folder, calibration=handmade_site(folder, fingerprint), **changed)


def _may(operation: Any) -> tuple[Role, ...]:
    """Whose keys may make a call."""
    last = operation.path.rsplit("/", 1)[-1]
    if operation.method == "get" or last in ("query", "batch", "verify", "embed"):
        return ROLES
    return ("enrol", "admin") if "/images" in operation.path or "/people" in operation.path else ("admin",)


class _Shop:
    """A gallery that calls find: people, kept pictures, one of them twice."""

    def __init__(self, url: str, token: str | None = None) -> None:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        self._http = httpx.Client(base_url=url, headers=headers, timeout=600)
        page = httpx.get(f"{url}/openapi.json").json()
        described = schemathesis.openapi.from_dict(_without_keys(_with_json_parts(page)))
        described.config.update(base_url=url, request_timeout=600)  # against hangs
        self.operations = [found.ok() for found in described.get_all_operations()]
        assert len(self.operations) >= 20
        self.image = ""
        self.stand()

    def stand(self, case: schemathesis.Case | None = None) -> None:
        """Make anew what calls have changed or erased.

        Args:
            case: a call that is still to be made: it asks for the new picture where it asked for the old one.
        """
        people = self._http.get("/v1/galleries/shop/people/anna")
        image = self._http.get(f"/v1/galleries/shop/images/{self.image}")
        if people.status_code == image.status_code == 200 and image.json()["person"] == "anna":
            return
        self._http.delete("/v1/galleries/shop")
        made = self._http.post("/v1/galleries", json={"name": "shop", "keep_pictures": True})
        assert made.status_code == 201, made.text
        known = {"camera": "entrance", "metadata": {"shift": "night"}, "time": "2026-01-31T13:00:00Z"}
        items = [{"person": name, **known} for name in ("anna", "ben", "cid", "anna")]
        items[0]["client_id"] = "anna-1"
        pictures = [PICTURES[0], PICTURES[2], PICTURES[4], PICTURES[0]]
        enrolled = self._http.post(
            "/v1/galleries/shop/images",
            files=[("files", ("picture", content)) for content in pictures],
            data={"items": json.dumps(items)},
        )
        assert enrolled.status_code == 201, enrolled.text
        before, self.image = self.image, enrolled.json()["items"][0]["id"]
        if case is not None and case.path_parameters and case.path_parameters.get("image") == before:
            case.path_parameters = {**case.path_parameters, "image": self.image}

    def name(self, case: schemathesis.Case) -> None:
        """Have a call ask for what is there, with real pictures."""
        there = {"gallery": "shop", "person": "anna", "image": self.image}
        made_up = case.path_parameters or {}
        case.path_parameters = {name: there.get(name, value) for name, value in made_up.items()}
        if case.query and "cursor" in case.query:
            first = self._http.get(case.formatted_path, params={"limit": 1})
            case.query = {**case.query, "cursor": first.json()["next_cursor"] or ""}
        if not isinstance(case.body, dict):
            return
        if case.media_type == "application/x-ndjson":
            plain = {"pictures": [_text(PICTURES[1])]}
            case.body = [_with_pictures(case.body, "pictures", 2), plain, case.body]
        elif case.operation.path == "/v1/verify":
            named = "gallery" in case.body or "person" in case.body
            case.body = _with_pictures(case.body, "files", 1 if named else 2)
            case.body.update({"gallery": "shop", "person": "anna"} if named else {})
        elif case.media_type == "multipart/form-data":
            items = case.body.get("items")
            number = len(items) if isinstance(items, list) and items else 2
            case.body = _with_pictures(case.body, "files", min(number, 3))
        elif case.body.get("merge") is True:
            case.body = {**case.body, "name": "ben"}


def _find(case: schemathesis.Case) -> None:
    """Have a call's filters leave pictures."""
    if case.query:
        said = case.query.items()
        case.query = {name: FOUND.get(name, value) for name, value in said if value is not None}
    if "/query" in case.operation.path and isinstance(case.body, dict):
        case.body = {name: FOUND.get(name, value) for name, value in case.body.items()}


def _with_pictures(body: dict[str, Any], name: str, number: int) -> dict[str, Any]:
    """With so many pictures in place of made-up ones, and with boxes that lie within them."""
    made = dict(body)
    if isinstance(body.get(name), list):
        files = [PICTURES[(number + index) % len(PICTURES)] for index in range(number)]
        made[name] = files if name == "files" else [_text(file) for file in files]
    if isinstance(body.get("boxes"), list):
        made["boxes"] = [_within(box) for box in (*body["boxes"], *[None] * number)][:number]
    if isinstance(body.get("items"), list):
        made["items"] = [
            {**item, "box": _within(item["box"])} if isinstance(item, dict) and "box" in item else item
            for item in body["items"][:number]
        ]
    return made


def _within(box: Any) -> Any:
    """A box of the page, which knows no picture's size, moved into a picture."""
    if not (isinstance(box, list) and len(box) == 4 and all(type(number) is int for number in box)):
        return box
    x, y = box[0] % WIDTH, box[1] % HEIGHT
    return [x, y, 1 + box[2] % (WIDTH - x), 1 + box[3] % (HEIGHT - y)]


def _text(picture: bytes) -> str:
    return base64.b64encode(picture).decode()


def _without_keys(page: dict[str, Any]) -> dict[str, Any]:
    """Made-up keys would have nearly every call refused for its key."""
    page["components"].pop("securitySchemes")
    for path in page["paths"].values():
        for operation in path.values():
            operation.pop("security", None)
    return page


def _with_json_parts(page: dict[str, Any]) -> dict[str, Any]:
    """Parts of a form that are JSON as text, described as the JSON: any text would be refused."""
    for path in page["paths"].values():
        for operation in path.values():
            form = operation.get("requestBody", {}).get("content", {}).get("multipart/form-data")
            parts = {} if form is None else form["schema"]["properties"]
            for name, part in parts.items():
                parts[name] = part.get("contentSchema", part)
    return page


def _written(case: schemathesis.Case) -> None:
    """Write those parts as text."""
    if case.media_type == "multipart/form-data" and isinstance(case.body, dict):
        case.body = {
            name: part if name == "files" or isinstance(part, str | bytes) else json.dumps(part)
            for name, part in case.body.items()
        }


def _fuzz(shop: _Shop, answered: Call, examples: int) -> None:
    """Make so many calls of each operation as the page says, and so many as it does not."""
    for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
        for operation in shop.operations:
            if mode == GenerationMode.NEGATIVE and not _takes_more_than_names(operation):
                continue
            shop.stand()
            _fuzz_one(shop, operation, mode, answered, examples)


def _takes_more_than_names(operation: Any) -> bool:
    """Whether the page allows less than any text: where a path alone is asked for, it allows any."""
    return bool(operation.query or operation.body)


def _fuzz_one(shop: _Shop, operation: Any, mode: GenerationMode, answered: Call, examples: int) -> None:
    @given(case=operation.as_strategy(generation_mode=mode), asked=st.sampled_from(ASKED))
    @settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def call(case: schemathesis.Case, asked: str) -> None:
        if operation.method in CHANGES:
            shop.stand()
        if asked == "found":
            _find(case)
        if asked != "made up":
            shop.name(case)
        _written(case)
        answered(case, mode)

    call()


class _Seen:
    """How calls were answered: each without a fault, and as the page says."""

    def __init__(self) -> None:
        self.statuses: dict[tuple[str, GenerationMode], set[int]] = defaultdict(set)
        self.found = False

    def note(self, case: schemathesis.Case, mode: GenerationMode, answer: Any) -> None:
        label, statuses = case.operation.label, _statuses(answer)
        assert max(answer.status_code, *statuses) < 500, (label, answer.status_code, answer.text)
        assert b'"status":500' not in answer.content, (label, answer.text)  # of one picture of many
        self.statuses[label, mode] |= statuses
        if case.operation.path.endswith("/query") and answer.status_code == 200:
            self.found |= answer.json()["results"] != []
        case.validate_response(
            answer,
            checks=[status_code_conformance, content_type_conformance, response_schema_conformance],
        )

    def success_of(self, operations: Iterable[Any]) -> None:
        """Each of the calls succeeded at least once with what the page allows."""
        for label in (operation.label for operation in operations):
            statuses = self.statuses[label, GenerationMode.POSITIVE]
            assert any(200 <= status < 300 for status in statuses), (label, statuses)
        assert self.found

    def refusals_of(self, operations: Iterable[Any]) -> None:
        """Each was refused at least once: for what the page does not allow, or for a name of nothing."""
        for operation in operations:
            more = _takes_more_than_names(operation)
            mode = GenerationMode.NEGATIVE if more else GenerationMode.POSITIVE
            statuses = self.statuses[operation.label, mode]
            refused = (422 if more else 404) in statuses
            assert refused or operation.label in TAKE_NOTHING, (operation.label, statuses)


def _statuses(answer: Any) -> set[int]:
    """The answer's status; of a stream those of its lines, which the stream's does not tell."""
    if "ndjson" not in answer.headers.get("content-type", [""])[0]:
        return {answer.status_code}
    lines = [json.loads(line) for line in answer.content.split(b"\n") if line]
    return {200 if line["problem"] is None else line["problem"]["status"] for line in lines}
