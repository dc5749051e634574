"""The bundle: one self-describing ONNX file, whichever system made it (design: "The bundle").

Graph inputs::

    images     uint8  [B, H, W, 3]  RGB, resized to H×W by Pillow's bilinear filter
    source     int64  [N]           which row of ``images`` each output row is computed from
    occlusion  int64  [N]           code whose rectangle is set to zero after normalisation

Graph outputs::

    embeddings float32 [N, D]       unit length
    grades     float32 [N, 4]       the grader's scores (only in bundles that have a grader)
    attention  float32 [N, h, w]    the spatial mask, 0 to 1 (only where the network has one)

``metadata_props["penumbra"]`` holds the JSON of :class:`BundleMetadata`. The SHA-256 of the file is the
model's *fingerprint*: every stored feature carries it. No torch here.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
import onnxruntime
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from models import occlusion
from models.calibration import Calibration

__all__ = [
    "ATTENTION",
    "EMBEDDINGS",
    "GRADES",
    "IMAGES",
    "METADATA_KEY",
    "OCCLUSION",
    "SCHEMA_VERSION",
    "SOURCE",
    "Bundle",
    "BundleError",
    "BundleMetadata",
    "Figure",
    "GateReport",
    "Training",
    "fit_picture",
    "read_bundle",
]

METADATA_KEY: Final = "penumbra"
SCHEMA_VERSION: Final = 1

IMAGES: Final = "images"
SOURCE: Final = "source"
OCCLUSION: Final = "occlusion"
EMBEDDINGS: Final = "embeddings"
GRADES: Final = "grades"
ATTENTION: Final = "attention"


class BundleError(ValueError):
    """A file is not a bundle this version can serve. The message says what is wrong with which file."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Training(_Strict):
    """How the weights came to be.

    Attributes:
        data: what was trained on, one entry a data set, with counts.
        recipe: the recipe as TOML text, after inheritance.
        command: the command line.
        machine: processor or GPU in words, no host name.
        duration_s: wall-clock seconds of training.
        revision: git revision of the code, or "unknown".
        notes: what a reader must know, e.g. a schedule cut short.
    """

    data: list[str]
    recipe: str
    command: str = ""
    machine: str = ""
    duration_s: float | None = Field(default=None, ge=0)
    revision: str = "unknown"
    notes: str = ""


class Figure(_Strict):
    """One measured figure with the protocol behind it.

    Attributes:
        protocol: e.g. ``"partial-ilids"`` or ``"market1501-val"``.
        unify: ``"off"`` or ``"auto"``.
        rank1, rank5, rank10, map: percent, 0 to 100.
        queries, gallery: pictures on either side.
    """

    protocol: str
    unify: Literal["off", "auto", "fuse"]
    rank1: float = Field(ge=0, le=100)
    rank5: float = Field(ge=0, le=100)
    rank10: float = Field(ge=0, le=100)
    map: float = Field(ge=0, le=100)
    queries: int = Field(ge=1)
    gallery: int = Field(ge=1)


class GateReport(_Strict):
    """What the export gate found: ONNX Runtime against PyTorch on real pictures.

    Attributes:
        batches: batch sizes compared.
        max_abs_difference: largest absolute difference of unit embeddings over all batches.
        min_cosine: smallest cosine between the two embeddings of one picture.
        same_top10: share of queries with the same top-10 rank list, 0 to 1.
        map_difference: |mAP(ONNX Runtime) - mAP(PyTorch)| in points.
        pictures: how many pictures were compared, and what they are.
    """

    batches: list[int]
    max_abs_difference: float = Field(ge=0)
    min_cosine: float = Field(ge=-1, le=1.000001)
    same_top10: float = Field(ge=0, le=1)
    map_difference: float = Field(ge=0)
    pictures: str


class BundleMetadata(_Strict):
    """The JSON in a bundle's ``metadata_props["penumbra"]``. Unknown keys are errors.

    Attributes:
        schema_version: 1.
        name: e.g. ``"oamn-osnet_x0_5-market1501"``.
        system: which paper's method made it, e.g. ``"oamn"`` or ``"baseline"``.
        backbone: e.g. ``"osnet_x0_5"``.
        height, width: of ``images``, pixels.
        dimension: D of ``embeddings``.
        has_grader, has_attention: which optional outputs the graph has.
        quarter_threshold, half_threshold: OAMN eq. 8.
        calibration: what scores mean, as probabilities and decisions; None until calibrated.
        training: data, recipe, machine.
        figures: measured, each with its protocol.
        gate: the export gate's report.
        opset: ONNX opset of the graph.
        precision: arithmetic of the graph.
        licence: of the weights, SPDX or words.
        terms: terms of use in words, e.g. research data.
    """

    schema_version: Literal[1] = SCHEMA_VERSION
    name: str = Field(min_length=1)
    system: str = Field(min_length=1)
    backbone: str = Field(min_length=1)
    height: int = Field(ge=16)
    width: int = Field(ge=16)
    dimension: int = Field(ge=1)
    has_grader: bool
    has_attention: bool
    quarter_threshold: float = Field(default=occlusion.QUARTER_THRESHOLD, ge=0, le=1)
    half_threshold: float = Field(default=occlusion.HALF_THRESHOLD, ge=0, le=1)
    calibration: Calibration | None = None
    training: Training
    figures: list[Figure] = Field(default_factory=list)
    gate: GateReport | None = None
    opset: int = Field(ge=1)
    precision: Literal["float32", "float16", "int8"] = "float32"
    licence: str
    terms: str


