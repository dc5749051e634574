"""The engine: the bundle's own answers, on a provider that is named and never guessed."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from models.bundle import Bundle, read_bundle
from service.embedding.engine import Engine, ProviderError
from tests.handmade_bundle import write_handmade_bundle


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return read_bundle(write_handmade_bundle(tmp_path / "handmade.onnx", attention=True))


def engine_on(bundle: Bundle, provider: str, folder: Path) -> Engine:
    return Engine(bundle, provider, threads=1, max_rows=4, cache_folder=folder)  # type: ignore[arg-type]


def test_engine_answers_what_the_bundle_answers(bundle: Bundle, tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 128, 64, 3), dtype=np.uint8)
    source = np.array([2, 0, 0, 1], dtype=np.int64)
    codes = np.array([0, 4, 8, 1], dtype=np.int64)
    expected = bundle.session().run(
        ["embeddings", "grades"], {"images": images, "source": source, "occlusion": codes}
    )
    embeddings, grades = engine_on(bundle, "cpu", tmp_path).run(images, source, codes)
    np.testing.assert_allclose(embeddings, expected[0], atol=1e-6)
    np.testing.assert_allclose(grades, expected[1], atol=1e-6)


def test_lanes_and_batches_alone_answer_the_same_before_and_after_it_is_opened_anew(
    bundle: Bundle, tmp_path: Path
) -> None:
    engine = Engine(bundle, "cpu", threads=2, max_rows=4, cache_folder=tmp_path, lanes=2)
    assert engine.lanes == 2
    engine._wide = engine._session_on("cpu", 2)  # whether it pays depends on the machine
    images = np.random.default_rng(0).integers(0, 256, (2, 128, 64, 3), dtype=np.uint8)
    rows, codes = np.arange(2), np.array([0, 3])
    first, _ = engine.run(images, rows, codes)
    for alone in (False, True):
        engine.reopen()
        engine.warm_up()
        np.testing.assert_allclose(engine.run(images, rows, codes, alone)[0], first, atol=1e-6)


def test_bundle_without_a_grader_answers_no_grades(tmp_path: Path) -> None:
    bundle = read_bundle(write_handmade_bundle(tmp_path / "plain.onnx", grader=False))
    images = np.zeros((1, 128, 64, 3), dtype=np.uint8)
    _, grades = engine_on(bundle, "cpu", tmp_path).run(images, np.array([0]), np.array([0]))
    assert grades is None


def test_provider_is_stated_in_the_log(
    bundle: Bundle, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "service.embedding.engine"):
        engine = engine_on(bundle, "auto", tmp_path)
    assert f"computing on {engine.provider}" in caplog.text


def test_the_first_provider_that_is_installed_and_works_is_taken_and_the_others_named(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """TensorRT is not installed; CUDA is, but without a device ONNX Runtime falls back by itself."""
    tried: list[str] = []
    opening = Engine._session_on

    def without_a_device(engine: Engine, provider: str, threads: int) -> onnxruntime.InferenceSession:
        tried.append(provider)
        return opening(engine, "cpu", threads)

    offered = ["CUDAExecutionProvider", "OpenVINOExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: offered)
    monkeypatch.setattr(Engine, "_session_on", without_a_device)
    with caplog.at_level(logging.INFO, "service.embedding.engine"):
        assert engine_on(bundle, "auto", tmp_path).provider == "cpu"
    assert tried == ["cuda", "openvino", "cpu"]
    for reason in ("tensorrt is not in the installed", "cuda is installed but does not work"):
        assert reason in caplog.text
    with pytest.raises(ProviderError, match="cuda is installed but does not work here"):
        engine_on(bundle, "cuda", tmp_path)


@pytest.mark.skipif(
    "OpenVINOExecutionProvider" in onnxruntime.get_available_providers(), reason="OpenVINO is installed"
)
def test_provider_that_is_not_installed_is_an_error_and_no_fall_back(bundle: Bundle, tmp_path: Path) -> None:
    with pytest.raises(ProviderError, match="openvino is not in the installed"):
        engine_on(bundle, "openvino", tmp_path)
