"""The Redis cache against a real Redis that is stopped, wiped, frozen and fed with rubbish."""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import pytest_asyncio
from redis.asyncio import Connection

from service.embedding.features import PictureFeatures
from service.storage.breaker import CircuitBreaker
from service.storage.redis import RedisCache
from tests.cached_features import MODEL, assert_same, digest, features

if TYPE_CHECKING:
    from tests.servers import RedisServer


class Faults:
    count = 0

    def __call__(self) -> None:
        self.count += 1


@pytest.fixture
def faults() -> Faults:
    return Faults()


@pytest_asyncio.fixture
async def cache(redis_server: RedisServer, faults: Faults) -> AsyncIterator[RedisCache]:
    """A cache that waits as long as a machine with other work may take, and soon tries a lost Redis again."""
    made = RedisCache(
        redis_server.url, ttl_s=600, timeout_s=30.0, on_fault=faults, breaker=CircuitBreaker(0.1, 0.1)
    )
    yield made
    await made.close()


async def until_back(cache: RedisCache, probe: PictureFeatures) -> None:
    for _ in range(200):
        await cache.put(MODEL, probe)
        if await cache.get(MODEL, probe.digest) is not None:
            return
        await asyncio.sleep(0.05)
    pytest.fail("the cache is not used again though Redis is back")


async def test_features_come_back_bit_by_bit(cache: RedisCache) -> None:
    for number, graded in ((1, True), (2, False)):
        known = features(number, tuple(range(9)), graded)
        await cache.put(MODEL, known)
        assert_same(await cache.get(MODEL, known.digest), known)
    assert await cache.get("b" * 64, digest(1)) is None
    assert await cache.get(MODEL, digest(3)) is None


async def test_what_the_network_does_not_deliver_is_thrown_away(redis_server: RedisServer) -> None:
    """Else a write from before an erasure could arrive when the network is back, long after both."""
    given_up: list[int] = []

    class Watched(Connection):
        async def disconnect(self, *args: Any, **options: Any) -> None:
            if self._writer is not None:
                made = self._writer.get_extra_info("socket")
                given_up.append(made.getsockopt(socket.SOL_TCP, socket.TCP_USER_TIMEOUT))
            await super().disconnect(*args, **options)

    cache = RedisCache(redis_server.url, ttl_s=600, timeout_s=30.0)
    cache._redis.connection_pool.connection_class = Watched
    await cache.put(MODEL, features(1, (0,)))
    await cache.close()
    assert given_up == [1000]


async def test_a_redis_behind_a_unix_socket_is_used(redis_server: RedisServer) -> None:
    cache = RedisCache(redis_server.socket_url, ttl_s=600, timeout_s=30.0)
    await cache.put(MODEL, features(1, (0,)))
    assert_same(await cache.get(MODEL, digest(1)), features(1, (0,)))
    await cache.close()


async def test_codes_put_by_two_replicas_merge(cache: RedisCache, redis_server: RedisServer) -> None:
    other = RedisCache(redis_server.url, ttl_s=600, timeout_s=30.0)
    await asyncio.gather(cache.put(MODEL, features(1, (0,))), other.put(MODEL, features(1, (4, 8))))
    assert_same(await cache.get(MODEL, digest(1)), features(1, (0, 4, 8)))
    await other.close()


async def test_what_is_cached_expires(redis_server: RedisServer, cache: RedisCache) -> None:
    await cache.put(MODEL, features(1))
    with redis_server.client() as client:
        (key,) = client.keys()
        assert key.decode() == f"penumbra:features:1:{MODEL}:{digest(1)}"
        assert 0 < client.ttl(key) <= 600
        client.pexpire(key, 1)
    await asyncio.sleep(0.05)
    assert await cache.get(MODEL, digest(1)) is None


async def test_lookups_of_the_same_turn_go_in_few_round_trips(
    redis_server: RedisServer, cache: RedisCache
) -> None:
    for number in range(100):
        await cache.put(MODEL, features(number))
    with redis_server.client() as client:
        before = client.info("clients")["connected_clients"]
        found = await asyncio.gather(*(cache.get(MODEL, digest(number)) for number in range(100)))
        assert client.info("clients")["connected_clients"] <= before + 1
    for number, one in enumerate(found):
        assert_same(one, features(number))


