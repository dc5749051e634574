"""Paths that are nearly those of a call, and methods that are nearly its own."""

from __future__ import annotations

from collections.abc import Iterator

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
        answer = httpx.get(service.url + path, headers={"Host": "elsewhere.example"}, timeout=60)
        assert answer.status_code == 404
        assert "elsewhere.example" not in f"{answer.headers} {answer.text}"
