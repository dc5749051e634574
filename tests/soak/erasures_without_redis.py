"""People erased while Redis is frozen, stopped, or away until a restart: nothing of them stays in it."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np

from tests.drawings import encoded, person
from tests.servers import RedisServer
from tests.serving import handmade_settings
from tests.soak.watched_load import Serve, in_a_process

__all__ = ["ErasuresWithoutRedis", "erasures_without_redis"]

_PATIENCE_S = 60.0


@dataclass(frozen=True)
class ErasuresWithoutRedis:
    """What became of it.

    Attributes:
        erased: people whose erasure was answered with 204 while Redis was away.
        seen_before: of them, those whose picture's digest and features were in Redis's dump before.
        left: of them, those of whom digest or features are in the dump in the end.
        left_in_catalog: of them, those whose digest is in the catalog's files in the end.
        longest_s: longest from Redis's return until nothing was left, seconds.
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


def erasures_without_redis(folder: Path, rounds: int, serve: Serve = in_a_process) -> ErasuresWithoutRedis:
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
        for turn in range(rounds):
            with serve(settings) as service:
                traces = [_enrol(service.url, 10 * turn + number) for number in range(3)]
                seen_before += _cached(redis, service.url, turn, traces)
                erased += traces
                redis.freeze()
                _erase(service.url, 10 * turn)
                redis.thaw()
                longest = max(longest, _until_gone(redis, traces[:1]))
                redis.stop()
                _erase(service.url, 10 * turn + 1)
                redis.start()
                longest = max(longest, _until_gone(redis, traces[:2]))
                redis.stop()
                _erase(service.url, 10 * turn + 2)
            redis.start()
            with serve(settings):
                longest = max(longest, _until_gone(redis, traces))
        dump = redis.dump()
        files = b"".join(path.read_bytes() for path in settings.data_dir.glob("catalog*"))
        return ErasuresWithoutRedis(
            erased=len(erased),
            seen_before=seen_before,
            left=sum(digest in dump or vector in dump for digest, vector in erased),
            left_in_catalog=sum(digest in files for digest, _ in erased),
            longest_s=round(longest, 2),
        )
    finally:
        redis.stop()


def _enrol(url: str, who: int) -> tuple[bytes, bytes]:
    """What the cache then holds of the person: the picture's digest, and the features as Redis keeps them."""
    content = encoded(person(who))
    with httpx.Client(base_url=url, timeout=60, trust_env=False) as http:
        files = [("files", ("0", content))]
        items = json.dumps([{"person": f"p{who}"}])
        http.post("/v1/galleries/g/images", files=files, data={"items": items}).raise_for_status()
    return hashlib.sha256(content).hexdigest().encode(), _embed(url, content)


def _cached(redis: RedisServer, url: str, turn: int, traces: list[tuple[bytes, bytes]]) -> int:
    """How many of them Redis holds, once it had a while to take them: it may have been away before."""
    until = time.monotonic() + _PATIENCE_S
    while True:
        for number in range(len(traces)):
            _embed(url, encoded(person(10 * turn + number)))
        dump = redis.dump()
        seen = sum(digest in dump and vector in dump for digest, vector in traces)
        if seen == len(traces) or time.monotonic() > until:
            return seen
        time.sleep(0.2)


def _embed(url: str, content: bytes) -> bytes:
    """The whole picture's features, as Redis keeps them."""
    answer = httpx.post(f"{url}/v1/embed", files=[("files", ("0", content))], timeout=60, trust_env=False)
    (embedded,) = answer.raise_for_status().json()["items"]
    return np.array(embedded["embeddings"]["none"], dtype="<f4").tobytes()


def _erase(url: str, who: int) -> None:
    answer = httpx.delete(f"{url}/v1/galleries/g/people/p{who}", timeout=60, trust_env=False)
    assert answer.status_code == 204, answer.text


def _until_gone(redis: RedisServer, traces: list[tuple[bytes, bytes]]) -> float:
    """Seconds until Redis holds none of it, or as long as anybody waits."""
    began = time.monotonic()
    while time.monotonic() < began + _PATIENCE_S:
        dump = redis.dump()
        if not any(digest in dump or vector in dump for digest, vector in traces):
            break
        time.sleep(0.1)
    return time.monotonic() - began
