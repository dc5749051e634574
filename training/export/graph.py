"""A network inside the bundle's graph (design: "The bundle"), in PyTorch and as ONNX."""

from __future__ import annotations

import io
import warnings
from typing import Final, Protocol, cast

import torch
from torch import nn
from torch.jit import TracerWarning  # type: ignore[attr-defined]  # public, but not in its __all__

from models import bundle
from models.networks.embedded import Embedded
from models.networks.normalisation import hide, normalise

__all__ = ["OPSET", "BundleGraph", "Network", "to_onnx"]

OPSET: Final = 17


class Network(Protocol):
    """What every network in ``models/networks`` offers.

    Attributes:
        height, width: of the pictures, pixels.
        dimension: D.
        has_grader, has_attention: which optional outputs :meth:`embed` gives.
    """

    height: int
    width: int
    dimension: int
    has_grader: bool
    has_attention: bool

    def embed(self, pictures: torch.Tensor) -> Embedded:
        """Embed normalised pictures float [N, 3, H, W]."""
        ...


class BundleGraph(nn.Module):
    """The bundle's graph: normalise, gather the rows asked for, hide each one's rectangle, embed.

    Args:
        network: one that obeys :class:`Network`; it is put into evaluation mode.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        facts = cast(Network, network)
        self.height, self.width, self.dimension = facts.height, facts.width, facts.dimension
        self.has_grader, self.has_attention = facts.has_grader, facts.has_attention
        self.eval()

    @property
    def outputs(self) -> list[str]:
        """Names of what :meth:`forward` gives, in order."""
        optional = ((bundle.GRADES, self.has_grader), (bundle.ATTENTION, self.has_attention))
        return [bundle.EMBEDDINGS, *(name for name, given in optional if given)]

    def forward(
        self, images: torch.Tensor, source: torch.Tensor, occlusion: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        """Map uint8 [B, H, W, 3], int64 [N], int64 [N] to the outputs, float32."""
        normalised = normalise(images.permute(0, 3, 1, 2))
        embedded = cast(Network, self.network).embed(hide(normalised.index_select(0, source), occlusion))
        answers = {
            bundle.EMBEDDINGS: embedded.embeddings,
            bundle.GRADES: embedded.grades,
            bundle.ATTENTION: embedded.attention,
        }
        outputs = []
        for name in self.outputs:
            answer = answers[name]
            if answer is None:
                raise ValueError(f"{type(self.network).__name__} says it gives {name}, but does not")
            outputs.append(answer.float())
        return tuple(outputs)


def to_onnx(graph: BundleGraph, opset: int = OPSET) -> bytes:
    """The graph as an ONNX file with dynamic B and N, without metadata.

    Traced by the TorchScript exporter: the networks have no control flow that depends on data, and the
    exporter keeps B and N free also at 1, where ``torch.export`` would specialise. B and N differ while
    tracing, so that no operator can mistake one for the other.
    """
    device = next(graph.parameters()).device
    images = torch.zeros((2, graph.height, graph.width, 3), dtype=torch.uint8, device=device)
    source = torch.tensor([0, 1, 1], device=device)
    occlusion = torch.tensor([0, 4, 7], device=device)
    rows = {0: "N"}
    file = io.BytesIO()
    with warnings.catch_warnings():
        # The exporter is stable but called legacy; H and W are fixed, so traced sizes may be constants.
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", TracerWarning)
        # A GRU's initial state is made from its input's size, so B stays free; the gate tries four sizes.
        warnings.filterwarnings("ignore", "Exporting a model to ONNX with a batch_size other than 1")
        torch.onnx.export(
            graph,
            (images, source, occlusion),
            file,  # type: ignore[arg-type]  # takes a buffer with dynamo=False, though not annotated so
            dynamo=False,
            opset_version=opset,
            input_names=[bundle.IMAGES, bundle.SOURCE, bundle.OCCLUSION],
            output_names=graph.outputs,
            dynamic_axes={
                bundle.IMAGES: {0: "B"},
                bundle.SOURCE: rows,
                bundle.OCCLUSION: rows,
                **dict.fromkeys(graph.outputs, rows),
            },
        )
    return file.getvalue()
