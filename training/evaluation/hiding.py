"""Where and how a rectangle is hidden: other ways than the bundle's own, by editing its graph.

OAMN §3.4 masks "out the occlusion regions" and leaves open where. A bundle sets the normalised picture to
zero, with a sharp edge. Compared with it:

=============  ==================================================================================
picture        the bundle's own
picture, soft  the same with a ramp, an eighth of the side wide, about the rectangle's inner edge
mask           the picture is left alone; the spatial mask m of eq. 1 is zero on the rectangle
mask, soft     the same with the ramp
=============  ==================================================================================

With the mask the features below it have seen what is hidden; only what is above it has not. The grader's
scores are those of the whole picture, as ever.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from onnx import helper, numpy_helper

from models import bundle, occlusion
from training.evaluation.features import BundleEmbedder, session_options

__all__ = ["HIDINGS", "Hiding", "hidden_otherwise", "soft_masks"]

Hiding = Literal["picture", "picture, soft", "mask", "mask, soft"]

HIDINGS: Final[tuple[Hiding, ...]] = ("picture", "picture, soft", "mask", "mask, soft")

_RAMP: Final = 0.125
"""Width of the soft edge, in parts of the picture's height or width."""


def soft_masks(height: int, width: int) -> npt.NDArray[np.float32]:
    """Like ``models.occlusion.visibility_masks``, with a ramp: float32 [9, height, width], 0 to 1."""
    rows = (np.arange(height) + 0.5)[:, None] / height
    columns = (np.arange(width) + 0.5)[None, :] / width
    masks = np.ones((occlusion.COUNT, height, width))
    for kind in occlusion.TYPES[1:]:
        inwards = {"top": rows, "bottom": 1 - rows, "left": columns, "right": 1 - columns}[str(kind.place)]
        masks[kind.code] = np.clip((inwards - kind.area) / _RAMP + 0.5, 0, 1)
    return masks.astype(np.float32)


def hidden_otherwise(path: Path, hiding: Hiding) -> BundleEmbedder:
    """A bundle that hides in another way.

    Raises:
        ValueError: it is to hide at the mask, and has none; or the graph is not one that
            `penumbra-train export` writes.
        FileNotFoundError, BundleError: as for ``BundleEmbedder.open``.
    """
    opened = BundleEmbedder.open(path)
    if hiding == "picture":
        return opened
    model = onnx.load(path)
    masks = soft_masks if hiding.endswith("soft") else occlusion.visibility_masks
    size = opened.height, opened.width
    if hiding.startswith("mask"):
        _set_table(model.graph, np.ones((occlusion.COUNT, *size), np.float32))
        _hide_at_mask(model.graph, masks(*_mask_size(opened)))
    else:
        _set_table(model.graph, masks(*size))
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), session_options(), providers=["CPUExecutionProvider"]
    )
    return replace(opened, name=f"{opened.name}, hiding at the {hiding}", fingerprint=None, session=session)


def _set_table(graph: onnx.GraphProto, table: npt.NDArray[np.float32]) -> None:
    """Put another table of what each code leaves visible into the graph."""
    names = [node.input[0] for node in graph.node if bundle.OCCLUSION in node.input]
    for node in graph.node:
        if node.op_type == "Constant" and list(node.output) == names:
            old = numpy_helper.to_array(node.attribute[0].t)
            node.attribute[0].t.CopyFrom(numpy_helper.from_array(table.reshape(old.shape).astype(old.dtype)))
            return
    for tensor in graph.initializer:
        if [tensor.name] == names:
            old = numpy_helper.to_array(tensor)
            tensor.CopyFrom(numpy_helper.from_array(table.reshape(old.shape).astype(old.dtype), tensor.name))
            return
    raise ValueError("the graph has no table of what each occlusion code hides")


def _hide_at_mask(graph: onnx.GraphProto, table: npt.NDArray[np.float32]) -> None:
    """Multiply the spatial mask by what each code leaves visible, before it meets the features."""
    made_by = {name: node for node in graph.node for name in node.output}
    found = made_by.get(bundle.ATTENTION)
    while found is not None and found.op_type == "Cast":
        found = made_by.get(found.input[0])
    if found is None or found.op_type != "Squeeze":
        raise ValueError("the model has no spatial mask to hide at")
    mask = found.input[0]
    for node in graph.node:
        if node.op_type == "Mul" and mask in node.input:
            node.input[:] = ["hidden_mask" if name == mask else name for name in node.input]
    added = [
        helper.make_node("Gather", ["hiding_table", bundle.OCCLUSION], ["hiding"], axis=0),
        helper.make_node("Mul", [mask, "hiding"], ["hidden_mask"]),
    ]
    place = list(graph.node).index(made_by[mask]) + 1
    nodes = [*graph.node[:place], *added, *graph.node[place:]]
    del graph.node[:]
    graph.node.extend(nodes)
    graph.initializer.append(numpy_helper.from_array(table[:, None], "hiding_table"))


def _mask_size(embedder: BundleEmbedder) -> tuple[int, int]:
    if bundle.ATTENTION not in [node.name for node in embedder.session.get_outputs()]:
        raise ValueError(f"{embedder.name} has no spatial mask to hide at")
    black = np.zeros((1, embedder.height, embedder.width, 3), np.uint8)
    zero = np.zeros(1, np.int64)
    (attention,) = embedder.session.run(
        [bundle.ATTENTION], {bundle.IMAGES: black, bundle.SOURCE: zero, bundle.OCCLUSION: zero}
    )
    return int(attention.shape[1]), int(attention.shape[2])
