"""Writing a bundle: the graph, its metadata, and never half a file."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import onnx
from onnx import helper

from models.bundle import METADATA_KEY, Bundle, BundleMetadata, read_bundle

__all__ = ["write_bundle"]


def write_bundle(content: bytes, metadata: BundleMetadata, out: Path) -> Bundle:
    """Put the metadata into an exported graph, write it, and read it back as the service will.

    The file is written beside ``out`` and moved there only after it passed the bundle's own checks.

    Args:
        content: an ONNX file that passed the gate.
        metadata: with the gate's report.

    Raises:
        ValueError: there is no gate report, or (BundleError) metadata and graph contradict each other.
            Nothing is written then.
    """
    if metadata.gate is None:
        raise ValueError("a bundle is not written without the gate's report")
    model = onnx.load_model_from_string(content)
    helper.set_model_props(model, {METADATA_KEY: metadata.model_dump_json()})
    out.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{out.name}.", suffix=".unfinished", dir=out.parent)
    unfinished = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(model.SerializeToString())
            file.flush()
            os.fsync(file.fileno())
        unfinished.chmod(0o644)
        read_bundle(unfinished)
        unfinished.replace(out)
    finally:
        unfinished.unlink(missing_ok=True)
    return read_bundle(out)