@dataclass(frozen=True, slots=True)
class Bundle:
    """An opened bundle.

    Attributes:
        path: the file.
        content: the file's bytes, read once, so that what is served is what was fingerprinted.
        fingerprint: SHA-256 of the file, 64 hex digits.
        metadata: validated.
    """

    path: Path
    content: bytes
    fingerprint: str
    metadata: BundleMetadata

    def session(
        self,
        providers: list[str] | None = None,
        options: onnxruntime.SessionOptions | None = None,
    ) -> onnxruntime.InferenceSession:
        """An ONNX Runtime session on this bundle; on the CPU unless ``providers`` says otherwise."""
        return onnxruntime.InferenceSession(
            self.content, sess_options=options, providers=providers or ["CPUExecutionProvider"]
        )


def read_bundle(path: Path) -> Bundle:
    """Open a bundle and check it against the contract.

    Raises:
        FileNotFoundError: there is no such file.
        BundleError: the file is no ONNX graph, has no Penumbra metadata, the metadata does not
            validate, or inputs and outputs are not those of the contract.
    """
    content = path.read_bytes()
    try:
        session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime raises its own undocumented types for a bad file
        raise BundleError(f"{path} is not an ONNX file that ONNX Runtime can load: {error}") from error
    text = session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
    if text is None:
        raise BundleError(
            f"{path} has no metadata_props[{METADATA_KEY!r}]: it is an ONNX file, but not a Penumbra bundle. "
            "Bundles are written by `penumbra-train export`."
        )
    try:
        metadata = BundleMetadata.model_validate_json(text)
    except ValidationError as error:
        raise BundleError(f"{path} has metadata that does not validate: {error}") from error
    _check_graph(path, session, metadata)
    return Bundle(path, content, hashlib.sha256(content).hexdigest(), metadata)


def _check_graph(path: Path, session: onnxruntime.InferenceSession, metadata: BundleMetadata) -> None:
    """Hold the graph's inputs and outputs against the contract."""
    inputs = {node.name: (node.type, len(node.shape)) for node in session.get_inputs()}
    wanted_inputs = {
        IMAGES: ("tensor(uint8)", 4),
        SOURCE: ("tensor(int64)", 1),
        OCCLUSION: ("tensor(int64)", 1),
    }
    if inputs != wanted_inputs:
        raise BundleError(f"{path} has inputs {inputs}, expected {wanted_inputs}")
    shape = next(node.shape for node in session.get_inputs() if node.name == IMAGES)
    if list(shape[1:]) != [metadata.height, metadata.width, 3]:
        raise BundleError(
            f"{path} takes pictures {shape[1:]}, but its metadata says "
            f"[{metadata.height}, {metadata.width}, 3]"
        )
    wanted_outputs = {EMBEDDINGS: ("tensor(float)", 2)}
    if metadata.has_grader:
        wanted_outputs[GRADES] = ("tensor(float)", 2)
    if metadata.has_attention:
        wanted_outputs[ATTENTION] = ("tensor(float)", 3)
    outputs = {node.name: (node.type, len(node.shape)) for node in session.get_outputs()}
    if outputs != wanted_outputs:
        raise BundleError(f"{path} has outputs {outputs}, expected {wanted_outputs}")


def fit_picture(picture: Image.Image, height: int, width: int) -> npt.NDArray[np.uint8]:
    """Bring a decoded picture to what ``images`` expects.

    One place for service, evaluation and training, so that all three see the same pixels: convert to
    RGB, resize to height × width by Pillow's bilinear filter (aspect ratio is not kept, as usual in
    re-identification).

    Returns:
        uint8 [height, width, 3], RGB.
    """
    rgb = picture if picture.mode == "RGB" else picture.convert("RGB")
    if rgb.size != (width, height):
        rgb = rgb.resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(rgb, dtype=np.uint8)
