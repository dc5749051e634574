from __future__ import annotations

import math

import pytest
import torch

from models.networks.attention.non_local import DisentangledNonLocal, NonLocal
from models.networks.attention.reconstructive import ReconstructivePooling

C, H, W = 3, 2, 3


def _softmax(values: list[float]) -> list[float]:
    powers = [math.exp(value) for value in values]
    return [power / sum(powers) for power in powers]


def _matrix(layer: torch.nn.Module) -> torch.Tensor:
    return layer.weight.detach()[:, :, 0, 0].double()  # type: ignore[union-attr]


def _drawn(kind: type[NonLocal]) -> NonLocal:
    """A block with weights large enough to tell formulas apart."""
    torch.manual_seed(0)
    block = kind(C)
    for parameter in block.parameters():
        torch.nn.init.normal_(parameter)
    return block


@pytest.mark.parametrize("kind", [NonLocal, DisentangledNonLocal])
def test_a_block_equals_its_equation_written_out_position_by_position(kind: type[NonLocal]) -> None:
    block = _drawn(kind)
    features = torch.rand(2, C, H, W)
    found = block(features)
    for picture in range(2):
        f = features[picture].double().flatten(1).T  # [hw, c]
        q, k, v = (f @ _matrix(layer).T for layer in (block.query, block.key, block.value))
        salient = [0.0] * len(f)
        if isinstance(block, DisentangledNonLocal):
            q, k = q - q.mean(0), k - k.mean(0)
            salient = _softmax([float(m) for m in f @ _matrix(block.salience)[0]])
        for i in range(len(f)):
            weights = _softmax([float(q[i] @ k[j]) for j in range(len(f))])
            expected = f[i].clone()
            for j in range(len(f)):
                expected += (weights[j] + salient[j]) * v[j]
            torch.testing.assert_close(
                found[picture].flatten(1)[:, i].double(), expected, atol=1e-5, rtol=1e-5
            )


def test_whitening_removes_what_all_positions_share() -> None:
    """Queries all alike say nothing of any pair: the first term is uniform whatever the keys."""
    block = _drawn(DisentangledNonLocal)
    torch.nn.init.zeros_(block.query.weight)
    features = torch.rand(1, C, H, W)
    torch.testing.assert_close(block.pairwise(features), torch.full((1, H * W, H * W), 1.0 / (H * W)))
    shifted = block.compared(torch.rand(2, C, H * W) + 100.0)
    torch.testing.assert_close(shifted.mean(dim=2), torch.zeros(2, C), atol=1e-4, rtol=0)


@pytest.mark.parametrize("kind", [NonLocal, DisentangledNonLocal])
def test_a_fresh_block_changes_nothing_and_can_learn_to(kind: type[NonLocal]) -> None:
    block = kind(C)
    features = torch.rand(2, C, H, W)
    answer = block(features)
    assert torch.equal(answer, features)
    answer.square().sum().backward()
    assert float(block.value.weight.grad.abs().max()) > 0.0


def test_softmaxes_stay_in_float32_under_autocast() -> None:
    block = _drawn(DisentangledNonLocal)
    with torch.autocast("cpu", torch.bfloat16):
        features = torch.rand(1, C, H, W)
        assert block.pairwise(features).dtype == block.saliency(features).dtype == torch.float32


def test_reconstructive_pooling_equals_its_formula_in_float64() -> None:
    torch.manual_seed(1)
    pooling = ReconstructivePooling(C)
    torch.nn.init.normal_(pooling.salience.weight)
    features = torch.rand(2, C, H, W)
    found = pooling(features).double()
    for picture in range(2):
        flat = features[picture].double().flatten(1)  # F, [c, hw]
        weights = _softmax([float(m) for m in (_matrix(pooling.salience) @ flat)[0]])
        transformed = _matrix(pooling.value) @ flat
        expected = sum(weight * transformed[:, j] for j, weight in enumerate(weights))
        torch.testing.assert_close(found[picture], expected, atol=1e-6, rtol=1e-5)
