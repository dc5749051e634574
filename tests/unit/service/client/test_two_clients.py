"""The client that waits and the one for asyncio do the same."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from service.client import (
    AsyncClient,
    Client,
    NewPicture,
    ProblemError,
    ServiceUnreachable,
)
from tests.played_service import (
    ANSWER,
    GALLERY,
    OVERLOADED,
    QUICK,
    REFUSED,
    Service,
    enrol_each,
    problem,
)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
def test_proxy_named_by_the_environment_is_not_asked_for_a_service_on_this_machine(
    monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    asked: list[httpx.HTTPTransport] = []

    def answer(transport: httpx.HTTPTransport, _: httpx.Request) -> httpx.Response:
        asked.append(transport)
        return httpx.Response(200, json=GALLERY)

    monkeypatch.setenv("HTTP_PROXY", "http://proxy:3128")
    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", answer)
    proxied: list[bool] = []
    for name in (host, "service.example"):
        with Client(f"http://{name}:8321") as client:
            client.gallery("shop")
        proxied.append("Proxy" in type(asked[-1]._pool).__name__)
    assert proxied == [False, True]


async def test_async_client_answers_as_the_sync_one(tmp_path: Path) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        request.read()
        path = request.url.path
        if path.endswith("/query"):
            return httpx.Response(200, json=ANSWER)
        if path.endswith("/images"):
            return enrol_each(request)
        if path == "/v1/galleries" and request.method == "GET":
            last = "cursor" in request.url.params
            return httpx.Response(200, json={"items": [GALLERY], "next_cursor": None if last else "c"})
        if path == "/v1/galleries/none":
            return problem(404, "unknown-gallery")
        return httpx.Response(200, json=GALLERY)

    pictures = [NewPicture(b"x", "anna", client_id=str(number)) for number in range(70)]
    transport = httpx.MockTransport(answer)
    with Client("http://service", transport=transport) as sync_client:
        async with AsyncClient("http://service", transport=transport) as client:
            assert await client.create_gallery("shop") == sync_client.create_gallery("shop")
            assert await client.gallery("shop") == sync_client.gallery("shop")
            assert [one async for one in client.galleries()] == list(sync_client.galleries())
            assert await client.enrol("shop", pictures) == sync_client.enrol("shop", pictures)
            assert await client.query("shop", [b"x"]) == sync_client.query("shop", [b"x"])
            assert await client.ready() is sync_client.ready() is True
            with pytest.raises(ProblemError):
                await client.gallery("none")


async def test_async_client_tries_again_by_the_same_rules() -> None:
    service = Service(OVERLOADED, REFUSED, httpx.Response(200, json=GALLERY))
    async with AsyncClient("http://service", transport=httpx.MockTransport(service), retries=QUICK) as client:
        assert (await client.gallery("shop")).name == "shop"
    service = Service(REFUSED)
    async with AsyncClient("http://service", transport=httpx.MockTransport(service), retries=QUICK) as client:
        with pytest.raises(ServiceUnreachable):
            await client.create_gallery("shop")
    assert len(service.asked) == 1


def described(client: type[Client] | type[AsyncClient]) -> dict[str, tuple[inspect.Signature, str | None]]:
    """Parameters and docstring of every method that sends something."""
    return {
        name: (inspect.signature(method), inspect.getdoc(method))
        for name, method in inspect.getmembers(client, inspect.isfunction)
        if not name.startswith("_") and name not in ("send", "close")
    }


def test_both_clients_have_the_same_methods_with_the_same_parameters() -> None:
    waiting, asynchronous = described(Client), described(AsyncClient)
    assert waiting == asynchronous
    assert {"create_gallery", "enrol", "query", "query_batch", "thumbnail"} <= set(waiting)
    for signature, told in waiting.values():
        assert next(iter(signature.parameters)) == "self"
        assert told


def test_a_method_refuses_what_its_description_does_not_take() -> None:
    with Client("http://service", transport=httpx.MockTransport(Service(REFUSED))) as client:
        with pytest.raises(TypeError, match="unexpected"):
            client.query("shop", [b"x"], top=3)  # type: ignore[call-arg]
        assert list(inspect.signature(client.gallery).parameters) == ["name"]


@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_an_idle_connection_is_left_before_the_service_closes_it(kind: type[Client | AsyncClient]) -> None:
    pool: Any = kind("http://127.0.0.1:1")._http._transport
    assert 2 * pool._pool._keepalive_expiry < uvicorn.Config("app").timeout_keep_alive
