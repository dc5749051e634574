"""No web page reaches a service that asks nobody for a key, whatever name its site lets point to loopback."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from service.storage.database import Database
from service.storage.keys import Keys
from tests.serving import Serving, handmade_settings, serving


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with serving(handmade_settings(tmp_path_factory.mktemp("service"))) as running:
        yield running


@pytest.fixture
def http(service: Serving) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=service.url, timeout=60, trust_env=False) as client:
        yield client


@pytest.mark.parametrize("host", ["localhost", "LocalHost:1", "127.0.0.1:8321", "127.8.9.1", "[::1]:8321"])
def test_this_machines_addresses_are_answered(http: httpx.Client, host: str) -> None:
    for path in ("/v1/galleries", "/healthz", "/docs"):
        assert http.get(path, headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "evil.example:8321", "127.0.0.1.evil.example", "localhost.evil.example"),
        *("10.0.0.1", "[fe80::1]", "0.0.0.0", "", "localhost@evil.example", "[::1", "127.0.0.1:80:80"),
    ],
)
def test_no_other_name_is(http: httpx.Client, host: str) -> None:
    for method, path in (("GET", "/v1/galleries"), ("POST", "/v1/galleries"), ("GET", "/docs")):
        answer = http.request(method, path, headers={"Host": host})
        assert answer.status_code == 421
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert "penumbra keys create" in answer.json()["detail"]
        assert answer.json()["request_id"] == answer.headers["X-Request-ID"]


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "https://localhost", "http://localhost:1", "null", "http://[", ""]
)
def test_no_page_of_another_site_sends_anything(http: httpx.Client, origin: str) -> None:
    for method, path in (
        ("POST", "/v1/galleries"),
        ("POST", "/v1/embed"),
        ("DELETE", "/v1/galleries/g"),
        ("OPTIONS", "/v1/galleries"),
    ):
        answer = http.request(method, path, headers={"Origin": origin})
        assert answer.status_code == 403, answer.text
        assert answer.json()["type"].endswith("/foreign-page")
    assert http.get("/v1/galleries", headers={"Origin": origin}).json()["items"] == []


def test_the_services_own_page_sends_what_it_likes(http: httpx.Client) -> None:
    own = str(http.base_url).rstrip("/")
    assert http.delete("/v1/galleries/g", headers={"Origin": own}).status_code == 404
    for host, origin in (("localhost", "http://localhost:80"), ("127.0.0.1:80", "http://127.0.0.1")):
        answer = http.delete("/v1/galleries/g", headers={"Host": host, "Origin": origin})
        assert answer.status_code == 404


def test_services_with_keys_and_those_that_others_reach_look_at_no_names(tmp_path: Path) -> None:
    foreign = {"Host": "penumbra.example", "Origin": "https://elsewhere.example"}
    closed = handmade_settings(tmp_path)
    database = Database(closed.catalog_url)
    token = Keys(database).create("operator", "admin").token
    database.close()
    for settings, headers in (
        (closed, foreign | {"Authorization": f"Bearer {token}"}),
        (handmade_settings(tmp_path, data_dir=tmp_path / "open", allow_anonymous=True), foreign),
    ):
        with (
            serving(settings) as running,
            httpx.Client(base_url=running.url, timeout=60, trust_env=False, headers=headers) as http,
        ):
            assert http.post("/v1/galleries", json={"name": "g"}).status_code == 201
            assert http.get("/docs").status_code == 200


def test_a_service_that_others_reach_without_keys_may_say_its_names(tmp_path: Path) -> None:
    settings = handmade_settings(tmp_path, allow_anonymous=True, anonymous_hosts="Penumbra, shop.example")
    with (
        serving(settings) as running,
        httpx.Client(base_url=running.url, timeout=60, trust_env=False) as http,
    ):
        for host in ("penumbra:8321", "shop.example", "localhost", "10.0.0.1:8321", "[fe80::1]"):
            assert http.get("/v1/galleries", headers={"Host": host}).status_code == 200
        for host in ("evil.example", "penumbra.evil.example", "10.0.0.1.evil.example"):
            refused = http.get("/v1/galleries", headers={"Host": host})
            assert refused.status_code == 421
            assert "answers to localhost, penumbra, shop.example and its address" in refused.json()["detail"]
        foreign = {"Host": "penumbra", "Origin": "http://evil.example"}
        assert http.post("/v1/galleries", json={"name": "g"}, headers=foreign).status_code == 403


def test_what_is_no_browser_need_not_say_whom_it_asks(service: Serving) -> None:
    address = httpx.URL(service.url)
    with socket.create_connection((address.host, address.port or 80), 60) as connection:
        connection.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
        assert connection.makefile("rb").readline().split()[1] == b"200"
