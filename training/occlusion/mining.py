"""How sure a trained classifier is of each training picture under each mask position (AOS §3.2, §3.4)."""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnxruntime
import torch
from rich.progress import track
from torch import nn
from torch.jit import TracerWarning  # type: ignore[attr-defined]  # public, but not in its __all__

from models.networks.normalisation import normalise
from training.data.store import PictureStore
from training.export.graph import OPSET
from training.occlusion.sliding import SlidingMask

__all__ = ["Classifier", "classifier_of", "mine", "mined_file", "true_class_logarithms"]

Classifier = Callable[[torch.Tensor], torch.Tensor]
"""From normalised pictures float32 [N, 3, H, W] to logits [N, identities]."""

_PASSES: Final = {"cpu": 64, "cuda": 2048}
"""Pictures in one pass: more do not make it faster, and on a CPU slower."""

_BLOCK: Final = 64
"""Pictures mined between two writes; what an interruption can lose."""


class _Logits(nn.Module):
    """A network that answers with its logits alone."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        output = self.network(pictures)
        return getattr(output, "head", output).logits


def classifier_of(network: nn.Module) -> Classifier:
    """The fastest way to a network's logits in float32 on the device where it stands.

    In float32 whatever the network was trained in: eq. 4 subtracts probabilities near 1 from each other, and
    bfloat16 keeps eight bits of a logit. On a CPU that is the network traced to ONNX, in ONNX Runtime with
    one thread for each of PyTorch's; it takes over the weights as they are, so it must be made anew after
    training.

    Args:
        network: answers with ``logits``, or with a ``head`` that has them; put into evaluation mode.
    """
    logits = _Logits(network).eval()
    first = next(network.parameters())
    if first.device.type != "cpu":

        def through_pytorch(pictures: torch.Tensor) -> torch.Tensor:
            with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
                return logits(pictures.contiguous(memory_format=torch.channels_last))

        return through_pytorch
    facts: Any = network
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(
        _onnx(logits, facts.height, facts.width), options, providers=["CPUExecutionProvider"]
    )

    def through_onnx(pictures: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(session.run(None, {"pictures": pictures.contiguous().numpy()})[0])

    return through_onnx


@torch.inference_mode()
def true_class_logarithms(
    classify: Classifier, pictures: torch.Tensor, identities: torch.Tensor, mask: SlidingMask
) -> torch.Tensor:
    """log p(y | picture) of the true class (AOS eq. 1), for the whole picture and under each mask position.

    The mask sets normalised pixels to zero (§4.2).

    Args:
        classify: a trained model's.
        pictures: uint8 [N, 3, H, W].
        identities: int64 [N].
        mask: of the pictures' size.

    Returns:
        float32 [N, 1 + N_pos], the whole picture first, then the positions row by row.
    """
    device = pictures.device
    covered = mask.covered(mask.corners(torch.arange(mask.positions, device=device)))
    shown = torch.cat((torch.ones_like(covered[:1]), ~covered))[:, None].float()  # [1 + N_pos, 1, H, W]
    normalised = normalise(pictures)
    views = len(shown)
    answers = []
    # All (picture, view) pairs in order, a pass at a time, so that passes are full whatever N_pos is.
    for pairs in torch.arange(len(pictures) * views, device=device).split(_PASSES.get(device.type, 2048)):
        which = torch.div(pairs, views, rounding_mode="floor")
        logits = classify(normalised[which] * shown[pairs % views])
        logarithms = torch.log_softmax(logits.float(), dim=1)
        answers.append(logarithms.gather(1, identities[which, None])[:, 0])
    return torch.cat(answers).view(len(pictures), views)


def mined_file(folder: Path, mask: SlidingMask) -> Path:
    """Where :func:`mine` keeps what it finds: a file for each mask, so that masks can be compared."""
    return folder / f"sensitivity-{mask.side}px-stride-{mask.stride}.npy"


def mine(
    network: nn.Module,
    store: PictureStore,
    mask: SlidingMask,
    folder: Path,
    *,
    quiet: bool = False,
) -> torch.Tensor:
    """:func:`true_class_logarithms` of all training pictures, from the file where it has been mined before.

    What is kept is log p in float16: of a probability near 1, where a trained classifier's lie, the logarithm
    keeps three digits of 1 - p, where the probability itself would keep none. 12,936 pictures of 256 × 128
    take 4 MB. Every 64 pictures are written at once; a mining that was interrupted goes on where it stopped.

    Args:
        network: trained.
        store: the training pictures, on the network's device.
        mask: of the pictures' size.
        folder: see :func:`mined_file`.
        quiet: no progress bar.

    Returns:
        float16 [N, 1 + N_pos], on the CPU.

    Raises:
        ValueError: the network's classifier or the file belongs to other pictures.
    """
    path, shape = mined_file(folder, mask), (len(store.pictures), 1 + mask.positions)
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".unfinished")
        with unfinished.open("wb") as file:
            np.save(file, np.full(shape, np.nan, dtype=np.float16))
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    found = np.lib.format.open_memmap(path, mode="r+")
    if found.shape != shape:
        raise ValueError(f"{path} was mined on other pictures: {found.shape} instead of {shape}")
    blocks = range(0, len(found), _BLOCK)
    missing = [first for first in blocks if np.isnan(found[first : first + _BLOCK]).any()]
    if missing:
        classify = classifier_of(network)
        known = classify(normalise(store.pictures[:1])).shape[1]
        if known != store.people:
            raise ValueError(f"the classifier knows {known} people, the pictures show {store.people}")
        for first in track(missing, f"mine {mask.positions} mask positions", disable=quiet):
            block = slice(first, first + _BLOCK)
            logarithms = true_class_logarithms(classify, store.pictures[block], store.identities[block], mask)
            found[block] = logarithms.cpu().numpy().astype(np.float16)
            found.flush()
    return torch.from_numpy(np.array(found))


def _onnx(logits: nn.Module, height: int, width: int) -> bytes:
    """The network as an ONNX file with a dynamic number of pictures."""
    file = io.BytesIO()
    with warnings.catch_warnings():
        # The exporter is stable but called legacy; H and W are fixed, so traced sizes may be constants.
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", TracerWarning)
        torch.onnx.export(
            logits,
            (torch.zeros(2, 3, height, width),),
            file,  # type: ignore[arg-type]  # takes a buffer with dynamo=False, though not annotated so
            dynamo=False,
            opset_version=OPSET,
            input_names=["pictures"],
            output_names=["logits"],
            dynamic_axes={"pictures": {0: "N"}, "logits": {0: "N"}},
        )
    return file.getvalue()
