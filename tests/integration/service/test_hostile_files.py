"""Every hostile file gets a right answer or a refusal that says why, and the service goes on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.drawings import encoded, person
from tests.hostile import hostile_files
from tests.serving import handmade_settings, serving


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    folder: Path = tmp_path_factory.mktemp("service")
    with (
        serving(handmade_settings(folder)) as running,
        httpx.Client(base_url=running.url, timeout=120) as client,
    ):
        yield client


def test_there_are_two_hundred_different_ones_at_least() -> None:
    files = list(hostile_files())
    assert len({file.name for file in files}) == len(files)
    assert len({file.content for file in files}) >= 200


def test_each_gets_a_right_answer_or_a_refusal_that_says_why(http: httpx.Client) -> None:
    wrong = []
    for file in hostile_files():
        answer = http.post("/v1/embed", files=[("files", ("picture.jpg", file.content))])
        if answer.status_code not in file.allowed:
            wrong.append(f"{file.name}: {answer.status_code} {answer.text[:200]}")
        elif answer.status_code != 200:
            problem = answer.json()
            assert answer.headers["content-type"] == "application/problem+json"
            assert len(problem["detail"]) > 20, file.name
            assert "Traceback" not in answer.text
    assert wrong == []
    assert http.get("/readyz").status_code == 200


def test_one_of_them_fails_alone_among_good_pictures(http: httpx.Client) -> None:
    http.post("/v1/galleries", json={"name": "g"})
    bad = [file for file in hostile_files() if 200 not in file.allowed][:31]
    contents = [content for file in bad for content in (file.content, encoded(person(1)))]
    items = ", ".join('{"person": "somebody"}' for _ in contents)
    answer = http.post(
        "/v1/galleries/g/images",
        files=[("files", (str(number), content)) for number, content in enumerate(contents)],
        data={"items": f"[{items}]"},
    )
    assert answer.status_code == 201, answer.text
    assert [item["status"] for item in answer.json()["items"]] == ["failed", "enrolled"] * len(bad)
