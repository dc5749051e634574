"""What the client raises."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = [
    "BadAddress",
    "BadKey",
    "ClientError",
    "NotInUrl",
    "ProblemError",
    "ServiceUnreachable",
    "UnexpectedAnswer",
]


class ClientError(Exception):
    """Anything that goes wrong between the caller and the service."""


class ServiceUnreachable(ClientError):
    """No answer came: nothing listens there, the connection broke, or the time was up."""


class UnexpectedAnswer(ClientError):
    """An answer came that no Penumbra service gives; usually something else listens at that address."""


class BadAddress(ClientError, ValueError):
    """The address of the service is none that can be asked; nothing was sent."""


class BadKey(ClientError, ValueError):
    """The key has characters that no key has; nothing was sent."""


class NotInUrl(ClientError, ValueError):
    """A name that no URL can carry was given; nothing was sent."""


class ProblemError(ClientError):
    """The service refused, and says why (RFC 9457).

    Attributes:
        status: HTTP status.
        type: the problem's URI; its last part is stable and made for programs.
        title: the kind of problem.
        detail: this occurrence.
        request_id: under which the service logged it, or None.
        document: the whole problem document, members beyond the standard's included.
    """

    def __init__(
        self,
        status: int,
        title: str,
        detail: str,
        *,
        type: str = "about:blank",
        request_id: str | None = None,
        document: Mapping[str, Any] | None = None,
    ) -> None:
        self.status = status
        self.type = type
        self.title = title
        self.detail = detail
        self.request_id = request_id
        self.document = dict(document or {})
        name = f" (request {request_id})" if request_id else ""
        super().__init__(f"{status} {title}: {detail}{name}" if detail else f"{status} {title}{name}")

    @property
    def slug(self) -> str:
        """Last part of :attr:`type`, e.g. ``"unknown-gallery"``."""
        return self.type.rsplit("/", 1)[-1]
