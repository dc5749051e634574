"""People erased while Redis is frozen, stopped, or away until a restart: nothing of them stays in it."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.drawings import encoded, person
from tests.reading import content_of
from tests.servers import RedisServer
from tests.serving import handmade_settings
from tests.soak.rounds import Count
from tests.soak.watched_load import PATIENCE_S, Serve, in_a_process

__all__ = ["ErasuresWithoutRedis", "erasures_without_redis"]

_HEAD_BYTES = 8  # of a value, see service/storage/redis.py


@dataclass(frozen=True)
class ErasuresWithoutRedis:
    """What became of it.

    Attributes:
        erased: people whose erasure was answered with 204 while Redis was away.
        seen_before: of them, those whose picture's digest and features were in Redis's dump before.
        left: of them, those of whom digest or features are in the dump in the end.
        left_in_catalog: of them, those whose digest is in the catalog's files in the end.
        longest_s: longest from Redis's return until nothing was left in either, seconds.
    """

    erased: int
    seen_before: int
    left: int
    left_in_catalog: int
    longest_s: float

    @property
    def held(self) -> bool:
        """Whether the promise was kept."""
        return self.erased == self.seen_before > 0 and self.left == self.left_in_catalog == 0


def erasures_without_redis(
    folder: Path, rounds: int, serve: Serve = in_a_process, count: Count = range
) -> ErasuresWithoutRedis:
    """Run the rounds, each with three people: frozen, stopped, and back after a restart of the service."""
    (folder / "redis").mkdir(parents=True)
    redis = RedisServer(folder / "redis", keeps=True)
    redis.start()
    settings = handmade_settings(folder, redis_url=redis.url)
    erased: list[tuple[bytes, bytes]] = []
    seen_before, longest = 0, 0.0
    try:
        with serve(settings) as service:
            httpx.post(f"{service.url}/v1/galleries", json={"name": "g"}, trust_env=False).raise_for_status()
        for turn in count(rounds):
            with serve(settings) as service:
                people = range(10 * turn, 10 * turn + 3)
                for who in people:
                    _enrol(service.url, who)
                traces = [_traces(redis, service.url, encoded(person(who))) for who in people]
                dump = redis.dump()
                seen_before += sum(digest in dump and vector in dump for digest, vector in traces)
                erased += traces
                redis.freeze()
                _erase(service.url, 10 * turn)
                redis.thaw()
                longest = max(longest, _until_gone(redis, settings.data_dir, traces[:1]))
                redis.stop()
                _erase(service.url, 10 * turn + 1)
                redis.start()
                longest = max(longest, _until_gone(redis, settings.data_dir, traces[:2]))
                redis.stop()
                _erase(service.url, 10 * turn + 2)
            redis.start()
            with serve(settings):
                longest = max(longest, _until_gone(redis, settings.data_dir, traces))
        dump = redis.dump()
        files = _catalog(settings.data_dir)
        return ErasuresWithoutRedis(
            erased=len(erased),
            seen_before=seen_before,
            left=sum(digest in dump or vector in dump for digest, vector in erased),
            left_in_catalog=sum(digest in files for digest, _ in erased),
            longest_s=round(longest, 2),
        )
    finally:
        redis.stop()


def _enrol(url: str, who: int) -> None:
    answer = httpx.post(
        f"{url}/v1/galleries/g/images",
        files=[("files", ("0", encoded(person(who))))],
        data={"items": json.dumps([{"person": f"p{who}"}])},
        timeout=PATIENCE_S,
        trust_env=False,
    )
    answer.raise_for_status()


def _traces(redis: RedisServer, url: str, content: bytes) -> tuple[bytes, bytes]:
    """A picture's digest, and the features of the whole picture as Redis keeps them.

    Redis may have been away before: the picture is asked about until it is there.

    Raises:
        AssertionError: it never is.
    """
    digest = hashlib.sha256(content).hexdigest()
    until = time.monotonic() + PATIENCE_S
    with redis.client() as client:
        while time.monotonic() < until:
            for key in client.keys(f"*{digest}"):
                value = client.hget(key, "0")
                if value is not None:
                    return digest.encode(), value[_HEAD_BYTES:]
            files = [("files", ("0", content))]
            httpx.post(f"{url}/v1/embed", files=files, timeout=PATIENCE_S, trust_env=False).raise_for_status()
            time.sleep(0.1)
    raise AssertionError("the feature cache is not used")


def _erase(url: str, who: int) -> None:
    answer = httpx.delete(f"{url}/v1/galleries/g/people/p{who}", timeout=PATIENCE_S, trust_env=False)
    assert answer.status_code == 204, answer.text


def _until_gone(redis: RedisServer, data: Path, traces: list[tuple[bytes, bytes]]) -> float:
    """Seconds until neither Redis nor the catalog holds any of it, or as long as anybody waits."""
    began = time.monotonic()
    while time.monotonic() < began + PATIENCE_S:
        dump, files = redis.dump(), _catalog(data)
        if not any(digest in dump or vector in dump or digest in files for digest, vector in traces):
            break
        time.sleep(0.1)
    return time.monotonic() - began


def _catalog(data: Path) -> bytes:
    """All bytes of the catalog's files."""
    return b"".join(content_of(path) for path in data.glob("catalog*"))
