"""Non-local blocks, plain (Wang et al., CVPR 2018) and disentangled (Yin et al., ECCV 2020)."""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn

__all__ = ["AttentionKind", "DisentangledNonLocal", "NonLocal"]

AttentionKind = Literal["disentangled", "non-local", "none"]


class NonLocal(nn.Module):
    """f_i + Σ_j w(f_i, f_j) W^v f_j with w(f_i, f_j) = softmax_j((W^q f_i)ᵀ (W^k f_j)).

    W^v starts at zero, so that a block added to a trained backbone at first changes nothing: what Wang et
    al. reach by a batch normalisation that starts at zero, behind a further linear layer that neither this
    formula nor single-scale's has.

    Args:
        channels: c of the feature map; the three W are c × c.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.query = nn.Conv2d(channels, channels, 1, bias=False)
        self.key = nn.Conv2d(channels, channels, 1, bias=False)
        self.value = nn.Conv2d(channels, channels, 1, bias=False)
        for transform in (self.query, self.key):
            # Small, for the products of c channels are not divided by anything before the softmax.
            nn.init.normal_(transform.weight, std=0.01)
        nn.init.zeros_(self.value.weight)

    def pairwise(self, features: torch.Tensor) -> torch.Tensor:
        """What position i takes from position j: float32 [N, hw, hw], each row sums to one."""
        queries = self.compared(self.query(features).flatten(2))
        keys = self.compared(self.key(features).flatten(2))
        return torch.matmul(queries.transpose(1, 2), keys).float().softmax(dim=2)

    def compared(self, transformed: torch.Tensor) -> torch.Tensor:
        """Queries or keys [N, c, hw] as they enter the product."""
        return transformed

    def activation(self, features: torch.Tensor) -> torch.Tensor:
        """Σ_j w(f_i, f_j) W^v f_j at every position i: [N, c, hw]."""
        values = self.value(features).flatten(2)
        return torch.matmul(values, self.pairwise(features).to(values.dtype).transpose(1, 2))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Map features [N, c, h, w] to the same shape."""
        height, width = int(features.shape[2]), int(features.shape[3])
        return features + self.activation(features).unflatten(2, (height, width))

    def follow(self, _block: nn.Module, _inputs: object, output: torch.Tensor) -> torch.Tensor:
        """A forward hook: what the block before answers, attended to."""
        return self(output)


class DisentangledNonLocal(NonLocal):
    """The same with the weights of single-scale's eq. 1 (Yan et al., ICCV 2021).

        w(f_i, f_j) = softmax_j((W^q f_i - μ_q)ᵀ (W^k f_j - μ_k)) + softmax_j(W^m f_j)

    The first term is whitened, the second is how salient position j is to every other. The means μ_q and
    μ_k are taken over a picture's positions, as in Yin et al. Where the paper's eq. 1 writes W^k f_i, and
    its sum W^v f_i, index j is meant: with i, nothing would pass between positions.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.salience = nn.Conv2d(channels, 1, 1, bias=False)
        nn.init.normal_(self.salience.weight, std=0.01)

    def compared(self, transformed: torch.Tensor) -> torch.Tensor:
        """Queries or keys [N, c, hw] without their mean over the positions."""
        return transformed - transformed.mean(dim=2, keepdim=True)

    def saliency(self, features: torch.Tensor) -> torch.Tensor:
        """The second term: float32 [N, hw], sums to one."""
        return self.salience(features).flatten(1).float().softmax(dim=1)

    def activation(self, features: torch.Tensor) -> torch.Tensor:
        """Both terms' weighted sums at every position: [N, c, hw]."""
        values = self.value(features).flatten(2)
        # One product for both terms; the second is the same row for every i.
        weights = self.pairwise(features) + self.saliency(features).unsqueeze(1)
        return torch.matmul(values, weights.to(values.dtype).transpose(1, 2))
