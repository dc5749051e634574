"""AAA-Net's adversarial loss (Shen et al., "Attention-Aware Adversarial Network for Person
Re-Identification", Applied Sciences 2019, eq. 1 to 3), picture by picture, because eq. 4 switches it for
each.

The norms are taken in units of the feature map's own. The paper writes ‖·‖₁ of whole feature maps, and does
not say how they are scaled: summed over C·h·w, eq. 2 would lie in the hundred thousands, and its weight would
mean something else after each module of each backbone. Neither loss falls by the features shrinking. Eq. 2 is
a share of ‖f_r‖, 0 to about 1. Eq. 3 counts in positions of mean response, h·w of them in f_r: so it is
nought as the paper's sum is, until next to nothing is kept, and then pulls. As a share too, its pull would be
felt everywhere: from the best w = 1 - P (below) to 1.13 - P.

As written, eq. 2 teaches an attention next to nothing. A position's template is its response or zero, and
|w - 0| P + |w - 1| (1 - P) is smallest at the likelier of the two: at w = 1 wherever P, the chance that the
position's cell is the hardest of 16 given what the attention can see, is below a half. Squared it is smallest
at w = 1 - P, which tells of every cell how often it is the hardest. So the difference is squared here;
``squared=False`` is the paper's.
"""

from __future__ import annotations

import torch

__all__ = ["assignment_fit", "assignment_regulariser"]

_SMALL = 1e-6
"""Keeps a ratio finite where a feature map is zero."""


def assignment_fit(
    attended: torch.Tensor, template: torch.Tensor, features: torch.Tensor, squared: bool = True
) -> torch.Tensor:
    """L_att (eq. 2): ‖max(M_att, 0) - M_occ‖², as a share of ‖f_r‖².

    Args:
        attended: M_att, [N, C, h, w].
        template: M_occ, [N, C, h, w], the feature map with its most important cell occluded.
        features: f_r, [N, C, h, w], for the scale.
        squared: both norms squared, ‖·‖₂²; False: ‖·‖₁, as eq. 2 is written.

    Returns:
        [N], at least 0; float32, or float64 where the inputs are.
    """
    difference = _precise(attended).clamp_min(0.0) - _precise(template)
    if not squared:
        return _size(difference) / _scale(features)
    return _size(difference.square()) / (_size(_precise(features).square()).detach() + _SMALL)


def assignment_regulariser(attended: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
    """L_r (eq. 3): log(1 + exp(-‖M_att‖₁)), the norm in positions of f_r's mean response.

    It grows as the attention fades, and keeps it from answering eq. 2 by nothing at all.

    Args:
        attended: M_att, [N, C, h, w].
        features: f_r, [N, C, h, w], for the scale.

    Returns:
        [N], 0 to log 2.
    """
    height, width = features.shape[2:]
    return torch.nn.functional.softplus(-height * width * _size(_precise(attended)) / _scale(features))


def _precise(values: torch.Tensor) -> torch.Tensor:
    """At least float32: sums over a whole map are too long for half precision."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def _size(values: torch.Tensor) -> torch.Tensor:
    """‖·‖₁ of each picture, [N]."""
    return values.abs().sum(dim=(1, 2, 3))


def _scale(features: torch.Tensor) -> torch.Tensor:
    return _size(_precise(features)).detach() + _SMALL
