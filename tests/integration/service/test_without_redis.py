"""A start without Redis between two with it: what was erased is in Redis at its return, and then goes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.client import Client, NewPicture
from tests.drawings import encoded, person
from tests.servers import RedisServer
from tests.serving import handmade_settings, serving


@pytest.fixture
def lasting_redis(tmp_path: Path) -> Iterator[RedisServer]:
    """One that has after a stop what it had before."""
    (tmp_path / "redis").mkdir()
    server = RedisServer(tmp_path / "redis", keeps=True)
    server.start()
    yield server
    server.stop()


@pytest.mark.parametrize("erased", ["before", "meanwhile"])
def test_a_start_without_redis_strikes_out_nothing_that_redis_has_to_forget(
    tmp_path: Path, lasting_redis: RedisServer, erased: str
) -> None:
    """One that is only frozen would do what it was asked meanwhile."""
    with_redis = handmade_settings(tmp_path, redis_url=lasting_redis.url)
    without = handmade_settings(tmp_path)
    with lasting_redis.client() as redis:
        with serving(with_redis) as running, Client(running.url) as client:
            client.create_gallery("g")
            client.enrol("g", [NewPicture(encoded(person(who)), f"p{who}") for who in (1, 2)])
            assert len(redis.keys("penumbra:features:*")) == 2
            if erased == "before":
                lasting_redis.stop()
                client.delete_person("g", "p1")
        with serving(without) as running, Client(running.url) as client:
            if erased == "meanwhile":
                client.delete_person("g", "p1")
            forgetting = running.app.state.assembly.galleries._parts.forgetting
            give_up = time.monotonic() + 60
            while forgetting.owed:  # by this process, which has worked its own off
                assert time.monotonic() < give_up
                time.sleep(0.02)
        if erased == "before":
            lasting_redis.start()
        assert len(redis.keys("penumbra:features:*")) == 2
        with serving(with_redis) as running:
            give_up = time.monotonic() + 60
            while len(redis.keys("penumbra:features:*")) > 1:
                assert time.monotonic() < give_up
                time.sleep(0.05)
            erased_catalog = running.app.state.assembly.catalog.erased
            while erased_catalog.noted(1):
                assert time.monotonic() < give_up
                time.sleep(0.05)
