"""ONNX Runtime reports nothing to its maker: neither an identifier nor a queue of events is written."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import models

_BUNDLE = Path(models.__file__).parent / "weights" / "oamn-osnet_x0_5-market1501.onnx"


@pytest.mark.parametrize(
    "first", ["models.bundle", "service.embedding.engine", "training.evaluation.features"]
)
def test_model_is_loaded_without_a_trace_in_the_home_folder(first: str, tmp_path: Path) -> None:
    # ONNX Runtime is silent in a CI and in its own tests anyhow: what says so is left out.
    silencing = ("CI", "GITHUB_ACTIONS", "TF_BUILD", "XDG_CACHE_HOME")
    inherited = {
        name: value
        for name, value in os.environ.items()
        if name not in silencing and not name.startswith("ORT_")
    }
    program = f"import {first}, onnxruntime; onnxruntime.InferenceSession({str(_BUNDLE)!r})"
    home = tmp_path / "home"
    home.mkdir()
    subprocess.run([sys.executable, "-c", program], env={**inherited, "HOME": str(home)}, check=True)
    assert not list(home.rglob("*onnxruntime*"))