async def test_a_stopped_redis_is_a_miss_and_used_again_when_it_is_back(
    redis_server: RedisServer, cache: RedisCache, faults: Faults, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    await cache.put(MODEL, features(1))
    redis_server.stop()
    for _ in range(20):
        assert await cache.get(MODEL, digest(1)) is None
        await cache.put(MODEL, features(1))
    assert faults.count >= 1
    assert [entry.levelname for entry in caplog.records if "Redis" in entry.message] == ["WARNING"]
    redis_server.start()
    await until_back(cache, features(2))
    assert await cache.get(MODEL, digest(1)) is None, "a Redis that starts empty has forgotten"
    assert [entry.levelname for entry in caplog.records if "Redis" in entry.message] == ["WARNING", "INFO"]


async def test_a_redis_that_was_never_there_is_a_miss() -> None:
    cache = RedisCache("redis://127.0.0.1:1/0", ttl_s=600)
    await cache.put(MODEL, features(1))
    assert await cache.get(MODEL, digest(1)) is None
    await cache.close()


async def test_a_wiped_redis_is_a_miss(redis_server: RedisServer, cache: RedisCache) -> None:
    await cache.put(MODEL, features(1))
    with redis_server.client() as client:
        client.flushall()
    assert await cache.get(MODEL, digest(1)) is None
    await cache.put(MODEL, features(1, (4,)))
    assert_same(await cache.get(MODEL, digest(1)), features(1, (4,)))


async def test_a_redis_that_hangs_delays_one_round_and_never_answers_for_another_picture(
    redis_server: RedisServer, faults: Faults
) -> None:
    """Frozen while questions are under way, thawed with their late answers still in the connections."""
    cache = RedisCache(
        redis_server.url, ttl_s=600, timeout_s=0.2, on_fault=faults, breaker=CircuitBreaker(0.3, 0.3)
    )
    known = {number: features(number, (0, 4)) for number in range(40)}
    with redis_server.client() as client:
        await until_back(cache, features(99))
        for one in known.values():
            while await cache.get(MODEL, one.digest) is None:
                await cache.put(MODEL, one)
        assert client.dbsize() == 41
    stop = asyncio.Event()
    hits = 0

    async def ask(seed: int) -> None:
        nonlocal hits
        rng = np.random.default_rng(seed)
        while not stop.is_set():
            number = int(rng.integers(80))  # half of them are unknown
            found = await cache.get(MODEL, digest(number))
            if found is not None:
                assert number in known
                assert_same(found, known[number])
                hits += 1
            await asyncio.sleep(0)

    asking = [asyncio.create_task(ask(seed)) for seed in range(8)]
    for _ in range(3):
        await asyncio.sleep(0.2)
        redis_server.freeze()
        await asyncio.sleep(1.0)
        redis_server.thaw()
    before = hits
    for _ in range(200):
        await asyncio.sleep(0.05)
        if hits > before:
            break
    stop.set()
    await asyncio.gather(*asking)
    assert hits > before, "the cache is not used again"
    assert faults.count >= 1
    await cache.close()


async def test_three_seconds_of_silence_cost_far_less_than_three_seconds(
    redis_server: RedisServer, faults: Faults, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = RedisCache(redis_server.url, ttl_s=600, on_fault=faults, breaker=CircuitBreaker(3600.0))
    await cache.put(MODEL, features(1))
    redis_server.freeze()
    asked, pipeline = 0, cache._redis.pipeline

    def counted(**options: Any) -> Any:
        nonlocal asked
        asked += 1
        return pipeline(**options)

    monkeypatch.setattr(cache._redis, "pipeline", counted)
    for number in range(100):
        assert await cache.get(MODEL, digest(number)) is None
        await cache.put(MODEL, features(number))
    redis_server.thaw()
    assert asked <= 1, "each waits for 0.15 s, and 200 for 30 s"
    assert faults.count <= 1
    await cache.close()


async def test_a_cancelled_caller_harms_nobody(redis_server: RedisServer, cache: RedisCache) -> None:
    for number in range(20):
        await cache.put(MODEL, features(number))
    for _ in range(20):
        gone = [asyncio.create_task(cache.get(MODEL, digest(number))) for number in range(10)]
        gone.append(asyncio.create_task(cache.put(MODEL, features(3))))
        stays = [asyncio.create_task(cache.get(MODEL, digest(number))) for number in range(10, 20)]
        await asyncio.sleep(0)
        for task in gone:
            task.cancel()
        for number, found in enumerate(await asyncio.gather(*stays), 10):
            assert_same(found, features(number))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("grade", b""),
        ("grade", b"\x80\x04pickled"),
        ("grade", b"\x02" + b"\x00" * 60),
        ("0", b"short"),
        ("0", struct.pack("<BBHI", 1, 1, 512, 0) + b"\x00" * 2047),
    ],
)
async def test_damaged_values_are_passed_over(
    redis_server: RedisServer, cache: RedisCache, field: str, value: bytes
) -> None:
    await cache.put(MODEL, features(1, (0, 4)))
    with redis_server.client() as client:
        (key,) = client.keys()
        client.hset(key, field, value)
    found = await cache.get(MODEL, digest(1))
    if field == "grade":
        assert found is None
    else:
        assert_same(found, features(1, (4,)))


