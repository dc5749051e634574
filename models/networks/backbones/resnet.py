"""ResNet-50 (He et al., CVPR 2016): torchvision's, with last stride 1 as is usual in re-identification."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn
from torchvision.models import resnet50

__all__ = ["ResNet50"]


class ResNet50(nn.Module):
    """torchvision's ResNet-50 without its classifier, cut into its four layers.

    The last layer's stride is 1 instead of 2 (Luo et al., "Bag of Tricks", CVPRW 2019), so the last
    feature map of a 256×128 picture is 16×8.

    Example:
        >>> ResNet50()(torch.zeros(1, 3, 256, 128)).shape
        torch.Size([1, 2048, 16, 8])
    """

    channels = (256, 512, 1024, 2048)
    strides = (4, 8, 16, 16)

    def __init__(self) -> None:
        super().__init__()
        network = resnet50(weights=None)
        first = network.layer4[0]
        first.conv2.stride = (1, 1)
        first.downsample[0].stride = (1, 1)
        self.stages = nn.ModuleList(
            (
                nn.Sequential(network.conv1, network.bn1, network.relu, network.maxpool, network.layer1),
                network.layer2,
                network.layer3,
                network.layer4,
            )
        )

    def load_imagenet(self, path: Path) -> None:
        """Load a torchvision ResNet-50 state dict (e.g. ``resnet50-11ad3fa6.pth``) from disk.

        The classifier's weights in the file are passed over; everything else must fit.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: the file is no ResNet-50 state dict.
        """
        weights = torch.load(path, map_location="cpu", weights_only=True)
        reference = resnet50(weights=None)
        try:
            reference.load_state_dict(weights)
        except (RuntimeError, AttributeError, TypeError) as error:
            raise ValueError(f"{path} is not a torchvision ResNet-50 state dict: {error}") from error
        stem = nn.Sequential(
            reference.conv1, reference.bn1, reference.relu, reference.maxpool, reference.layer1
        )
        for own, loaded in zip(
            self.stages, (stem, reference.layer2, reference.layer3, reference.layer4), strict=True
        ):
            own.load_state_dict(loaded.state_dict())

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """Map normalised pictures float [N, 3, H, W] to the last feature map [N, 2048, H/16, W/16]."""
        features = pictures
        for stage in self.stages:
            features = stage(features)
        return features
