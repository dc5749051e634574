"""Paths that are nearly those of a call, and methods that are nearly its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from service.client import Client
from tests.serving import Serving, handmade_settings, serving


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with serving(handmade_settings(tmp_path_factory.mktemp("service"))) as running:
        yield running


def test_nobody_is_sent_on_from_what_is_in_a_gallery_to_the_gallery(service: Serving) -> None:
    """Of `DELETE .../kept/images/..` curl, as many programs, makes `DELETE .../kept/` before it sends it."""
    with Client(service.url) as client:
        client.create_gallery("kept")
        answer = httpx.delete(f"{service.url}/v1/galleries/kept/", follow_redirects=True, timeout=60)
        assert answer.status_code == 404
        assert client.gallery("kept").name == "kept"


def test_no_answer_repeats_the_host_that_the_caller_named(service: Serving) -> None:
    for path in ("/v1/galleries/", "/healthz/", "/docs/", "/static-offline-docs"):
        for host, status in (("localhost:13", 404), ("elsewhere.example", 421)):
            answer = httpx.get(service.url + path, headers={"Host": host}, timeout=60)
            assert answer.status_code == status
            assert host not in f"{answer.headers} {answer.text}"


def test_whoever_watches_may_ask_for_the_head_alone(service: Serving) -> None:
    for path in ("/healthz", "/readyz", "/metrics", "/openapi.json"):
        whole = httpx.get(service.url + path, timeout=60)
        head = httpx.head(service.url + path, timeout=60)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["Content-Type"] == whole.headers["Content-Type"]


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "/healthz", "GET, HEAD"),
        ("PUT", "/v1/galleries", "GET, POST"),
        ("HEAD", "/v1/galleries/g", "DELETE, GET, PATCH"),
        ("GET", "/v1/embed", "POST"),
    ],
)
def test_a_method_that_a_path_does_not_take_is_told_which_it_takes(
    service: Serving, method: str, path: str, allowed: str
) -> None:
    answer = httpx.request(method, service.url + path, timeout=60)
    assert (answer.status_code, answer.headers["Allow"]) == (405, allowed)


def test_the_description_is_open_unless_the_settings_close_it(service: Serving, tmp_path: Path) -> None:
    described = ("/docs", "/openapi.json", "/static-offline-docs/swagger-ui.css")
    assert [httpx.get(service.url + path, timeout=60).status_code for path in described] == [200] * 3
    with serving(handmade_settings(tmp_path, docs=False)) as closed:
        assert [httpx.get(closed.url + path, timeout=60).status_code for path in described] == [404] * 3
        assert httpx.put(f"{closed.url}/v1/galleries", timeout=60).status_code == 405
        assert httpx.get(f"{closed.url}/v1/galleries", timeout=60).status_code == 200
