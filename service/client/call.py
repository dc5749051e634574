"""One request as a value: what to send, and how to read the answer. And what takes several requests."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar, cast
from urllib.parse import quote

import httpx
from pydantic import BaseModel, ValidationError

from service.client.faults import NotInUrl, ProblemError, UnexpectedAnswer
from service.client.requests import Part

__all__ = ["Call", "Series", "Stream", "gallery_path", "nothing", "problem_of", "reader"]

T = TypeVar("T")
Result_co = TypeVar("Result_co", covariant=True)
Read = TypeVar("Read")


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One request, and how to read its answer.

    Attributes:
        method, path, params, json, form, files: what is sent, as httpx takes it.
        lines: sent as NDJSON instead.
        read: from a successful answer to what the caller gets.
        repeatable: sending it twice does no harm.
        rescue: from a problem to what the caller gets after all, or None to raise it.
    """

    method: str
    path: str
    read: Callable[[httpx.Response], T]
    repeatable: bool
    params: Mapping[str, str | int] = field(default_factory=dict)
    json: Any = None
    form: Mapping[str, str] | None = None
    files: Sequence[Part] | None = None
    lines: bytes | None = None
    rescue: Callable[[ProblemError], T | None] | None = None

    def request(self, http: httpx.Client | httpx.AsyncClient) -> httpx.Request:
        """The request as httpx sends it."""
        return http.build_request(
            self.method,
            self.path,
            params=dict(self.params) or None,
            json=self.json,
            data=dict(self.form) if self.form is not None else None,
            files=list(self.files) if self.files is not None else None,
            content=self.lines,
            headers={"Content-Type": "application/x-ndjson"} if self.lines is not None else None,
        )

    def result(self, response: httpx.Response) -> T:
        """What the caller gets.

        Raises:
            ProblemError: the service refused.
            UnexpectedAnswer: this is not how the service answers.
        """
        if response.is_success:
            try:
                return self.read(response)
            except (ValidationError, json.JSONDecodeError) as error:
                raise UnexpectedAnswer(
                    f"{response.request.url} answered {response.status_code} with something else than a "
                    f"Penumbra service would: {error}"
                ) from error
        problem = problem_of(response)
        rescued = self.rescue(problem) if self.rescue is not None else None
        if rescued is None:
            raise problem
        return rescued


class Series(Protocol[Read, Result_co]):
    """Several calls, each made when the answer to the one before was taken, and one result in the end."""

    def next_call(self) -> Call[Read] | None:
        """What to send now; None at the end."""
        ...

    def take(self, answer: Read) -> None:
        """The answer to the last call."""
        ...

    def result(self) -> Result_co:
        """What the caller gets, once there is no further call."""
        ...


class Stream(Protocol[Read, Result_co]):
    """Several calls, whose answers hold what the caller gets one by one, as it comes."""

    def next_call(self) -> Call[Read] | None:
        """What to send now; None at the end."""
        ...

    def take(self, answer: Read) -> Iterable[Result_co]:
        """What was in the answer to the last call."""
        ...


def problem_of(response: httpx.Response) -> ProblemError:
    """The problem in an answer that is not a success; a proxy's HTML page becomes one too."""
    document: Any = None
    if "json" in response.headers.get("content-type", ""):
        try:
            document = response.json()
        except json.JSONDecodeError:
            document = None
    if not isinstance(document, dict):
        document = {}
    return ProblemError(
        response.status_code,
        str(document.get("title") or response.reason_phrase or "Problem"),
        str(document.get("detail") or ""),
        type=str(document.get("type") or "about:blank"),
        request_id=document.get("request_id") or response.headers.get("x-request-id"),
        document=document,
    )


def reader(kind: type[T]) -> Callable[[httpx.Response], T]:
    """Read an answer's JSON as a pydantic model."""
    model = cast(type[BaseModel], kind)
    return lambda response: cast(T, model.model_validate_json(response.content))


def nothing(_: httpx.Response) -> None:
    """An answer whose arriving is all that counts."""


def gallery_path(name: str, *rest: str) -> str:
    """Path of a gallery, or of something in it.

    Raises:
        NotInUrl: a name is empty, or means another place.
    """
    for part in (name, *rest):
        if part in ("", ".", ".."):  # quoting does not help: on the way, people/.. becomes the gallery itself
            raise NotInUrl(f"no gallery, person or picture can have the name {part!r}: no URL can carry it")
    return "/".join(["/v1/galleries", quote(name, safe=""), *(quote(part, safe="") for part in rest)])
