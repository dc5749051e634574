"""The addresses that a host stands for are bound together, or none."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from service.api.listening import bound


def test_all_addresses_of_a_host_have_one_port() -> None:
    for host in ("localhost", ""):
        sockets = bound(host, 0)
        assert len({one.getsockname()[1] for one in sockets}) == 1
        assert len({one.family for one in sockets}) == len(sockets)
        for one in sockets:
            one.listen()
            one.close()


def test_who_connects_before_the_service_listens_is_refused() -> None:
    (one,) = bound("127.0.0.1", 0)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(one.getsockname(), 60)
    one.close()


def test_an_address_that_this_machine_has_not_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def found(*_: Any, **__: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (name, 0)) for name in ("192.0.2.1", "127.0.0.1")]

    monkeypatch.setattr(socket, "getaddrinfo", found)
    (one,) = bound("a.name", 0)
    assert one.getsockname()[0] == "127.0.0.1"
    one.close()
