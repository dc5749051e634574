"""The feature cache in Redis, shared by services on several catalogs and alive across restarts.

Layout: one hash per model and picture, ``penumbra:features:1:<fingerprint>:<digest>``, expiring as a whole
a fixed time after it was last written. Its fields:

``grade``
    the graded code and, with a grader, the four scores as float32
``0`` … ``8``
    F(x, code), float32 [D]

All numbers are little endian. Every value begins with eight bytes, ``<BBHI``: version (1), what it is (0
grade, 1 vector), number of float32 that follow, CRC-32 of the rest. A vector then has its floats, a grade
the digest (32 bytes), the code (1 byte) and its floats. So a picture takes at most 9 (8 + 4 D) + 57 bytes,
18 KiB at D = 512. Setting fields of a hash merges codes without
reading first. No pickle: what is read from Redis is data, whoever wrote it. A value that does not hold
what it should is passed over.

Redis may vanish, hang or forget at any moment. Every fault is a miss; the first of a row is logged and
opens a circuit breaker, so that a Redis that hangs delays one round of calls by ``timeout_s`` and no more.
Beyond 16 round trips at a time callers wait their turn before their time is counted.
What is to be forgotten meanwhile is not lost: :meth:`RedisCache.forget` says that it was not done, and who
asked (:mod:`service.gallery.forgetting`) asks again.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import math
import socket
import struct
import time
import zlib
from collections.abc import Callable, Collection, Coroutine, Iterable
from typing import Any, Final, TypeVar
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import numpy as np
import numpy.typing as npt
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from models import occlusion
from service.embedding.features import PictureFeatures
from service.storage.breaker import CircuitBreaker
from service.storage.cache import SharedCache

_Value = bytes | bytearray | memoryview | str | int | float
"""What redis-py takes as a field or value."""

_log = logging.getLogger(__name__)

_VERSION: Final = 1
_GRADE: Final = 0
_VECTOR: Final = 1
_HEAD: Final = struct.Struct("<BBHI")
_GRADE_FIELD: Final = b"grade"
_DIGEST_BYTES: Final = 32
_MOST_AT_ONCE: Final = 64  # pictures in one round trip: 64 x 18 KiB at D = 512

_CONNECTIONS: Final = 16
"""Round trips at a time, all on one event loop. A burst of more waits its turn, and is no fault of Redis."""

_MOST_FORGOTTEN: Final = 1000  # keys in one command
_UNACKNOWLEDGED_S: Final = 1.0
"""After so long TCP throws away what it could not deliver, of connections that were given up too."""

_LATE_S: Final = 2 * _UNACKNOWLEDGED_S
"""After a fault, how long a write from before it may still arrive once Redis answers again."""

Result = TypeVar("Result")


class RedisCache:
    """Implements :class:`service.storage.cache.FeatureCache`. For use on one event loop.

    Lookups made in the same turn of the loop go in one round trip.

    Args:
        url: ``redis://[[user]:password@]host[:port][/database]``, also ``rediss://`` and ``unix://``.
        ttl_s: how long features are kept after they were last written, seconds.
        timeout_s: longest that one round of calls may take.
        on_fault: called once per failed round, e.g. to count it.
        breaker: one to watch; None: one of its own.
    """

    def __init__(
        self,
        url: str,
        ttl_s: int,
        timeout_s: float = 0.15,
        on_fault: Callable[[], None] = lambda: None,
        breaker: CircuitBreaker | None = None,
    ) -> None:
        over_tcp: dict[str, Any] = {
            "socket_keepalive": True,
            "socket_keepalive_options": {socket.TCP_USER_TIMEOUT: int(1000 * _UNACKNOWLEDGED_S)},
        }
        self._redis = Redis.from_url(
            url,
            **({} if url.startswith("unix:") else over_tcp),
            decode_responses=False,
            socket_timeout=timeout_s,
            socket_connect_timeout=timeout_s,
            retry=Retry(NoBackoff(), 0),
            max_connections=_CONNECTIONS,
        )
        self.shared: Final = SharedCache(_name_of(url), ttl_s)
        self._ttl_s = ttl_s
        self._timeout_s = timeout_s
        self._on_fault = on_fault
        self._breaker = breaker or CircuitBreaker()
        self._last_fault_at = -math.inf
        self._waiting: list[tuple[str, str, asyncio.Future[PictureFeatures | None]]] = []
        self._tasks: set[asyncio.Task[Any]] = set()
        self._writes: set[asyncio.Task[None]] = set()
        self._turns = asyncio.Semaphore(_CONNECTIONS)

    async def get(self, fingerprint: str, digest: str) -> PictureFeatures | None:
        """See :meth:`FeatureCache.get`."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[PictureFeatures | None] = loop.create_future()
        if not self._waiting:
            loop.call_soon(self._look_up_waiting)
        self._waiting.append((fingerprint, digest, answer))
        return await answer

    async def put(self, fingerprint: str, features: PictureFeatures) -> None:
        """See :meth:`FeatureCache.put`."""
        key = _key(fingerprint, features.digest)
        values: dict[_Value, _Value] = {
            _GRADE_FIELD: _pack_grade(features),
            **{b"%d" % code: _pack(_VECTOR, vector) for code, vector in features.embeddings.items()},
        }
        # its own task: a caller that is cancelled must not leave a connection half read
        write = self._spawn(self._write(key, values))
        self._writes.add(write)
        write.add_done_callback(self._writes.discard)
        await asyncio.shield(write)

    async def forget(self, fingerprint: str, digests: Collection[str]) -> bool:
        """See :meth:`FeatureCache.forget`."""
        keys = [_key(fingerprint, digest) for digest in digests]
        if self._writes:  # on another connection, one of them could arrive after this
            await asyncio.wait(set(self._writes))
        for start in range(0, len(keys), _MOST_FORGOTTEN):
            if not await asyncio.shield(self._spawn(self._delete(keys[start : start + _MOST_FORGOTTEN]))):
                return False
        # A write that was given up lies in its connection, and Redis does it when it comes to itself.
        return time.monotonic() - self._last_fault_at > _LATE_S

    async def close(self) -> None:
        """See :meth:`FeatureCache.close`. Waits for what is under way."""
        while self._tasks:
            await asyncio.gather(*self._tasks)
        await self._redis.aclose()

    def _look_up_waiting(self) -> None:
        waiting, self._waiting = self._waiting, []
        for start in range(0, len(waiting), _MOST_AT_ONCE):
            self._spawn(self._look_up(waiting[start : start + _MOST_AT_ONCE]))

    def _spawn(self, work: Coroutine[None, None, Result]) -> asyncio.Task[Result]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _look_up(self, asked: list[tuple[str, str, asyncio.Future[PictureFeatures | None]]]) -> None:
        found: list[PictureFeatures | None] = [None] * len(asked)
        try:
            async with self._turns:
                if self._breaker.allows():
                    found = await self._read([(fingerprint, digest) for fingerprint, digest, _ in asked])
        finally:
            for (_, _, answer), features in zip(asked, found, strict=True):
                if not answer.done():  # its caller may have been cancelled
                    answer.set_result(features)

    async def _read(self, keys: list[tuple[str, str]]) -> list[PictureFeatures | None]:
        """One round trip; a miss for every key if it fails."""
        try:
            async with asyncio.timeout(self._timeout_s):
                async with self._redis.pipeline(transaction=False) as pipeline:
                    for fingerprint, digest in keys:
                        pipeline.hgetall(_key(fingerprint, digest))
                    replies = await pipeline.execute(raise_on_error=False)
        except (RedisError, OSError, TimeoutError) as fault:
            await self._fault(fault)
            return [None] * len(keys)
        self._fine()
        return [_unpack(digest, reply) for (_, digest), reply in zip(keys, replies, strict=True)]

    async def _write(self, key: str, values: dict[_Value, _Value]) -> None:
        async with self._turns:
            if not self._breaker.allows():
                return
            try:
                async with asyncio.timeout(self._timeout_s):
                    async with self._redis.pipeline(transaction=True) as pipeline:
                        pipeline.hset(key, mapping=values)
                        pipeline.expire(key, self._ttl_s)
                        await pipeline.execute()
            except (RedisError, OSError, TimeoutError) as fault:
                await self._fault(fault)
            else:
                self._fine()

    async def _delete(self, keys: list[str]) -> bool:
        async with self._turns:
            if not self._breaker.allows():
                return False
            try:
                async with asyncio.timeout(self._timeout_s):
                    await self._redis.delete(*keys)
            except (RedisError, OSError, TimeoutError) as fault:
                await self._fault(fault)
                return False
            self._fine()
            return True

    async def _fault(self, fault: Exception) -> None:
        self._on_fault()
        self._last_fault_at = time.monotonic()
        if self._breaker.failed():
            _log.warning("Redis does not answer, going on without the feature cache: %r", fault)
        # a late reply must never be taken for the answer to another question
        await self._redis.connection_pool.disconnect(inuse_connections=False)

    def _fine(self) -> None:
        if self._breaker.succeeded():
            _log.info("Redis answers again, the feature cache is back in use")


