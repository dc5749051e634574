"""AAA-Net's adversarial loss (Shen et al., "Attention-Aware Adversarial Network for Person
Re-Identification", Applied Sciences 2019, eq. 1 to 3), picture by picture, because eq. 4 switches it for
each.

The norms are taken as ratios to that of the feature map. The paper writes ‖·‖₁ of whole feature maps, and
does not say how they are scaled: summed over C·h·w, eq. 3 would be nought and eq. 2 in the hundred
thousands, and their weights would mean something else after each module of each backbone. As ratios both
lie near 0 to 1, and neither falls by the features shrinking.
"""

from __future__ import annotations

import torch

__all__ = ["assignment_fit", "assignment_regulariser"]

_SMALL = 1e-6
"""Keeps a ratio finite where a feature map is zero."""


def assignment_fit(attended: torch.Tensor, template: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
    """L_att (eq. 2): ‖max(M_att, 0) - M_occ‖₁, as a share of ‖f_r‖₁.

    Args:
        attended: M_att, [N, C, h, w].
        template: M_occ, [N, C, h, w], the feature map with its most important cell occluded.
        features: f_r, [N, C, h, w], for the scale.

    Returns:
        [N], at least 0; float32, or float64 where the inputs are.
    """
    return _size(_precise(attended).clamp_min(0.0) - _precise(template)) / _scale(features)


def assignment_regulariser(attended: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
    """L_r (eq. 3): log(1 + exp(-‖M_att‖₁)), the norm as a share of ‖f_r‖₁.

    It grows as the attention fades, and keeps it from answering eq. 2 by nothing at all.

    Args:
        attended: M_att, [N, C, h, w].
        features: f_r, [N, C, h, w], for the scale.

    Returns:
        [N], 0 to log 2.
    """
    return torch.nn.functional.softplus(-_size(_precise(attended)) / _scale(features))


def _precise(values: torch.Tensor) -> torch.Tensor:
    """At least float32: sums over a whole map are too long for half precision."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def _size(values: torch.Tensor) -> torch.Tensor:
    """‖·‖₁ of each picture, [N]."""
    return values.abs().sum(dim=(1, 2, 3))


def _scale(features: torch.Tensor) -> torch.Tensor:
    return _size(_precise(features)).detach() + _SMALL
