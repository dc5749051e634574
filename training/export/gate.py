"""The gate: nothing is exported unless ONNX Runtime agrees with PyTorch on real pictures (design, §3).

- At 1, 2, 7 and 32 pictures with mixed codes, unit embeddings differ by at most 1e-4 (and grades and
  attention, which the design does not bound, by at most 1e-3).
- At least 99 % of the queries keep the same top-10 rank list.
- mAP differs by at most 0.3 points.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import onnxruntime
import torch

from models import bundle, occlusion
from models.bundle import GateReport
from training.data.records import Protocol
from training.evaluation.checkpoint_features import CheckpointEmbedder
from training.evaluation.features import Advance, BundleEmbedder, session_options
from training.evaluation.ranking import summarise, top
from training.evaluation.unified import Choice, Side, compare, evaluate, read_sides
from training.export.graph import BundleGraph

__all__ = ["BATCHES", "GateError", "check", "compare_batches", "embedder_of"]

BATCHES: Final = (1, 2, 7, 32)
MAX_DIFFERENCE: Final = 1e-4
MAX_OTHER_DIFFERENCE: Final = 1e-3
MIN_SAME_TOP10: Final = 0.99
MAX_MAP_DIFFERENCE: Final = 0.3


class GateError(ValueError):
    """ONNX Runtime and PyTorch do not agree. The message says where and by how much."""


def embedder_of(name: str, graph: BundleGraph, content: bytes) -> BundleEmbedder:
    """The exported graph in ONNX Runtime, before it has metadata."""
    return BundleEmbedder(
        name,
        None,
        graph.height,
        graph.width,
        graph.dimension,
        graph.has_grader,
        (occlusion.QUARTER_THRESHOLD, occlusion.HALF_THRESHOLD),
        onnxruntime.InferenceSession(content, session_options(), providers=["CPUExecutionProvider"]),
    )


def compare_batches(
    graph: BundleGraph, session: onnxruntime.InferenceSession, pixels: npt.NDArray[np.uint8], seed: int = 0
) -> tuple[float, float]:
    """Run both at every batch size of :data:`BATCHES` with mixed codes.

    Each batch asks for all nine codes at least once, and for every picture of the batch at least once.

    Args:
        pixels: uint8 [n, H, W, 3], to draw pictures from, n at least 1.

    Returns:
        Largest absolute difference of unit embeddings, smallest cosine.

    Raises:
        GateError: an output is missing or differs by too much, or an embedding is not of unit length.
    """
    if not len(pixels):
        raise GateError("the gate needs at least one picture")
    generator = np.random.default_rng(seed)
    largest, smallest = 0.0, 1.0
    for batch in BATCHES:
        images = pixels[generator.choice(len(pixels), batch, replace=len(pixels) < batch)]
        rows = max(occlusion.COUNT, 2 * batch)
        source = generator.permutation(np.arange(rows) % batch)
        codes = generator.permutation(np.arange(rows) % occlusion.COUNT)
        with torch.inference_mode():
            inputs = (torch.from_numpy(array) for array in (images, source, codes))
            wanted = [output.numpy() for output in graph(*inputs)]
        feed = {bundle.IMAGES: images, bundle.SOURCE: source, bundle.OCCLUSION: codes}
        given = session.run(graph.outputs, feed)
        for name, theirs, ours in zip(graph.outputs, wanted, given, strict=True):
            if ours.shape != theirs.shape:
                raise GateError(
                    f"at B = {batch}, {name} is {list(ours.shape)}, in PyTorch {list(theirs.shape)}"
                )
            bound = MAX_DIFFERENCE if name == bundle.EMBEDDINGS else MAX_OTHER_DIFFERENCE
            difference = float(np.abs(ours - theirs).max())
            if not difference <= bound:  # also where it is not a number
                raise GateError(
                    f"at B = {batch}, {name} differ from PyTorch by {difference:.3g}, allowed is {bound:g}"
                )
        lengths = np.linalg.norm(given[0], axis=1)
        if not np.allclose(lengths, 1.0, atol=1e-3):
            raise GateError(
                f"at B = {batch}, an embedding has length {lengths[np.abs(lengths - 1).argmax()]:.4f}"
            )
        largest = max(largest, float(np.abs(given[0] - wanted[0]).max()))
        smallest = min(smallest, float((given[0] * wanted[0]).sum(axis=1).min()))
    return largest, smallest


def check(
    graph: BundleGraph, content: bytes, protocol: Protocol, advance: Advance | None = None
) -> GateReport:
    """Hold an exported graph against its network on the pictures of a protocol.

    Args:
        graph: in PyTorch, on the CPU.
        content: the ONNX file.
        protocol: its queries and gallery are the real pictures, and mAP is measured on them.

    Raises:
        GateError: the gate is not passed.
    """
    theirs = CheckpointEmbedder("PyTorch", graph, torch.device("cpu"))
    ours = embedder_of("ONNX Runtime", graph, content)
    query_pixels, gallery_pixels = read_sides(protocol, graph.height, graph.width)
    largest, smallest = compare_batches(graph, ours.session, np.concatenate([query_pixels, gallery_pixels]))

    off = Choice("off")
    lists, maps = [], []
    for embedder in (theirs, ours):
        query, gallery = Side(embedder, query_pixels, advance), Side(embedder, gallery_pixels, advance)
        maps.append(summarise(evaluate(query, gallery, protocol, off)).map)
        lists.append(top(compare(query, gallery, off), 10))
    same = float((lists[0] == lists[1]).all(axis=1).mean())
    difference = abs(maps[0] - maps[1])
    if same < MIN_SAME_TOP10:
        raise GateError(f"only {same:.2%} of the queries keep their top-10 list, wanted {MIN_SAME_TOP10:.0%}")
    if difference > MAX_MAP_DIFFERENCE:
        raise GateError(f"mAP differs by {difference:.2f} points, allowed is {MAX_MAP_DIFFERENCE}")
    return GateReport(
        batches=list(BATCHES),
        max_abs_difference=largest,
        min_cosine=max(min(smallest, 1.0), -1.0),
        same_top10=same,
        map_difference=difference,
        pictures=f"{len(query_pixels)} queries and {len(gallery_pixels)} gallery pictures of {protocol.name}",
    )
