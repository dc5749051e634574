"""Redis late, wiped, frozen, stopped and started under load: that costs time at most, never an answer."""

from __future__ import annotations

import random
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx

from service.background import free_port
from tests.late_proxy import LateProxy
from tests.servers import RedisServer
from tests.serving import handmade_settings
from tests.soak.rounds import Count
from tests.soak.watched_load import PATIENCE_S, Serve, WatchedLoad, in_a_process, prepare, right_answers

__all__ = ["RedisFaults", "redis_faults"]

_SLOW_S = 3.0
_DELAYS_S = (0.0, 0.1, 0.2, 0.4)
"""How long a reply is held back, by chance: some are within the service's patience of 0.15 s."""
_LATE_S = 1.5


@dataclass(frozen=True)
class RedisFaults:
    """What became of it.

    Attributes:
        rounds: of late replies, wiping, freezing for 3 s, and stopping and starting.
        requests: answered well, by kind.
        faults: requests that were refused, failed or broken off.
        wrong: answers unlike those of an undisturbed service without Redis.
        amiss: what was acknowledged and is not so at the end.
        late: replies that were held back.
        calm_s, late_s, wiped_s, slowed_s, stopped_s: longest request meanwhile, seconds.
        used_again: rounds after which the cache was hit again without a restart.
        examples: the first of what was amiss, in words.
    """

    rounds: int
    requests: dict[str, int]
    faults: int
    wrong: int
    amiss: int
    late: int
    calm_s: float
    late_s: float
    wiped_s: float
    slowed_s: float
    stopped_s: float
    used_again: int
    examples: list[str]

    @property
    def held(self) -> bool:
        """Whether the promise was kept. That nobody waits for Redis to come back needs no clock: requests of
        every kind are answered while it is frozen, and the phase does not end before."""
        return not (self.faults or self.wrong or self.amiss) and self.used_again == self.rounds


def redis_faults(folder: Path, rounds: int, serve: Serve = in_a_process, count: Count = range) -> RedisFaults:
    """Run the rounds on one service.

    Raises:
        AssertionError: requests were no longer answered.
    """
    folder.mkdir(parents=True, exist_ok=True)
    undisturbed, disturbed = folder / "undisturbed", folder / "disturbed"
    for one in (undisturbed, disturbed, folder / "redis"):
        one.mkdir()
    with serve(handmade_settings(undisturbed)) as service:
        prepare(service.url)
        probes = right_answers(service.url)
    redis = RedisServer(folder / "redis")
    redis.start()
    chance = random.Random(1)
    try:
        with ExitStack() as stack:
            proxy = stack.enter_context(LateProxy(redis.url))
            settings = handmade_settings(disturbed, redis_url=proxy.url, port=free_port())
            service = stack.enter_context(serve(settings))
            prepare(service.url)
            again = 0
            with WatchedLoad(service.url, probes) as load:
                for _ in count(rounds):
                    load.run("calm", at_least=5)
                    held_back = proxy.late
                    proxy.delay = lambda: chance.choice(_DELAYS_S)
                    load.run("late", at_least=5, seconds=_LATE_S)
                    _until_late(proxy, held_back, load)
                    proxy.delay = lambda: 0.0
                    _until_hit(service.url, load)
                    with redis.client() as client:
                        client.flushall()
                    load.run("wiped", at_least=5)
                    redis.freeze()
                    load.run("slowed", at_least=5, seconds=_SLOW_S)
                    redis.thaw()
                    _until_hit(service.url, load)
                    redis.stop()
                    load.run("stopped", at_least=5)
                    redis.start()
                    again += _until_hit(service.url, load)
            amiss = load.check()
            return RedisFaults(
                rounds=rounds,
                requests=dict(load.done),
                faults=len(load.faults),
                wrong=len(load.wrong),
                amiss=len(amiss),
                late=proxy.late,
                calm_s=round(load.longest_s["calm"], 2),
                late_s=round(load.longest_s["late"], 2),
                wiped_s=round(load.longest_s["wiped"], 2),
                slowed_s=round(load.longest_s["slowed"], 2),
                stopped_s=round(load.longest_s["stopped"], 2),
                used_again=again,
                examples=load.examples(amiss),
            )
    finally:
        redis.stop()


def _until_late(proxy: LateProxy, before: int, load: WatchedLoad) -> None:
    """Go on until replies were held back: on a slow machine Redis may have been left alone until now."""
    until = time.monotonic() + PATIENCE_S
    while proxy.late == before and time.monotonic() < until:
        load.run("late", at_least=1)


def _until_hit(url: str, load: WatchedLoad, limit_s: float = PATIENCE_S) -> bool:
    """Go on under load until the cache answers again; whether it did."""
    load.phase = "back"
    before, until = _hits(url), time.monotonic() + limit_s
    while time.monotonic() < until:
        if _hits(url) > before:
            return True
        time.sleep(0.05)
    return False


def _hits(url: str) -> float:
    """Pictures that were found in the feature cache so far."""
    text = httpx.get(f"{url}/metrics", timeout=PATIENCE_S, trust_env=False).text
    (line,) = [
        line for line in text.splitlines() if line.startswith('penumbra_cache_lookups_total{result="hit"}')
    ]
    return float(line.rsplit(" ", 1)[1])
