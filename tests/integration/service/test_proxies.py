"""Behind a proxy the callers are told apart, and nobody else is believed who says whose call it passes on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.serving import Serving, handmade_settings, serving

CALLER, OTHER = "203.0.113.5", "203.0.113.9"


def asked(service: Serving, *forwarded: str) -> int:
    headers = [("X-Forwarded-For", one) for one in forwarded]
    return httpx.get(f"{service.url}/v1/model", headers=headers).status_code


def test_whoever_is_no_trusted_proxy_cannot_choose_an_address(tmp_path: Path) -> None:
    settings = handmade_settings(
        tmp_path, rate_limit="2/hour", trusted_proxies="192.0.2.1, 2001:db8::/64", allow_anonymous=True
    )
    with serving(settings) as service:
        assert [asked(service, f"203.0.113.{number}") for number in range(3)] == [200, 200, 429]


@pytest.mark.parametrize("proxies", ["127.0.0.1", "10.0.0.0/8,127.0.0.0/8"])
def test_callers_behind_a_trusted_proxy_are_counted_each(tmp_path: Path, proxies: str) -> None:
    settings = handmade_settings(tmp_path, rate_limit="2/hour", trusted_proxies=proxies, allow_anonymous=True)
    with serving(settings) as service:
        assert [asked(service, CALLER) for _ in range(3)] == [200, 200, 429]
        # what the caller sent itself stands before what the proxy added, in the same header or another
        assert asked(service, f"{OTHER}, {CALLER}") == 429
        assert asked(service, "127.0.0.1", CALLER) == 429
        assert asked(service, f"{CALLER}, {OTHER}") == 200


@pytest.fixture(scope="module", params=[{"host": "0.0.0.0"}, {"trusted_proxies": "127.0.0.1"}])
def reachable(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """Without a key, and other machines can reach it; how, the settings say."""
    with serving(handmade_settings(tmp_path_factory.mktemp("service"), **request.param)) as running:
        yield running


@pytest.mark.parametrize("forwarded", [(), ("127.0.0.1",), ("::1",), (CALLER,), ("127.0.0.1", CALLER)])
def test_nobody_is_taken_for_this_machine_by_a_header(reachable: Serving, forwarded: tuple[str, ...]) -> None:
    assert asked(reachable, *forwarded) == 401
