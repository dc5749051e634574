from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from training.evaluation import benchmark


def test_memory_is_measured_in_a_process_for_each_distance(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    size = ["--queries", "20", "--gallery", "400", "--dimension", "16", "--train", "100"]
    distances = ["--distance", "cosine", "--distance", "xqda"]
    benchmark.main(["--json", "memory", *size, *distances, "--folder", str(tmp_path / "random")])
    answer = json.loads(capsys.readouterr().out)
    assert [found["distance"] for found in answer["found"]] == ["cosine", "xqda"]
    for found in answer["found"]:
        assert (found["queries"], found["gallery"], found["dimension"]) == (20, 400, 16)
        assert 0 < found["beside_mib"] <= found["resident_mib"]
    assert answer["machine"]


def test_reranking_is_measured_beside_the_bare_products(capsys: pytest.CaptureFixture[str]) -> None:
    found = benchmark.measure_reranking(10, 200, 16)
    assert found.seconds > 0
    assert found.ratio == pytest.approx(found.processor_seconds / found.bare_processor_seconds)
    benchmark.main(["rerank", "--queries", "10", "--gallery", "200", "--dimension", "16"])
    assert "10 x 200 x 16" in capsys.readouterr().out


def test_random_features_are_the_same_again(tmp_path: Path) -> None:
    for name in ("one", "other"):
        benchmark.write_random(tmp_path / name, 5, 60, 20, 8)
    one, other = (np.load(tmp_path / name / "gallery.npy") for name in ("one", "other"))
    assert np.array_equal(one, other)
