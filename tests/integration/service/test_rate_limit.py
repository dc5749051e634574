"""Counting requests in a real Redis: together while it answers, each process for itself while it does not."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from service.api.rate_limit import RateLimit
from service.problems import RateLimited

if TYPE_CHECKING:
    from tests.servers import RedisServer


async def refused(limit: RateLimit, who: str) -> int:
    with pytest.raises(RateLimited) as caught:
        await limit.check(who)
    return caught.value.retry_after_s


async def test_processes_count_together(redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.api.rate_limit._SHARED_S", 30.0)  # a slow machine is no Redis that is away
    one, other = RateLimit("4/minute", redis_server.url), RateLimit("4/minute", redis_server.url)
    for limit in (one, other, one, other):
        await limit.check("anna")
    for limit in (one, other):
        assert 1 <= await refused(limit, "anna") <= 60
        await limit.check("ben")


async def test_a_redis_that_hangs_or_is_gone_neither_fails_nor_delays_every_request(
    redis_server: RedisServer,
) -> None:
    limit = RateLimit("5/minute", redis_server.url)
    redis_server.freeze()
    began = time.monotonic()
    for _ in range(5):
        await limit.check("anna")
    for _ in range(35):
        assert await refused(limit, "anna") >= 1
    # not a speed limit: 40 calls that each waited would take 20 s
    assert time.monotonic() - began < 15
    redis_server.stop()
    assert await refused(limit, "anna") >= 1
    await limit.check("ben")
