"""The client for code that waits."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
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

__all__ = ["Client"]

P = ParamSpec("P")
T = TypeVar("T")


def _call(describe: Callable[P, Call[T]]) -> Callable[Concatenate[Client, P], T]:
    """A method that sends one call."""

    @signed_as(describe)
    def method(self: Client, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self.send(describe(*args, **kwargs))

    return method


def _stream(describe: Callable[P, Stream[Any, T]]) -> Callable[Concatenate[Client, P], Iterator[T]]:
    """A method that gives one thing after the other."""

    @signed_as(describe)
    def method(self: Client, /, *args: P.args, **kwargs: P.kwargs) -> Iterator[T]:
        stream = describe(*args, **kwargs)
        while (call := stream.next_call()) is not None:
            yield from stream.take(self.send(call))

    return method


def _series(describe: Callable[P, Series[Any, T]]) -> Callable[Concatenate[Client, P], T]:
    """A method that sends several calls for one result."""

    @signed_as(describe)
    def method(self: Client, /, *args: P.args, **kwargs: P.kwargs) -> T:
        series = describe(*args, **kwargs)
        while (call := series.next_call()) is not None:
            series.take(self.send(call))
        return series.result()

    return method


class Client:
    """A service, for code that waits.

    Args:
        url: the service's address.
        timeout: httpx's; 5 s to connect and 60 s for an answer unless given.
        retries: how patiently calls that may be repeated are.
        on_wait: called before a call is tried again: after how many seconds, and what went wrong.
        transport: another way to reach the service, for tests.

    Raises:
        BadAddress: ``url`` is none, for want of ``http://`` most often.
        BadKey: no key looks so.
    """

    def __init__(
        self,
        url: str = DEFAULT_URL,
        *,
        timeout: httpx.Timeout | float | None = None,
        key: str | None = None,
        retries: Retries | None = None,
        on_wait: Callable[[float, ClientError], None] | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._http = httpx.Client(
            base_url=checked(url),
            headers=authorization(key),
            timeout=timeout or default_timeout(),
            limits=LIMITS,
            transport=transport,
            trust_env=not on_this_machine(url),
        )
        self._retries = retries or Retries()
        self._on_wait = on_wait

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def send(self, call: Call[T]) -> T:
        """Send a call, again where that is safe, and read its answer.

        Raises:
            ProblemError: the service refused.
            ServiceUnreachable: no answer came.
            UnexpectedAnswer: something else answered.
        """
        tries = 0
        while True:
            tries += 1
            outcome: httpx.Response | httpx.TransportError
            try:
                outcome = self._http.send(call.request(self._http))
            except httpx.TransportError as error:
                outcome = error
            wait = self._retries.wait(call, tries, outcome)
            if wait is not None:
                if self._on_wait is not None:
                    self._on_wait(wait, fault_of(self._http.base_url, outcome))
                time.sleep(wait)
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

    query = _call(calls.queries.query)
    embed = _call(calls.queries.embed)
    verify = _call(calls.queries.verify)

    query_batch = _stream(calls.batch.query_batch)

    model = _call(calls.served.model)
    ready = _call(calls.served.ready)
