"""Bundles that cost what real ones cost and know nothing: random weights, for measuring speed.

    python -m tests.random_bundle osnet_x0_25 /tmp/light.onnx
    python -m tests.random_bundle resnet18 /tmp/heavy.onnx

Both take pictures of 256 by 128 and give embeddings of 512 numbers. Needs the extra ``training``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import nn
from torchvision.models import resnet18

from models.bundle import BundleMetadata, GateReport, Training
from models.networks.backbones import build_backbone
from models.networks.embedded import Embedded
from training.export.bundle_file import write_bundle
from training.export.graph import OPSET, BundleGraph, to_onnx

BACKBONES = ("resnet18", "osnet_x0_25")
DIMENSION = 512


class RandomNetwork(nn.Module):
    """A backbone, pooled and projected; nothing is learnt.

    Args:
        backbone: one of :data:`BACKBONES`.
    """

    height, width, dimension = 256, 128, DIMENSION
    has_grader = has_attention = False

    def __init__(self, backbone: str) -> None:
        super().__init__()
        features: nn.Module
        if backbone == "resnet18":
            features, channels = nn.Sequential(*list(resnet18().children())[:-2]), 512
        else:
            osnet = build_backbone(backbone)
            features, channels = osnet, osnet.channels[-1]
        self.layers = nn.Sequential(
            features, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, DIMENSION)
        )

    def embed(self, pictures: torch.Tensor) -> Embedded:
        """Unit vectors of normalised pictures float [N, 3, 256, 128]."""
        return Embedded(nn.functional.normalize(self.layers(pictures)))


def write_random_bundle(backbone: str, out: Path) -> Path:
    """Write a bundle of that backbone's cost to ``out``; the same bytes every time.

    Args:
        backbone: one of :data:`BACKBONES`.
    """
    torch.manual_seed(0)
    metadata = BundleMetadata(
        name=f"random-{backbone}",
        system="random",
        backbone=backbone,
        height=RandomNetwork.height,
        width=RandomNetwork.width,
        dimension=DIMENSION,
        has_grader=False,
        has_attention=False,
        training=Training(data=[], recipe="", notes="random weights"),
        gate=GateReport(
            batches=[], max_abs_difference=0, min_cosine=1, same_top10=1, map_difference=0, pictures="none"
        ),
        opset=OPSET,
        licence="Apache-2.0",
        terms="For measuring speed.",
    )
    return write_bundle(to_onnx(BundleGraph(RandomNetwork(backbone))), metadata, out).path


def main() -> None:
    """Write the bundle that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("backbone", choices=BACKBONES)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    print(write_random_bundle(arguments.backbone, arguments.out))


if __name__ == "__main__":
    main()
