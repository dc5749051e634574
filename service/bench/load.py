"""`penumbra bench load`: how many pictures a second a running service takes, beside its bare model.

Clients ask without pause, each for the next picture as soon as the last is answered. Before and after them,
in the same run, the bundle alone: pictures already decoded, in batches of 32, in an ONNX Runtime session as
anybody would open it, on as many threads. The ratio of the two says what HTTP, decoding, the queue and the
answer cost; the figures themselves say as much of the machine as of the service.

The feature cache would make an embedding of a picture that came before cost nothing. So no two pictures
sent are alike: each is one of the drawn JPEGs with a number of its own in a comment.
"""

from __future__ import annotations

import asyncio
import ipaddress
import secrets
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Final, Literal

import httpx
import numpy as np
import onnxruntime
from PIL import Image

from models.bundle import EMBEDDINGS, IMAGES, OCCLUSION, SOURCE, Bundle, read_bundle
from service.bench import wrk
from service.bench.accuracy import BenchError
from service.client import AsyncClient, Client, NewPicture, ProblemError, Retries
from service.embedding.decode import decode
from service.embedding.engine import Engine
from service.settings import Provider

__all__ = ["Generator", "Load", "measure_load", "on_loopback"]

What = Literal["embed", "query"]
Generator = Literal["auto", "wrk", "python"]

_BARE_SECONDS: Final = 2.0
_GALLERY: Final = 64
_BATCH: Final = 32


@dataclass(frozen=True, slots=True)
class Load:
    """What was measured.

    Attributes:
        model: the bundle's name.
        call: ``embed`` or ``query``.
        generator: ``wrk`` or ``python``: what asked.
        concurrency: clients.
        requests, refused: answered, and turned away with 429, 503 or 504 (wrk: with whatever status).
        seconds: from the first request to the last answer.
        p50_ms, p95_ms, p99_ms, slowest_ms: latency of the answered, milliseconds.
        above_ms: of queries, the median of what their latency is above the time that they were in the model,
            milliseconds; None where that is not known.
        bare: pictures a second of the bundle alone, the mean of before and after the load; None where there
            was no bundle file to run.
        bare_one_ms: milliseconds of the bundle alone for one picture, the median; None likewise.
    """

    model: str
    call: What
    generator: Literal["wrk", "python"]
    concurrency: int
    requests: int
    refused: int
    seconds: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    slowest_ms: float
    above_ms: float | None
    bare: float | None
    bare_one_ms: float | None

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
    generator: Generator = "auto",
    concurrency: int,
    seconds: float,
    most: int | None,
    bundle: Path | None,
    provider: Provider,
    threads: int,
) -> Load:
    """Ask the service until the time is over or enough was asked; run the bare model before and after.

    Args:
        url: the service.
        call: what is asked.
        generator: what asks; ``auto``: wrk, where it is installed and can (it cannot count what it asks, and
            knows no queries), else this process.
        concurrency: clients at a time.
        seconds: no request begins later than this after the first.
        most: requests at most; None: as many as the time allows.
        bundle: the file that the service serves, for the bare session; None leaves that out.
        provider, threads: of the bare session.

    Raises:
        BenchError: ``bundle`` is not what the service serves, nothing was answered, or wrk cannot ask this.
        ClientError: the service refused or is gone.
    """
    wrk_can = call == "embed" and most is None
    if generator == "wrk" and not wrk_can:
        raise BenchError("wrk asks for embeddings only, and for a time: take --generator python")
    if generator == "auto":
        generator = "wrk" if wrk_can and wrk.installed() else "python"
    pictures = _drawn()
    read = None if bundle is None else read_bundle(bundle)
    with Client(url) as client:
        facts = client.model()
        if read is not None and read.fingerprint != facts.fingerprint:
            raise BenchError(f"the service at {url} serves {facts.name}, which is not {bundle}")
        before = None if read is None else _bare(read, provider, threads, pictures)
        salt = secrets.randbelow(1 << 16)  # another run's pictures may still be in the feature cache
        if generator == "wrk":
            answered = _ask_by_wrk(url, pictures, salt, concurrency, seconds)
        else:
            answered = _ask_from_here(client, url, call, pictures, salt, concurrency, seconds, most)
    bare, one_ms = None, None
    if read is not None and before is not None:
        after = _bare(read, provider, threads, pictures)
        bare, one_ms = ((first + second) / 2 for first, second in zip(before, after, strict=True))
    return Load(
        facts.name,
        call,
        generator,
        concurrency,
        answered.requests,
        answered.refused,
        answered.seconds,
        *answered.latencies_ms,
        above_ms=answered.above_ms,
        bare=bare,
        bare_one_ms=one_ms,
    )


@dataclass(frozen=True, slots=True)
class _Answered:
    """What became of a load's requests; the latencies are p50, p95, p99 and the slowest."""

    requests: int
    refused: int
    seconds: float
    latencies_ms: tuple[float, float, float, float]
    above_ms: float | None = None