async def test_a_flipped_bit_is_noticed(redis_server: RedisServer, cache: RedisCache) -> None:
    await cache.put(MODEL, features(1, (0, 4)))
    with redis_server.client() as client:
        (key,) = client.keys()
        value = bytearray(client.hget(key, "4"))
        value[100] ^= 1
        client.hset(key, "4", bytes(value))
    assert_same(await cache.get(MODEL, digest(1)), features(1, (0,)))


async def test_another_pictures_hash_under_the_key_is_not_believed(
    redis_server: RedisServer, cache: RedisCache
) -> None:
    await cache.put(MODEL, features(1))
    with redis_server.client() as client:
        (key,) = client.keys()
        client.rename(key, key.replace(digest(1).encode(), digest(2).encode()))
    assert await cache.get(MODEL, digest(2)) is None


async def test_a_key_of_another_kind_is_a_miss_for_that_picture_only(
    redis_server: RedisServer, cache: RedisCache
) -> None:
    await cache.put(MODEL, features(1))
    with redis_server.client() as client:
        client.set(f"penumbra:features:1:{MODEL}:{digest(2)}", "text")
    first, second = await asyncio.gather(cache.get(MODEL, digest(1)), cache.get(MODEL, digest(2)))
    assert_same(first, features(1))
    assert second is None


async def test_what_is_forgotten_is_missed_and_a_redis_that_is_gone_is_told(
    cache: RedisCache, redis_server: RedisServer
) -> None:
    for number in (1, 2):
        await cache.put(MODEL, features(number))
    assert await cache.forget(MODEL, [digest(1), digest(99)])
    assert await cache.get(MODEL, digest(1)) is None
    assert_same(await cache.get(MODEL, digest(2)), features(2))
    redis_server.stop()
    assert not await cache.forget(MODEL, [digest(2)])


async def test_forgetting_is_not_certain_while_a_write_from_before_a_fault_may_arrive(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = RedisCache(redis_server.url, ttl_s=600, timeout_s=1.0, breaker=CircuitBreaker(0.1, 0.1))
    await cache.put(MODEL, features(1))
    redis_server.freeze()
    await cache.put(MODEL, features(2))  # given up, and done when Redis goes on
    redis_server.thaw()
    await until_back(cache, features(3))
    monkeypatch.setattr("service.storage.redis._LATE_S", 3600.0)
    assert not await cache.forget(MODEL, [digest(1), digest(2)])
    monkeypatch.setattr("service.storage.redis._LATE_S", 0.0)
    async with asyncio.timeout(60):
        while not await cache.forget(MODEL, [digest(1), digest(2)]):
            await asyncio.sleep(0.05)  # the machine may be as slow as a fault
    for number in (1, 2):
        assert await cache.get(MODEL, digest(number)) is None
    await cache.close()


async def test_a_burst_is_no_outage(cache: RedisCache, faults: Faults, redis_server: RedisServer) -> None:
    """However many ask at once: nothing is missed, and Redis is not left alone for it."""
    known = [features(number) for number in range(300)]
    await asyncio.gather(*(cache.put(MODEL, one) for one in known))

    async def late(number: int) -> PictureFeatures | None:
        for _ in range(number % 7):  # in turns of their own, so that they are round trips of their own
            await asyncio.sleep(0)
        return await cache.get(MODEL, digest(number))

    for one, found in zip(known, await asyncio.gather(*map(late, range(300))), strict=True):
        assert_same(found, one)
    assert faults.count == 0
    with redis_server.client() as client:
        assert client.info("stats")["rejected_connections"] == 0


async def test_forgetting_comes_after_every_write_that_was_begun_before_it(
    cache: RedisCache, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = cache._write

    async def slow(*arguments: Any) -> None:
        await asyncio.sleep(0.1)  # as long as it takes to open a connection, say
        await write(*arguments)

    monkeypatch.setattr(cache, "_write", slow)
    writing = asyncio.create_task(cache.put(MODEL, features(1)))
    await asyncio.sleep(0)
    writing.cancel()  # its caller goes; the write goes on
    assert await cache.forget(MODEL, [digest(1)])
    await asyncio.sleep(0.2)
    with redis_server.client() as client:
        assert client.dbsize() == 0
