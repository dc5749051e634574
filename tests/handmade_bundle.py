"""A bundle made by hand: no torch, no training, a few kilobytes, and it really recognises drawn pictures.

It obeys the whole contract of ``models/bundle.py``. Its embedding is the picture's colours, averaged over
a grid of 8 by 4 cells after normalisation and with the hidden rectangle at zero; so two drawings of one
figure agree, and agree also where both are hidden alike. Its grader looks for black: a side whose outer
half is black is graded as half hidden, whose outer quarter is black as a quarter hidden.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from models import occlusion
from models.bundle import (
    ATTENTION,
    EMBEDDINGS,
    GRADES,
    IMAGES,
    METADATA_KEY,
    OCCLUSION,
    SOURCE,
    BundleMetadata,
    Training,
)

OPSET = 17
ROWS, COLUMNS = 8, 4
CELLS = 3 * ROWS * COLUMNS
"""Length of the embedding unless another dimension is asked for."""

_DARK = -1.4
"""Below this in every channel a normalised pixel counts as black: 0.15 of full brightness."""
_COVERED = 0.9
"""From this share of black pixels on, a region counts as black."""
_QUARTER_LOGIT = math.log(5.0)
"""softmax([log 5, 0, 0, 0]) begins with 5/8: between the thresholds of OAMN eq. 8."""
_HALF_LOGIT = math.log(57.0) - _QUARTER_LOGIT
"""Comes on top of the quarter's: softmax([log 57, 0, 0, 0]) begins with 0.95."""


def write_handmade_bundle(
    path: Path,
    *,
    grader: bool = True,
    attention: bool = False,
    height: int = 128,
    width: int = 64,
    dimension: int = CELLS,
) -> Path:
    """Write the bundle to ``path`` and return the path.

    Args:
        grader, attention: whether the optional outputs are there.
        height, width: of ``images``; multiples of 8 and 4.
        dimension: D of ``embeddings``; other than :data:`CELLS`, the cells are projected with a fixed
            random matrix.

    Raises:
        ValueError: the sides are no multiples of the grid.
    """
    if height % ROWS or width % COLUMNS:
        raise ValueError(f"height and width must be multiples of {ROWS} and {COLUMNS}, not {height}x{width}")
    rectangles = [occlusion.rectangle(code, height, width) for code in range(occlusion.COUNT)]
    quarters_then_halves = [1, 3, 5, 7, 2, 4, 6, 8]
    regions = np.zeros((height, width, 8), dtype=np.float32)
    for column, code in enumerate(quarters_then_halves):
        top, left, bottom, right = rectangles[code]
        regions[top:bottom, left:right, column] = 1.0 / ((bottom - top) * (right - left))
    logits = np.concatenate([_QUARTER_LOGIT * np.eye(4), _HALF_LOGIT * np.eye(4)]).astype(np.float32)

    constants: dict[str, np.ndarray] = {
        "full": np.float32(255.0),
        "mean": np.float32(0.5),
        "deviation": np.float32(0.25),
        "masks": occlusion.visibility_masks(height, width)[:, None],
        "tiny": np.float32(1e-12),
    }
    nodes = [
        helper.make_node("Cast", [IMAGES], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["floats", "full"], ["unit"]),
        helper.make_node("Sub", ["unit", "mean"], ["centred"]),
        helper.make_node("Div", ["centred", "deviation"], ["normalised"]),
        helper.make_node("Transpose", ["normalised"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Gather", ["planes", SOURCE], ["chosen"], axis=0),
        helper.make_node("Gather", ["masks", OCCLUSION], ["visible"], axis=0),
        helper.make_node("Mul", ["chosen", "visible"], ["shown"]),
        helper.make_node(
            "AveragePool",
            ["shown"],
            ["cells"],
            kernel_shape=[height // ROWS, width // COLUMNS],
            strides=[height // ROWS, width // COLUMNS],
        ),
        helper.make_node("Flatten", ["cells"], ["flat"], axis=1),
    ]
    features = "flat"
    if dimension != CELLS:
        constants["projection"] = (
            np.random.default_rng(0).standard_normal((CELLS, dimension)).astype(np.float32)
        )
        nodes.append(helper.make_node("MatMul", ["flat", "projection"], ["projected"]))
        features = "projected"
    nodes += [
        helper.make_node("ReduceL2", [features], ["length"], axes=[1], keepdims=1),
        helper.make_node("Max", ["length", "tiny"], ["positive_length"]),
        helper.make_node("Div", [features, "positive_length"], [EMBEDDINGS]),
    ]
    outputs = [helper.make_tensor_value_info(EMBEDDINGS, TensorProto.FLOAT, ["N", dimension])]
    if grader:
        constants |= {
            "dark": np.float32(_DARK),
            "covered": np.float32(_COVERED),
            "regions": regions.reshape(height * width, 8),
            "logits": logits,
        }
        nodes += [
            helper.make_node("ReduceMax", ["shown"], ["brightest"], axes=[1], keepdims=0),
            helper.make_node("Less", ["brightest", "dark"], ["is_dark"]),
            helper.make_node("Cast", ["is_dark"], ["darkness"], to=TensorProto.FLOAT),
            helper.make_node("Flatten", ["darkness"], ["dark_pixels"], axis=1),
            helper.make_node("MatMul", ["dark_pixels", "regions"], ["dark_shares"]),
            helper.make_node("Greater", ["dark_shares", "covered"], ["is_covered"]),
            helper.make_node("Cast", ["is_covered"], ["black"], to=TensorProto.FLOAT),
            helper.make_node("MatMul", ["black", "logits"], ["place_logits"]),
            helper.make_node("Softmax", ["place_logits"], [GRADES], axis=1),
        ]
        outputs.append(helper.make_tensor_value_info(GRADES, TensorProto.FLOAT, ["N", 4]))
    if attention:
        nodes += [
            helper.make_node("ReduceMean", ["cells"], ["brightness"], axes=[1], keepdims=0),
            helper.make_node("Sigmoid", ["brightness"], [ATTENTION]),
        ]
        outputs.append(helper.make_tensor_value_info(ATTENTION, TensorProto.FLOAT, ["N", ROWS, COLUMNS]))

    graph = helper.make_graph(
        nodes,
        "handmade",
        [
            helper.make_tensor_value_info(IMAGES, TensorProto.UINT8, ["B", height, width, 3]),
            helper.make_tensor_value_info(SOURCE, TensorProto.INT64, ["N"]),
            helper.make_tensor_value_info(OCCLUSION, TensorProto.INT64, ["N"]),
        ],
        outputs,
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)
    metadata = BundleMetadata(
        name="handmade",
        system="handmade",
        backbone="colour grid",
        height=height,
        width=width,
        dimension=dimension,
        has_grader=grader,
        has_attention=attention,
        training=Training(data=[], recipe=""),
        opset=OPSET,
        licence="Apache-2.0",
        terms="For tests.",
    )
    helper.set_model_props(model, {METADATA_KEY: metadata.model_dump_json()})
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
    return path