def _ask_by_wrk(
    url: str, pictures: Sequence[bytes], salt: int, concurrency: int, seconds: float
) -> _Answered:
    try:
        run = wrk.run_wrk(
            f"{url.rstrip('/')}/v1/embed", pictures, _numbered, salt, concurrency=concurrency, seconds=seconds
        )
    except wrk.WrkFailed as error:
        raise BenchError(str(error)) from error
    if not run.requests:
        raise BenchError(f"not one of {run.turned_away} requests was answered; ask with fewer clients")
    latencies = (run.p50_ms, run.p95_ms, run.p99_ms, run.slowest_ms)
    return _Answered(run.requests, run.turned_away, run.seconds, latencies)


def _ask_from_here(
    client: Client,
    url: str,
    call: What,
    pictures: Sequence[bytes],
    salt: int,
    concurrency: int,
    seconds: float,
    most: int | None,
) -> _Answered:
    gallery = f"bench-load-{secrets.token_hex(4)}" if call == "query" else None
    if gallery is not None:
        client.create_gallery(gallery)
    try:
        if gallery is not None:
            client.enrol(gallery, [NewPicture(picture, f"{n}") for n, picture in enumerate(pictures)])
        return asyncio.run(_ask(url, gallery, pictures, salt, concurrency, seconds, most))
    finally:
        if gallery is not None:
            client.delete_gallery(gallery)


async def _ask(
    url: str,
    gallery: str | None,
    pictures: Sequence[bytes],
    salt: int,
    concurrency: int,
    seconds: float,
    most: int | None,
) -> _Answered:
    latencies: list[float] = []
    above: list[float] = []
    refused = 0
    begun = 0
    started = time.perf_counter()

    async def one_after_another(client: AsyncClient) -> None:
        nonlocal begun, refused
        while time.perf_counter() - started < seconds and (most is None or begun < most):
            number = begun
            begun += 1
            picture = _numbered(pictures[number % len(pictures)], f"{salt:04x}{number:08x}")
            sent = time.perf_counter()
            try:
                if gallery is None:
                    await client.embed([picture])
                else:
                    answer = await client.query(gallery, [picture])
            except ProblemError as problem:
                if problem.status not in (429, 503, 504):
                    raise
                refused += 1
                await asyncio.sleep(0.01)
            else:
                latencies.append(1000.0 * (time.perf_counter() - sent))
                if gallery is not None:
                    above.append(latencies[-1] - answer.timings["embed"])

    async with AsyncClient(url, retries=Retries(attempts=1)) as client:
        await asyncio.gather(*(one_after_another(client) for _ in range(concurrency)))
    spent = time.perf_counter() - started
    if not latencies:
        raise BenchError(f"not one of {refused} requests was answered; ask with fewer clients")
    p50, p95, p99 = (float(np.percentile(latencies, share)) for share in (50, 95, 99))
    return _Answered(
        len(latencies),
        refused,
        spent,
        (p50, p95, p99, max(latencies)),
        statistics.median(above) if above else None,
    )


def _bare(bundle: Bundle, provider: Provider, threads: int, pictures: Sequence[bytes]) -> tuple[float, float]:
    """Of the model alone: pictures a second in batches, and milliseconds for a picture by itself."""
    height, width = bundle.metadata.height, bundle.metadata.width
    files = [_numbered(pictures[number % len(pictures)], f"{number:012x}") for number in range(_BATCH)]
    images = np.stack([decode(file, height, width, 1_000_000) for file in files])
    with tempfile.TemporaryDirectory(prefix="penumbra-bench-") as folder:
        providers = Engine(bundle, provider, threads, _BATCH, Path(folder)).providers
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = bundle.session(providers, options)

    def run(count: int, seconds: float) -> list[float]:
        feed = {
            IMAGES: images[:count],
            SOURCE: np.arange(count, dtype=np.int64),
            OCCLUSION: np.zeros(count, dtype=np.int64),
        }
        took: list[float] = []
        session.run([EMBEDDINGS], feed)
        while sum(took) < seconds:
            began = time.perf_counter()
            session.run([EMBEDDINGS], feed)
            took.append(time.perf_counter() - began)
        return took

    one, many = run(1, _BARE_SECONDS / 4), run(_BATCH, _BARE_SECONDS)
    return _BATCH * len(many) / sum(many), 1000.0 * statistics.median(one)


def _drawn() -> list[bytes]:
    """JPEGs of 128 by 64 pixels, about 2 kB each as of a detector: people as fields of colour, with noise."""
    files = []
    for number in range(_GALLERY):
        random = np.random.default_rng(number)
        fields = random.integers(70, 246, (8, 4, 3)).repeat(16, 0).repeat(16, 1)
        pixels = (fields + random.integers(-10, 10, fields.shape)).astype(np.uint8)
        file = BytesIO()
        Image.fromarray(pixels).save(file, "JPEG", quality=90)
        files.append(file.getvalue())
    return files


def _numbered(file: bytes, number: str) -> bytes:
    """The JPEG with ``number``, :data:`service.bench.wrk.NUMBER_DIGITS` characters, as its first comment."""
    comment = number.encode()
    return file[:2] + b"\xff\xfe" + (2 + len(comment)).to_bytes(2, "big") + comment + file[2:]
