"""Every address of a Redis that the settings take can count requests, and none has to be there."""

from __future__ import annotations

import pytest

from service.api.rate_limit import RateLimit
from service.problems import RateLimited


@pytest.mark.parametrize("url", ["redis://127.0.0.1:1", "rediss://127.0.0.1:1", "unix:///nowhere/redis.sock"])
async def test_requests_are_counted_here_where_redis_is_away(url: str) -> None:
    limit = RateLimit("2/minute", url)
    await limit.check("somebody")
    await limit.check("somebody")
    with pytest.raises(RateLimited):
        await limit.check("somebody")
