"""The client for asyncio. Files are read in a thread."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

import httpx

from service.client import calls
from service.client.call import Call, Series, Stream
from service.client.connection import (
    DEFAULT_URL,
    LIMITS,
    authorization,
    checked,
    default_timeout,
    fault_of,
    on_this_machine,
)
from service.client.faults import ClientError
from service.client.retries import Retries
from service.client.signature import signed_as

__all__ = ["AsyncClient"]

P = ParamSpec("P")
T = TypeVar("T")


def _call(describe: Callable[P, Call[T]]) -> Callable[Concatenate[AsyncClient, P], Coroutine[Any, Any, T]]:
    """A method that sends one call."""

    @signed_as(describe)
    async def method(self: AsyncClient, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self.send(describe(*args, **kwargs))

    return method


def _call_with_files(
    describe: Callable[P, Call[T]],
) -> Callable[Concatenate[AsyncClient, P], Coroutine[Any, Any, T]]:
    """A method that reads files and sends one call."""

    @signed_as(describe)
    async def method(self: AsyncClient, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self.send(await asyncio.to_thread(describe, *args, **kwargs))

    return method


def _stream(
    describe: Callable[P, Stream[Any, T]],
) -> Callable[Concatenate[AsyncClient, P], AsyncIterator[T]]:
    """A method that gives one thing after the other."""

    @signed_as(describe)
    async def method(self: AsyncClient, /, *args: P.args, **kwargs: P.kwargs) -> AsyncIterator[T]:
        stream = describe(*args, **kwargs)
        while (call := await asyncio.to_thread(stream.next_call)) is not None:
            for item in stream.take(await self.send(call)):
                yield item

    return method


def _series(
    describe: Callable[P, Series[Any, T]],
) -> Callable[Concatenate[AsyncClient, P], Coroutine[Any, Any, T]]:
    """A method that sends several calls for one result."""

    @signed_as(describe)
    async def method(self: AsyncClient, /, *args: P.args, **kwargs: P.kwargs) -> T:
        series = describe(*args, **kwargs)
        while (call := await asyncio.to_thread(series.next_call)) is not None:
            series.take(await self.send(call))
        return series.result()

    return method


class AsyncClient:
    """A service, for asyncio: the same methods as :class:`service.client.waiting.Client`, to be awaited."""

    def __init__(
        self,
        url: str = DEFAULT_URL,
        *,
        timeout: httpx.Timeout | float | None = None,
        key: str | None = None,
        retries: Retries | None = None,
        on_wait: Callable[[float, ClientError], None] | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._http = httpx.AsyncClient(
            base_url=checked(url),
            headers=authorization(key),
            timeout=timeout or default_timeout(),
            limits=LIMITS,
            transport=transport,
            trust_env=not on_this_machine(url),
        )
        self._retries = retries or Retries()
        self._on_wait = on_wait

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def send(self, call: Call[T]) -> T:
        """As :meth:`Client.send`."""
        tries = 0
        while True:
            tries += 1
            outcome: httpx.Response | httpx.TransportError
            try:
                outcome = await self._http.send(call.request(self._http))
            except httpx.TransportError as error:
                outcome = error
            wait = self._retries.wait(call, tries, outcome)
            if wait is not None:
                if self._on_wait is not None:
                    self._on_wait(wait, fault_of(self._http.base_url, outcome))
                await asyncio.sleep(wait)
            elif isinstance(outcome, httpx.TransportError):
                raise fault_of(self._http.base_url, outcome) from outcome
            else:
                return call.result(outcome)

    create_gallery = _call(calls.galleries.create_gallery)
    galleries = _stream(calls.galleries.galleries)
    gallery = _call(calls.galleries.gallery)
    change_gallery = _call(calls.galleries.change_gallery)
    delete_gallery = _call(calls.galleries.delete_gallery)
    statistics = _call(calls.galleries.statistics)
    reindex = _call(calls.galleries.reindex)
    reindexing = _call(calls.galleries.reindexing)

    people = _stream(calls.people.people)
    person = _call(calls.people.person)
    rename_person = _call(calls.people.rename_person)
    delete_person = _call(calls.people.delete_person)

    enrol = _series(calls.enrolment.enrol)

    images = _stream(calls.pictures.images)
    duplicates = _stream(calls.pictures.duplicates)
    image = _call(calls.pictures.image)
    file = _call(calls.pictures.file)
    thumbnail = _call(calls.pictures.thumbnail)
    delete_image = _call(calls.pictures.delete_image)

    query = _call_with_files(calls.queries.query)
    embed = _call_with_files(calls.queries.embed)
    verify = _call_with_files(calls.queries.verify)

    query_batch = _stream(calls.batch.query_batch)

    model = _call(calls.served.model)
    ready = _call(calls.served.ready)
