"""The embedder: what is embedded once is not embedded twice, and limits hold before work is done."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import pytest_asyncio
from PIL import Image

from models.bundle import fit_picture, read_bundle
from service.embedding.batcher import Batcher
from service.embedding.decode import decode
from service.embedding.embedder import BundleEmbedder
from service.embedding.engine import Engine
from service.metrics import Metrics
from service.problems import (
    BrokenPicture,
    DeadlineExceeded,
    EmptyPicture,
    NotAPicture,
    Overloaded,
    PictureTooLarge,
)
from service.storage.memory import MemoryCache
from tests.handmade_bundle import write_handmade_bundle


class HeldEngine(Engine):
    """The real engine, with its rows counted and a handle to hold it."""

    def __init__(self, path: Path) -> None:
        super().__init__(read_bundle(path), "cpu", threads=1, max_rows=8, cache_folder=path.parent)
        self.rows = 0
        self.go = threading.Event()
        self.go.set()

    def run(
        self,
        images: npt.NDArray[np.uint8],
        source: npt.NDArray[np.int64],
        codes: npt.NDArray[np.int64],
        alone: bool = False,
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32] | None]:
        assert self.go.wait(20)
        self.rows += len(codes)
        return super().run(images, source, codes, alone)


class Bench:
    """An embedder on the handmade bundle, with what it stands on."""

    def __init__(
        self, path: Path, *, queue_limit: int = 100, deadline_s: float = 20.0, small_on_loop: bool = False
    ) -> None:
        self.engine = HeldEngine(path)
        self.metrics = Metrics()
        self.batcher = Batcher(self.engine, self.metrics, max_rows=8)
        self.cache = MemoryCache(1_000_000)
        self.embedder = BundleEmbedder(
            self.engine.bundle,
            self.batcher,
            self.cache,
            self.metrics,
            decode_threads=2,
            queue_limit=queue_limit,
            deadline_s=deadline_s,
            max_picture_bytes=100_000,
            max_pixels=1_000_000,
            small_on_loop=small_on_loop,
        )

    async def open(self) -> Bench:
        await self.batcher.start()
        self.engine.rows = 0
        return self

    async def close(self) -> None:
        self.engine.go.set()
        await self.batcher.close()
        self.embedder.close()

    def hits(self, result: str) -> float:
        return self.metrics.registry.get_sample_value("penumbra_cache_lookups_total", {"result": result}) or 0


def drawing(seed: int, *, black_from: int | None = None) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(60, 256, (128, 64, 3), dtype=np.uint8)
    if black_from is not None:
        pixels[black_from:] = 0
    return Image.fromarray(pixels)


def png(picture: Image.Image) -> bytes:
    file = BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


@pytest_asyncio.fixture()
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    made = await Bench(write_handmade_bundle(tmp_path / "handmade.onnx")).open()
    yield made
    await made.close()


async def test_features_are_those_of_the_bare_bundle(bench: Bench) -> None:
    picture = drawing(1, black_from=64)
    features = await bench.embedder.embed(png(picture), [4, 0])
    images = fit_picture(picture, 128, 64)[None]
    source, codes = np.array([0, 0]), np.array([4, 0])
    embeddings, grades = bench.engine.run(images, source, codes)
    assert grades is not None
    np.testing.assert_allclose(features.embeddings[4], embeddings[0], atol=1e-6)
    np.testing.assert_allclose(features.embeddings[0], embeddings[1], atol=1e-6)
    assert features.scores is not None
    np.testing.assert_allclose(features.scores, grades[1], atol=1e-6)
    assert features.occlusion == 4


async def test_grade_is_of_the_whole_picture_though_only_a_hidden_one_is_asked_for(bench: Bench) -> None:
    features = await bench.embedder.embed(png(drawing(1, black_from=64)), [4])
    assert features.occlusion == 4


async def test_what_was_embedded_once_is_not_embedded_again(bench: Bench) -> None:
    content = png(drawing(1))
    first = await bench.embedder.embed(content, [0, 3])
    again = await bench.embedder.embed(content, [3])
    assert bench.engine.rows == 2
    assert bench.hits("hit") == 1
    assert (again.embeddings[3] == first.embeddings[3]).all()
    assert first.times.embed > 0
    assert again.times.embed == 0


async def test_only_missing_codes_are_computed_and_the_answer_holds_all(bench: Bench) -> None:
    content = png(drawing(1, black_from=64))
    await bench.embedder.embed(content, [0])
    features = await bench.embedder.embed(content, [0, 4])
    assert bench.engine.rows == 2
    assert bench.hits("partial") == 1
    assert {0, 4} <= set(features.embeddings)
    assert features.occlusion == 4


async def test_bundle_without_a_grader_grades_nothing_hidden(tmp_path: Path) -> None:
    bench = await Bench(write_handmade_bundle(tmp_path / "plain.onnx", grader=False)).open()
    features = await bench.embedder.embed(png(drawing(1, black_from=64)), [5])
    await bench.close()
    assert (features.occlusion, features.scores) == (0, None)
    assert bench.engine.rows == 1


async def test_picture_beyond_the_queue_limit_is_told_when_to_come_back(tmp_path: Path) -> None:
    bench = await Bench(write_handmade_bundle(tmp_path / "handmade.onnx"), queue_limit=3).open()
    bench.engine.go.clear()
    taken = [asyncio.create_task(bench.embedder.embed(png(drawing(seed)), [0])) for seed in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(Overloaded) as refusal:
        await bench.embedder.embed(png(drawing(9)), [0])
    assert refusal.value.retry_after_s >= 1
    bench.engine.go.set()
    assert len(await asyncio.gather(*taken)) == 3
    assert bench.embedder.in_work == 0
    await bench.close()


async def test_picture_past_its_deadline_is_told_so_and_leaves_the_queue(tmp_path: Path) -> None:
    bench = await Bench(write_handmade_bundle(tmp_path / "handmade.onnx"), deadline_s=0.1).open()
    bench.engine.go.clear()
    with pytest.raises(DeadlineExceeded):
        await bench.embedder.embed(png(drawing(1)), [0])
    assert bench.embedder.in_work == 0
    await bench.close()


async def test_bad_pictures_fail_alone_among_good_ones(bench: Bench) -> None:
    contents = [png(drawing(1)), b"", b"no picture", png(drawing(2)), bytes(100_001)]
    answers = await asyncio.gather(
        *(bench.embedder.embed(content, [0]) for content in contents), return_exceptions=True
    )
    faults = [type(answer) if isinstance(answer, Exception) else None for answer in answers]
    assert faults == [None, EmptyPicture, NotAPicture, None, PictureTooLarge]
    assert (
        bench.metrics.registry.get_sample_value("penumbra_picture_faults_total", {"fault": "not-a-picture"})
        == 1
    )


async def test_what_is_forgotten_while_it_is_embedded_is_kept_nowhere(bench: Bench) -> None:
    content, other = png(drawing(1)), png(drawing(2))
    bench.engine.go.clear()
    asked = [asyncio.create_task(bench.embedder.embed(one, [0, 4])) for one in (content, content, other)]
    while len(bench.embedder._pixels) < 2:
        await asyncio.sleep(0.01)  # all are decoded, and wait for the model
    digest = hashlib.sha256(content).hexdigest()
    assert await bench.embedder.forget([(bench.embedder.fingerprint, digest)])
    bench.engine.go.set()
    answers = await asyncio.gather(*asked)
    assert [sorted(answer.embeddings) for answer in answers] == [[0, 4]] * 3
    kept = {hashlib.sha256(other).hexdigest()}
    assert {known for _, known in bench.cache._entries} == kept
    assert set(bench.embedder._pixels) == kept
    await bench.embedder.embed(content, [0])  # asked about anew, after it was forgotten
    assert digest in {known for _, known in bench.cache._entries}


async def test_what_is_not_to_be_remembered_is_given_to_its_caller_alone(bench: Bench) -> None:
    content = png(drawing(1))
    answer = await bench.embedder.embed(content, [0, 4], remember=False)
    assert sorted(answer.embeddings) == [0, 4]
    assert not bench.embedder._pixels
    assert not bench.cache._entries


async def test_what_is_forgotten_while_it_is_decoded_is_kept_nowhere(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go = threading.Event(), threading.Event()

    def slowly(*arguments: Any) -> npt.NDArray[np.uint8]:
        begun.set()
        assert go.wait(20)
        return decode(*arguments)

    monkeypatch.setattr("service.embedding.embedder.decode", slowly)
    content = png(drawing(1))
    asked = asyncio.create_task(bench.embedder.embed(content, [0]))
    await asyncio.to_thread(begun.wait, 20)
    await bench.embedder.forget([(bench.embedder.fingerprint, hashlib.sha256(content).hexdigest())])
    go.set()
    await asked
    assert not bench.embedder._pixels
    assert not bench.cache._entries


def jpeg(picture: Image.Image, **options: Any) -> bytes:
    file = BytesIO()
    picture.save(file, "JPEG", **options)
    return file.getvalue()


async def test_only_what_cannot_take_long_is_decoded_on_the_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = threading.get_ident()
    decoded: list[bool] = []

    def noted(*arguments: Any) -> npt.NDArray[np.uint8]:
        image = decode(*arguments)
        decoded.append(threading.get_ident() == loop)
        return image

    monkeypatch.setattr("service.embedding.embedder.decode", noted)
    bench = await Bench(write_handmade_bundle(tmp_path / "handmade.onnx"), small_on_loop=True).open()
    small, many_pixels, many_bytes, many_scans, text = (
        jpeg(drawing(1)),
        jpeg(Image.new("RGB", (300, 128), "red")),
        jpeg(drawing(2), quality=95, comment=b"c" * 16 * 1024),
        jpeg(drawing(3), progressive=True),
        png(drawing(4).resize((16, 32))),
    )
    assert all(len(file) <= 16 * 1024 for file in (small, many_pixels, many_scans, text))
    try:
        for file in (small, many_pixels, many_bytes, many_scans, text):
            features = await bench.embedder.embed(file, [0])
            wanted = fit_picture(Image.open(BytesIO(file)), 128, 64)
            np.testing.assert_array_equal(bench.embedder._pixels[features.digest], wanted)
        assert decoded == [True, False, False, False, False]
        with pytest.raises(BrokenPicture):
            await bench.embedder.embed(small[:700], [0])
        with pytest.raises(PictureTooLarge, match="1000000"):
            await bench.embedder.embed(jpeg(Image.new("L", (2000, 1000)), quality=1), [0])
    finally:
        await bench.close()
