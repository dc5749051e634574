from __future__ import annotations

import math

import torch

from training.losses.semantic_diversity import semantic_diversity


def test_orthogonal_parts_cost_nothing_and_equal_ones_cost_one() -> None:
    orthogonal = torch.diag(torch.tensor([1.0, 2.0, 0.5])).expand(4, 3, 3)
    assert float(semantic_diversity(orthogonal)) == 0.0
    same = torch.tensor([3.0, 4.0]).expand(2, 5, 2)
    torch.testing.assert_close(semantic_diversity(same), torch.tensor(1.0))


def test_eq_3_worked_by_hand() -> None:
    """Cosines of the three pairs: cos 60°, cos 90°, cos 30°; the second picture's are all one."""
    turns = (0.0, math.pi / 3, math.pi / 2)
    first = torch.tensor([[math.cos(turn), math.sin(turn)] for turn in turns]) * torch.tensor(
        [[1.0], [5], [2]]
    )
    parts = torch.stack((first, torch.ones(3, 2)))
    expected = ((0.5 + 0.0 + math.sqrt(3) / 2) + 3.0) / (2 * 3)
    torch.testing.assert_close(semantic_diversity(parts), torch.tensor(expected))


def test_eq_3_as_written_but_for_each_part_with_itself() -> None:
    torch.manual_seed(0)
    parts = torch.rand(3, 7, 11, dtype=torch.float64)
    total = 0.0
    for picture in parts:
        for j in range(7):
            for i in range(j, 7):
                if i != j:
                    product = float(picture[i] @ picture[j])
                    total += product / max(float(picture[i].norm() * picture[j].norm()), 1e-8)
    expected = total / (3 * math.comb(7, 2))
    torch.testing.assert_close(float(semantic_diversity(parts)), expected, atol=1e-6, rtol=1e-6)


def test_a_part_that_is_not_seen_adds_nothing_and_keeps_the_gradient_finite() -> None:
    parts = torch.tensor([[[0.0, 0.0], [1.0, 1.0], [1.0, 0.0]]], requires_grad=True)
    loss = semantic_diversity(parts)
    torch.testing.assert_close(loss, torch.tensor(math.sqrt(0.5) / 3))
    loss.backward()
    assert parts.grad is not None
    assert bool(parts.grad.isfinite().all())
