from __future__ import annotations

import math

import pytest
import torch

from training.losses.attention_assignment import assignment_fit, assignment_regulariser


def _map(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64).view(1, 1, 1, -1)


def test_assignment_fit_equals_equation_2_worked_by_hand() -> None:
    features, template = _map(1.0, 2.0, 3.0, 4.0), _map(1.0, 2.0, 3.0, 0.0)
    attended = _map(0.5, 2.5, -7.0, 1.0)
    # |0.5 - 1| + |2.5 - 2| + |0 - 3| + |1 - 0| = 5, of ‖f‖₁ = 10; -7 counts as 0
    assert float(assignment_fit(attended, template, features, squared=False)) == pytest.approx(0.5, abs=1e-6)
    # 0.25 + 0.25 + 9 + 1 = 10.5, of ‖f‖₂² = 30
    assert float(assignment_fit(attended, template, features)) == pytest.approx(0.35, abs=1e-6)


def test_squared_an_attention_learns_how_often_each_cell_is_the_hardest_and_as_written_it_does_not() -> None:
    """Four cells of one picture, of which the template leaves out one by chance: 0.4, 0.3, 0.2 and 0.1."""
    features = _map(1.0, 2.0, 3.0, 4.0)
    templates = features * (1 - torch.eye(4, dtype=torch.float64)).view(4, 1, 1, 4)
    chances = torch.tensor([0.4, 0.3, 0.2, 0.1], dtype=torch.float64)
    for squared, wanted in ((True, 1 - chances), (False, torch.ones(4, dtype=torch.float64))):
        weights = torch.full((4,), 0.7, dtype=torch.float64, requires_grad=True)
        optimiser = torch.optim.SGD([weights], lr=0.02)
        for _ in range(2000):
            fits = assignment_fit(weights * features, templates, features, squared)
            optimiser.zero_grad()
            (chances * fits).sum().backward()
            optimiser.step()
        torch.testing.assert_close(weights.detach(), wanted, rtol=0, atol=0.02)


def test_assignment_regulariser_equals_equation_3_worked_by_hand() -> None:
    features, attended = _map(1.0, 2.0, 3.0, 4.0), _map(0.5, 1.0, -2.5, 1.0)
    found = assignment_regulariser(attended, features)  # 5, where a position responds with 2.5 on average
    assert float(found) == pytest.approx(math.log(1 + math.exp(-2.0)), abs=1e-6)
    assert float(assignment_regulariser(0.0 * attended, features)) == pytest.approx(math.log(2))


def test_a_map_that_equals_the_template_fits_it_wherever_it_is_below_zero() -> None:
    features = torch.rand(3, 4, 4, 2, dtype=torch.float64)
    template = features.clone()
    template[:, :, :2] = 0.0
    attended = template - (template == 0.0).double()
    assert float(assignment_fit(attended, template, features).abs().max()) == 0.0


def test_both_losses_stay_when_all_features_shrink_and_are_told_for_each_picture() -> None:
    features = torch.rand(5, 3, 4, 4, dtype=torch.float64) + 0.1
    attended, template = 0.7 * features, features.clone()
    template[:, :, 0] = 0.0
    for shrunk in (1.0, 0.01):
        fit = assignment_fit(shrunk * attended, shrunk * template, shrunk * features)
        regulariser = assignment_regulariser(shrunk * attended, shrunk * features)
        assert fit.shape == regulariser.shape == (5,)
        hidden = features[:, :, 0].square().sum(dim=(1, 2)) / features.square().sum(dim=(1, 2, 3))
        torch.testing.assert_close(fit, 0.3**2 + (0.7**2 - 0.3**2) * hidden, rtol=1e-3, atol=0)
        expected = torch.full((5,), math.log(1 + math.exp(-0.7 * 16)), dtype=torch.float64)
        torch.testing.assert_close(regulariser, expected, rtol=1e-3, atol=0)


def test_sums_over_a_large_map_are_exact_in_half_precision() -> None:
    features = torch.ones(1, 512, 28, 28, dtype=torch.bfloat16)
    for squared, wanted in ((True, 0.25), (False, 0.5)):
        found = assignment_fit(0.5 * features, features, features, squared)
        assert found.dtype == torch.float32
        assert float(found) == pytest.approx(wanted, rel=1e-5)


def test_the_regulariser_pushes_a_fading_attention_up() -> None:
    features = torch.ones(1, 1, 2, 2, dtype=torch.float64)
    attended = (0.2 * features).requires_grad_()
    assignment_regulariser(attended, features).sum().backward()
    assert attended.grad is not None
    assert bool((attended.grad < 0).all())
