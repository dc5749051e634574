"""Looking into a model: its spatial attention, and its last feature map. torch only for checkpoints.

A bundle gives attention as an output where it has one. Its last feature map is no output: the graph is read
from the embedding backwards to the first pooling over height and width, and what enters that pooling is made
an output of a copy in memory. A checkpoint is brought into the same graph first.

AOS fig. 1 averages Conv4 of ResNet-50, one stage earlier. Here it is the map that the embedding is pooled
from: a bundle of any backbone and system has one, while stages have no names in its graph.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime

from models import bundle, occlusion
from training.evaluation.features import BATCH, Advance, session_options

__all__ = ["Inside", "graph_of", "last_feature_map"]

_POOLING = ("GlobalAveragePool", "GlobalMaxPool", "ReduceMean", "ReduceMax")
_FEATURE_MAP = "feature_map"


def graph_of(path: Path) -> bytes:
    """The bundle's graph, or that into which a checkpoint would be exported."""
    if path.suffix == ".onnx":
        return path.read_bytes()
    from training.export.graph import BundleGraph, to_onnx
    from training.systems.checkpoint import load_network

    return to_onnx(BundleGraph(load_network(path)[0]))


def last_feature_map(graph: onnx.GraphProto) -> str | None:
    """Name of what enters the pooling nearest to the embedding; None where nothing pools over the map."""
    makers = {output: node for node in graph.node for output in node.output}
    waiting, seen = deque([bundle.EMBEDDINGS]), {bundle.EMBEDDINGS}
    while waiting:
        node = makers.get(waiting.popleft())
        if node is None:
            continue
        if node.op_type in _POOLING and _over_the_map(node):
            return str(node.input[0])
        fresh = [name for name in node.input if name not in seen]
        seen.update(fresh)
        waiting.extend(fresh)
    return None


def _over_the_map(node: onnx.NodeProto) -> bool:
    """Whether a pooling is one over height and width of [N, C, h, w]."""
    if node.op_type.startswith("Global"):
        return True
    axes = next((list(entry.ints) for entry in node.attribute if entry.name == "axes"), [])
    return axes in ([2, 3], [-2, -1])


@dataclass(frozen=True, slots=True)
class Inside:
    """A model opened so that one can look in.

    Attributes:
        session: with the outputs named below.
        height, width: of its pictures, pixels.
        has_attention, has_feature_map: what there is to see.
    """

    session: onnxruntime.InferenceSession
    height: int
    width: int
    has_attention: bool
    has_feature_map: bool

    @classmethod
    def open(cls, path: Path) -> Inside:
        """Open a bundle or a checkpoint."""
        model = onnx.load_model_from_string(graph_of(path))
        name = last_feature_map(model.graph)
        if name is not None:
            model.graph.node.append(onnx.helper.make_node("Identity", [name], [_FEATURE_MAP]))
            model.graph.output.append(
                onnx.helper.make_tensor_value_info(_FEATURE_MAP, onnx.TensorProto.FLOAT, None)
            )
        session = onnxruntime.InferenceSession(
            model.SerializeToString(), sess_options=session_options(), providers=["CPUExecutionProvider"]
        )
        height, width = next(node.shape for node in session.get_inputs() if node.name == bundle.IMAGES)[1:3]
        outputs = {node.name for node in session.get_outputs()}
        return cls(session, int(height), int(width), bundle.ATTENTION in outputs, name is not None)

    def attention(
        self, pixels: npt.NDArray[np.uint8], advance: Advance | None = None
    ) -> npt.NDArray[np.float32]:
        """Spatial masks, float32 [n, h, w], 0 to 1, of pictures uint8 [n, H, W, 3]."""
        return np.concatenate(list(self._run(bundle.ATTENTION, pixels, advance)))

    def activation(
        self, pixels: npt.NDArray[np.uint8], advance: Advance | None = None
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """The last feature map over many pictures uint8 [n, H, W, 3], each float64 [h, w].

        Returns:
            The mean magnitude over pictures and channels (AOS fig. 1), and the standard deviation between
            pictures, root mean square over channels: what responds to every picture alike, such as a border,
            is in the first and not in the second.
        """
        maps = self._run(_FEATURE_MAP, pixels, advance)
        first = next(maps)
        parts = itertools.chain([first], maps)
        magnitude, total, squares = (np.zeros(first.shape[1:]) for _ in range(3))
        for part in parts:
            magnitude += np.abs(part).sum(axis=0)
            total += part.sum(axis=0)
            squares += np.square(part, dtype=np.float64).sum(axis=0)
        number = len(pixels)
        variance = np.maximum(squares / number - (total / number) ** 2, 0)
        return magnitude.mean(axis=0) / number, np.sqrt(variance.mean(axis=0))

    def _run(
        self, output: str, pixels: npt.NDArray[np.uint8], advance: Advance | None
    ) -> Iterator[npt.NDArray[np.float32]]:
        for start in range(0, len(pixels), BATCH):
            images = pixels[start : start + BATCH]
            rows = np.arange(len(images), dtype=np.int64)
            codes = np.full(len(images), occlusion.NONE, dtype=np.int64)
            (found,) = self.session.run(
                [output], {bundle.IMAGES: images, bundle.SOURCE: rows, bundle.OCCLUSION: codes}
            )
            yield found
            if advance is not None:
                advance(len(images))
