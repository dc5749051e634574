"""`penumbra bench load`: how many pictures a second a running service takes, beside its bare model.

Clients ask without pause, each for the next picture as soon as the last is answered. After them, in the
same run and on the same pictures, the bundle alone: pictures already decoded, in the largest batches, in
an ONNX Runtime session with the service's settings. The ratio of the two says what HTTP, decoding, the
queue and the answer cost; the figures themselves say as much of the machine as of the service.

The feature cache would make an embedding of a picture that came before cost nothing. So no two pictures
sent are alike: each is one of the drawn ones with its number written into its last pixels.
"""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
import secrets
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Final, Literal

import httpx
import numpy as np
from PIL import Image

from models.bundle import read_bundle
from service.bench.accuracy import BenchError
from service.client import AsyncClient, Client, NewPicture, ProblemError, Retries
from service.embedding.decode import decode
from service.embedding.engine import Engine
from service.settings import Provider

__all__ = ["Load", "measure_load", "on_loopback"]

What = Literal["embed", "query"]

_BARE_SECONDS: Final = 3.0
_GALLERY: Final = 64
_BATCH: Final = 32


@dataclass(frozen=True, slots=True)
class Load:
    """What was measured.

    Attributes:
        model: the bundle's name.
        call: ``embed`` or ``query``.
        concurrency: clients.
        requests, refused: answered, and turned away with 429, 503 or 504.
        seconds: from the first request to the last answer.
        p50_ms, p95_ms, p99_ms, slowest_ms: latency of the answered, milliseconds.
        bare: the bare session's pictures a second; None where there was no bundle file to run.
    """

    model: str
    call: What
    concurrency: int
    requests: int
    refused: int
    seconds: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    slowest_ms: float
    bare: float | None

    @property
    def rate(self) -> float:
        """Requests, each of one picture, answered a second."""
        return self.requests / self.seconds

    @property
    def ratio(self) -> float | None:
        """Of the bare session's rate, what comes through REST."""
        return None if self.bare is None else self.rate / self.bare


def on_loopback(url: str) -> bool:
    """Whether the service is on this machine: load that somebody else pays for is asked for by name."""
    host = httpx.URL(url).host
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def measure_load(
    url: str,
    call: What,
    *,
    concurrency: int,
    seconds: float,
    most: int | None,
    bundle: Path | None,
    provider: Provider,
    threads: int,
) -> Load:
    """Ask the service until the time is over or enough was asked, then run the bare model.

    Args:
        url: the service.
        call: what is asked.
        concurrency: clients at a time.
        seconds: no request begins later than this after the first.
        most: requests at most; None: as many as the time allows.
        bundle: the file that the service serves, for the bare session; None leaves that out.
        provider, threads: of the bare session.

    Raises:
        BenchError: ``bundle`` is not what the service serves, or nothing was answered.
        ClientError: the service refused or is gone.
    """
    pictures = _drawn()
    with Client(url) as client:
        facts = client.model()
        if bundle is not None and hashlib.sha256(bundle.read_bytes()).hexdigest() != facts.fingerprint:
            raise BenchError(f"the service at {url} serves {facts.name}, which is not {bundle}")
        gallery = f"bench-load-{secrets.token_hex(4)}" if call == "query" else None
        if gallery is not None:
            client.create_gallery(gallery)
        try:
            if gallery is not None:
                client.enrol(gallery, [NewPicture(_numbered(p, -1), f"{n}") for n, p in enumerate(pictures)])
            latencies, refused, spent = asyncio.run(_ask(url, gallery, pictures, concurrency, seconds, most))
        finally:
            if gallery is not None:
                client.delete_gallery(gallery)
    if not latencies:
        raise BenchError(f"not one of {refused} requests was answered; ask with fewer clients")
    p50, p95, p99 = (1000.0 * float(np.percentile(latencies, share)) for share in (50, 95, 99))
    return Load(
        model=facts.name,
        call=call,
        concurrency=concurrency,
        requests=len(latencies),
        refused=refused,
        seconds=spent,
        p50_ms=p50,
        p95_ms=p95,
        p99_ms=p99,
        slowest_ms=1000.0 * max(latencies),
        bare=None if bundle is None else _bare_rate(bundle, provider, threads, pictures),
    )


async def _ask(
    url: str,
    gallery: str | None,
    pictures: Sequence[np.ndarray],
    concurrency: int,
    seconds: float,
    most: int | None,
) -> tuple[list[float], int, float]:
    """Latencies in seconds, requests turned away, and how long it all took."""
    latencies: list[float] = []
    refused = 0
    begun = 0
    salt = secrets.randbelow(1 << 20) << 20  # another run's pictures may still be in the feature cache
    started = time.perf_counter()

    async def one_after_another(client: AsyncClient) -> None:
        nonlocal begun, refused
        while time.perf_counter() - started < seconds and (most is None or begun < most):
            number = begun
            begun += 1
            picture = _numbered(pictures[number % len(pictures)], salt + number)
            sent = time.perf_counter()
            try:
                if gallery is None:
                    await client.embed([picture])
                else:
                    await client.query(gallery, [picture])
            except ProblemError as problem:
                if problem.status not in (429, 503, 504):
                    raise
                refused += 1
                await asyncio.sleep(0.01)
            else:
                latencies.append(time.perf_counter() - sent)

    async with AsyncClient(url, retries=Retries(attempts=1)) as client:
        await asyncio.gather(*(one_after_another(client) for _ in range(concurrency)))
    return latencies, refused, time.perf_counter() - started


def _bare_rate(bundle: Path, provider: Provider, threads: int, pictures: Sequence[np.ndarray]) -> float:
    """Pictures a second of the model alone, for as long as gives a steady figure."""
    read = read_bundle(bundle)
    height, width = read.metadata.height, read.metadata.width
    files = [_numbered(pictures[number % len(pictures)], number) for number in range(_BATCH)]
    images = np.stack([decode(file, height, width, 1_000_000) for file in files])
    rows, codes = np.arange(_BATCH, dtype=np.int64), np.zeros(_BATCH, dtype=np.int64)
    with tempfile.TemporaryDirectory(prefix="penumbra-bench-") as folder:
        engine = Engine(read, provider, threads, _BATCH, Path(folder))
        engine.warm_up()
        began = time.perf_counter()
        done = 0
        while time.perf_counter() - began < _BARE_SECONDS:
            engine.run(images, rows, codes)
            done += _BATCH
        return done / (time.perf_counter() - began)


def _drawn() -> list[np.ndarray]:
    """uint8 [128, 64, 3] each: people as fields of colour."""
    return [
        np.random.default_rng(number).integers(70, 246, (8, 4, 3), np.uint8).repeat(16, 0).repeat(16, 1)
        for number in range(_GALLERY)
    ]


def _numbered(pixels: np.ndarray, number: int) -> bytes:
    """The picture's file, unlike that of every other number: 48 bits of it are its last six pixels' red."""
    own = pixels.copy()
    own[-1, -6:, 0] = [number >> shift & 255 for shift in range(0, 48, 8)]
    file = BytesIO()
    Image.fromarray(own).save(file, "BMP")
    return file.getvalue()
