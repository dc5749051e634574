"""Which caches may still hold features, in either database; and by what a Redis is known."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from service.storage.cache import SharedCache
from service.storage.catalog import Catalog
from service.storage.memory import MemoryCache
from service.storage.redis import RedisCache

NOW = datetime(2026, 1, 2, tzinfo=UTC)
DAY_S = 24 * 3600


@pytest.fixture
def catalog(catalog_url: str) -> Iterator[Catalog]:
    opened = Catalog(catalog_url)
    yield opened
    opened.close()


def test_a_cache_counts_until_what_was_put_there_last_has_expired(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = SharedCache("1" * 64, 2 * DAY_S), SharedCache("2" * 64, DAY_S)

    def at(days: float) -> None:
        monkeypatch.setattr("service.storage.catalog.caches.now", lambda: NOW + timedelta(days=days))

    def elsewhere(present: SharedCache | None) -> list[float]:
        until = catalog.caches.note(present)
        return [] if until is None else [round((until - NOW) / timedelta(days=1))]

    at(0)
    assert elsewhere(None) == []
    assert elsewhere(one) == []
    assert elsewhere(other) == [2]
    assert elsewhere(one) == [1]
    at(0.5)
    assert elsewhere(SharedCache(one.name, 1)) == [1], "it is kept for a shorter time from now on"
    assert elsewhere(None) == [2], "what is there was put to stay longer"
    at(1.5)
    assert elsewhere(one) == []
    at(3)
    assert elsewhere(None) == [round(3.5)]
    at(4)
    assert elsewhere(None) == []
    assert elsewhere(SharedCache(one.name, 10**15)) == []


async def test_a_redis_is_known_by_its_place_and_not_by_who_asks_there() -> None:
    async def known(url: str) -> SharedCache:
        cache = RedisCache(url, 60)
        await cache.close()
        return cache.shared

    place = "example.org:6379/1"
    same = {
        await known(f"redis://{who}{place}{options}")
        for who in ("", ":secret@", "somebody:another@")
        for options in ("", "?password=secret", "?username=somebody&password=another")
    }
    assert len(same) == 1
    assert (await known("redis://example.org:6379/2")) not in same
    assert "secret" not in str(same)
    assert MemoryCache(0).shared is None
