"""How a client reaches the service: address, key, patience with an answer."""

from __future__ import annotations

import ipaddress
import os
from typing import Final

import httpx

from service.client.call import problem_of
from service.client.faults import BadAddress, BadKey, ClientError, ServiceUnreachable

__all__ = [
    "DEFAULT_URL",
    "LIMITS",
    "authorization",
    "checked",
    "default_timeout",
    "fault_of",
    "on_this_machine",
]

DEFAULT_URL: Final = "http://127.0.0.1:8321"
"""Where `penumbra serve` listens unless told otherwise."""

LIMITS: Final = httpx.Limits(max_connections=100, max_keepalive_connections=20, keepalive_expiry=2.0)
"""httpx's own, but that an idle connection is used no more well before the service closes it, after 5 s: it
may do so just as the next call is sent, of which nobody would know whether it was carried out."""


def fault_of(base_url: httpx.URL, outcome: httpx.Response | httpx.TransportError) -> ClientError:
    """What is raised, or told of, where no answer came or the service refused."""
    if isinstance(outcome, httpx.Response):
        return problem_of(outcome)
    reason = str(outcome) or type(outcome).__name__
    return ServiceUnreachable(
        f"no answer from {base_url}: {reason}. Is the service running (`penumbra serve`)?"
    )


def checked(url: str) -> str:
    """The address of a service, if it is one.

    Raises:
        BadAddress: ``http://`` is missing, most often.
    """
    try:
        address = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise BadAddress(f"{url!r} is no address of a service: {error}") from error
    if address.scheme not in ("http", "https"):
        missing = url if "://" not in url else url.partition("://")[2]
        raise BadAddress(f"{url!r} is no address of a service without http:// before it: http://{missing}?")
    if not address.host or not 0 < (address.port or 80) < 65536:
        raise BadAddress(f"{url!r} is no address of a service, such as {DEFAULT_URL}")
    return url


def authorization(key: str | None) -> dict[str, str]:
    """The header that carries the key; by default the key in the environment's ``PENUMBRA_KEY``.

    Raises:
        BadKey: no header can carry it, as when a line's end was copied with it.
    """
    key = key or os.environ.get("PENUMBRA_KEY")
    if key and not (key.isascii() and key.isprintable() and " " not in key):
        raise BadKey("the key (PENUMBRA_KEY, unless given) has a blank, a line's end or a letter of no key")
    return {"Authorization": f"Bearer {key}"} if key else {}


def default_timeout() -> httpx.Timeout:
    """Connecting is quick or hopeless; an answer may take as long as the service's own deadline and some."""
    return httpx.Timeout(60.0, connect=5.0)


def on_this_machine(url: str) -> bool:
    """Whether the service is on loopback, which no proxy that the environment names can reach."""
    host = httpx.URL(url).host
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:  # a name
        return host == "localhost"