def _name_of(url: str) -> str:
    """Which Redis a URL means, whoever asks there: SHA-256 of it without user and password."""
    parts = urlsplit(url)
    options = [(key, value) for key, value in parse_qsl(parts.query) if key not in ("username", "password")]
    place = (parts.scheme, parts.netloc.rpartition("@")[2], parts.path, urlencode(options), "")
    return hashlib.sha256(urlunsplit(place).encode()).hexdigest()


def _key(fingerprint: str, digest: str) -> str:
    return f"penumbra:features:{_VERSION}:{fingerprint}:{digest}"


def _pack(what: int, values: Iterable[float] | npt.NDArray[np.float32], before: bytes = b"") -> bytes:
    floats = np.asarray(values, dtype="<f4")
    rest = before + floats.tobytes()
    return _HEAD.pack(_VERSION, what, floats.size, zlib.crc32(rest)) + rest


def _pack_grade(features: PictureFeatures) -> bytes:
    scores: Iterable[float] = () if features.scores is None else features.scores
    return _pack(_GRADE, scores, bytes.fromhex(features.digest) + bytes([features.occlusion]))


def _unpack(digest: str, reply: object) -> PictureFeatures | None:
    """A hash's fields as features; None where it is empty, foreign, damaged or of another picture."""
    if not isinstance(reply, dict):  # an error reply to this one key
        return None
    grade = _open(_GRADE, reply.get(_GRADE_FIELD), _DIGEST_BYTES + 1)
    if grade is None:
        return None
    named, scores = grade
    code = named[_DIGEST_BYTES]
    if named[:_DIGEST_BYTES].hex() != digest or code >= occlusion.COUNT or len(scores) not in (0, 4):
        return None
    embeddings = {}
    for code_asked in range(occlusion.COUNT):
        vector = _open(_VECTOR, reply.get(b"%d" % code_asked), 0)
        if vector is not None:
            embeddings[code_asked] = vector[1]
    return PictureFeatures(digest, code, scores if len(scores) else None, embeddings)


def _open(what: int, value: object, before: int) -> tuple[bytes, npt.NDArray[np.float32]] | None:
    """A value's leading bytes and floats; None if it is not whole."""
    if not isinstance(value, bytes) or len(value) < _HEAD.size + before:
        return None
    version, kind, count, crc = _HEAD.unpack_from(value)
    rest = value[_HEAD.size :]
    if (version, kind) != (_VERSION, what) or len(rest) != before + 4 * count or zlib.crc32(rest) != crc:
        return None
    return rest[:before], np.frombuffer(rest, dtype="<f4", offset=before)
