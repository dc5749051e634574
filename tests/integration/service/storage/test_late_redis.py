"""A Redis that is there and slow: no late reply is taken for the answer to what is asked after it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from service.api.rate_limit import RateLimit
from service.embedding.features import PictureFeatures
from service.problems import RateLimited
from service.storage.breaker import CircuitBreaker
from service.storage.redis import RedisCache
from tests.cached_features import MODEL, assert_same, digest, features
from tests.late_proxy import LateProxy

if TYPE_CHECKING:
    from tests.servers import RedisServer

_TIMEOUT_S = 0.15
_UNTIL_LET_GO = 3600.0


@pytest.fixture
def proxy(redis_server: RedisServer) -> Iterator[LateProxy]:
    with LateProxy(redis_server.url) as made:
        yield made


class Faults:
    count = 0

    def __call__(self) -> None:
        self.count += 1


async def filled(redis: RedisServer, pictures: int) -> dict[int, PictureFeatures]:
    """Fill Redis past the proxy."""
    cache = RedisCache(redis.url, ttl_s=600, timeout_s=30.0)
    known = {number: features(number, (0, 4)) for number in range(pictures)}
    await asyncio.gather(*(cache.put(MODEL, one) for one in known.values()))
    await cache.close()
    return known


async def late_ones_come(proxy: LateProxy) -> None:
    """Return when they are there, or nobody is there for them any more."""
    proxy.let_go()
    async with asyncio.timeout(60):
        while proxy.held:
            await asyncio.sleep(0.01)


async def test_a_late_reply_is_not_the_answer_to_the_next_question(
    redis_server: RedisServer, proxy: LateProxy
) -> None:
    """Asked again at once, on whatever connection there is, while replies to others are on their way."""
    known = await filled(redis_server, 20)
    faults = Faults()
    cache = RedisCache(
        proxy.url, ttl_s=600, timeout_s=_TIMEOUT_S, on_fault=faults, breaker=CircuitBreaker(0.0, 0.0)
    )

    async def right(number: int) -> None:
        """Found in time, and right; where the machine is slow by itself, which is a fault, asked again."""
        for _ in range(50):
            before = faults.count
            found = await cache.get(MODEL, digest(number))
            if faults.count == before:
                assert_same(found, known[number])
                return
        pytest.fail("Redis is always late, though nothing is held back")

    await right(0)
    for turn in range(2):
        for late in (
            [cache.get(MODEL, digest(1))],
            [cache.get(MODEL, digest(number)) for number in range(2, 12)],
            [cache.put(MODEL, known[12])],
        ):
            before = faults.count
            proxy.delay = lambda: _UNTIL_LET_GO
            assert set(await asyncio.gather(*late)) == {None}  # type: ignore[call-overload]
            assert faults.count > before
            proxy.delay = lambda: 0.0
            asking = asyncio.gather(*(right(number) for number in range(13 + turn, 17 + turn)))
            await late_ones_come(proxy)
            await asking
            await right(17 + turn % 3)
    assert proxy.late >= 6
    await cache.close()


async def test_replies_late_now_and_then_under_many_questions_are_misses_and_never_wrong(
    redis_server: RedisServer, proxy: LateProxy
) -> None:
    known = await filled(redis_server, 40)
    faults = Faults()
    cache = RedisCache(proxy.url, ttl_s=600, timeout_s=0.1, on_fault=faults, breaker=CircuitBreaker(0.0, 0.0))
    chance = random.Random(1)
    hits = misses = 0
    ends = asyncio.get_running_loop().time() + 1.0

    async def ask(seed: int) -> None:
        nonlocal hits, misses
        own = random.Random(seed)
        while asyncio.get_running_loop().time() < ends:
            number = own.randrange(80)  # half of them are unknown
            if own.random() < 0.1 and number in known:
                await cache.put(MODEL, known[number])
            found = await cache.get(MODEL, digest(number))
            if found is None:
                misses += 1
            else:
                hits += 1
                assert_same(found, known[number])
            await asyncio.sleep(0)

    proxy.delay = lambda: chance.choice((0.0, 0.0, 0.05, 0.11, 0.2))
    await asyncio.gather(*(ask(seed) for seed in range(16)))
    proxy.delay = lambda: 0.0
    assert faults.count > 0, "nothing was late"
    assert misses > 0
    while await cache.get(MODEL, digest(1)) is None:
        await asyncio.sleep(0.05)
    for number, one in known.items():  # none is left that would be answered by a reply from before
        before = faults.count
        found = await cache.get(MODEL, digest(number))
        if faults.count == before:
            assert_same(found, one)
    await cache.close()


async def test_a_late_count_of_one_caller_refuses_no_other(
    redis_server: RedisServer,
    proxy: LateProxy,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("service.api.rate_limit._SHARED_S", 30.0)
    limit = RateLimit("3/minute", proxy.url)
    limit._breaker = CircuitBreaker(0.0, 0.0)
    for _ in range(3):
        await limit.check("greedy")
    with pytest.raises(RateLimited):
        await limit.check("greedy")
    monkeypatch.setattr("service.api.rate_limit._SHARED_S", _TIMEOUT_S)
    for turn in range(2):
        for _ in range(3):
            proxy.delay = lambda: _UNTIL_LET_GO
            await asyncio.gather(*(limit.check("greedy") for _ in range(2)), return_exceptions=True)
            proxy.delay = lambda: 0.0  # those are refused in Redis, which comes too late
            asking = asyncio.gather(*(limit.check(f"modest {turn} {number}") for number in range(4)))
            await late_ones_come(proxy)
            await asking
            await asyncio.gather(*(limit.check(f"other {turn} {number}") for number in range(4)))
    assert proxy.late >= 4
    told = [record.getMessage() for record in caplog.records if "counted in this process" in record.message]
    assert told
    assert all(message.endswith("TimeoutError()") for message in told), told  # none could not be read
