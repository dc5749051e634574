from __future__ import annotations

import pytest
import torch

from models.networks.pooling import AveragePooling, GeneralisedMeanPooling


def test_generalised_mean_equals_its_formula_worked_by_hand() -> None:
    features = torch.tensor([1.0, 2.0, 3.0, 0.0]).view(1, 1, 2, 2)
    assert GeneralisedMeanPooling(3.0)(features).item() == pytest.approx(((1 + 8 + 27) / 4) ** (1 / 3))


def test_generalised_mean_lies_between_average_and_maximum() -> None:
    features = torch.rand(4, 5, 6, 3)
    torch.testing.assert_close(GeneralisedMeanPooling(1.0)(features), AveragePooling()(features))
    largest = features.amax(dim=(2, 3))
    torch.testing.assert_close(GeneralisedMeanPooling(60.0)(features), largest, atol=0.06, rtol=0)
    assert bool((GeneralisedMeanPooling(3.0)(features) < largest).all())


def test_gradients_of_the_generalised_mean_are_finite_where_all_features_are_zero() -> None:
    pooling = GeneralisedMeanPooling()
    features = torch.zeros(1, 2, 2, 2, requires_grad=True)
    pooling(features).sum().backward()
    assert features.grad is not None
    assert pooling.power.grad is not None
    assert bool(features.grad.isfinite().all())
    assert bool(pooling.power.grad.isfinite().all())


def test_the_generalised_mean_is_taken_in_float32_under_autocast() -> None:
    features = torch.rand(2, 3, 16, 8)
    with torch.autocast("cpu", torch.bfloat16):
        found = GeneralisedMeanPooling()(features)
    torch.testing.assert_close(found, GeneralisedMeanPooling()(features))
