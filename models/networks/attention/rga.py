"""RGA-S: relation-aware global attention over positions (Zhang et al., "Relation-Aware Global Attention
for Person Re-identification", CVPR 2020, §3.2). OAMN uses it as its mask module.
"""

from __future__ import annotations

import torch
from torch import nn

__all__ = ["SpatialRelationAttention"]


def _conv_bn_relu(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)
    )


class SpatialRelationAttention(nn.Module):
    """A weight for each position, from its relations to all positions and its own appearance.

    With N = h·w positions, the affinity of positions i and j is r_ij = θ(x_i)ᵀ φ(x_j) (RGA eq. 1). A
    position's relation vector stacks its affinities to all others and of all others to it, in raster
    order, embedded to N/8 channels; its own feature is embedded and averaged to one channel (eq. 2); two
    1×1 convolutions and a sigmoid make the weight of that (eq. 3).

    The relation vector's length fixes the size of the feature map, and with it of the pictures.

    Args:
        channels: C of the feature map.
        height, width: h and w of the feature map.
        reduction: channels (s1 in the paper) and hidden width (s2) are divided by this; the paper's is 8.
            At least 8 relation channels and 4 hidden ones are kept: the paper's 16×8 map leaves 16 and 2,
            an 8×4 map would leave 4 and 1, and a single rectified channel can only make a mask with a floor.
    """

    def __init__(self, channels: int, height: int, width: int, reduction: int = 8) -> None:
        super().__init__()
        self.positions = height * width
        inner = max(channels // reduction, 1)
        relations = max(self.positions // reduction, 8)
        self.theta = _conv_bn_relu(channels, inner)
        self.phi = _conv_bn_relu(channels, inner)
        self.appearance = _conv_bn_relu(channels, inner)
        self.relation = _conv_bn_relu(2 * self.positions, relations)
        hidden = max((1 + relations) // reduction, 4)
        self.weigh = nn.Sequential(
            _conv_bn_relu(1 + relations, hidden),
            nn.Conv2d(hidden, 1, 1, bias=False),
            nn.BatchNorm2d(1),
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Map features [N, C, h, w] to a mask [N, 1, h, w], each weight between 0 and 1.

        Raises:
            ValueError: h·w is not what the module was made for.
        """
        height, width = int(features.shape[2]), int(features.shape[3])
        if height * width != self.positions:
            raise ValueError(f"feature map {height}x{width} does not have {self.positions} positions")
        theta = self.theta(features).flatten(2).transpose(1, 2)  # [N, hw, c]
        phi = self.phi(features).flatten(2)  # [N, c, hw]
        affinity = torch.matmul(theta, phi)  # [N, hw, hw], r_ij
        to_others = affinity.transpose(1, 2).unflatten(2, (height, width))  # column i: r_i,:
        from_others = affinity.unflatten(2, (height, width))  # column i: r_:,i
        relation = self.relation(torch.cat((to_others, from_others), dim=1))
        appearance = self.appearance(features).mean(dim=1, keepdim=True)
        return torch.sigmoid(self.weigh(torch.cat((appearance, relation), dim=1)))
