"""The sockets of a service: bound before anything is loaded, so that a port that is taken is told at once."""

from __future__ import annotations

import errno
import socket
from typing import Any, Final

__all__ = ["bound"]

_NOT_HERE: Final = frozenset({errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT})
"""An address, or all of IPv6, that this machine has not: of ``localhost``'s two one is enough."""


def bound(host: str, port: int) -> list[socket.socket]:
    """Sockets at each of a host's addresses. They do not listen yet: who connects is refused.

    Args:
        host: name or address; empty: all addresses.
        port: 0 for a free one, the same at all of the addresses.

    Raises:
        OSError: the port is taken, or the host is not this machine's.
    """
    sockets: list[socket.socket] = []
    missing: OSError | None = None
    try:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, kind, protocol, _, address in dict.fromkeys(found):
            if port == 0 and sockets:
                address = (address[0], sockets[0].getsockname()[1], *address[2:])
            try:
                sockets.append(_bound(family, kind, protocol, address))
            except OSError as error:
                if error.errno not in _NOT_HERE:
                    raise
                missing = error
        if not sockets:
            raise missing or OSError(errno.EADDRNOTAVAIL, "the host has no address")
    except BaseException:
        for one in sockets:
            one.close()
        raise
    return sockets


def _bound(family: int, kind: int, protocol: int, address: tuple[Any, ...]) -> socket.socket:
    one = socket.socket(family, kind, protocol)
    try:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections of the service before
        if family == socket.AF_INET6:
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)  # IPv4 has a socket of its own
        one.bind(address)
    except BaseException:
        one.close()
        raise
    return one
