from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from training.losses.bounded_exponential import bounded_exponential, pair_loss


@given(st.floats(0.0, 1e4), st.floats(0.0, 1e4), st.floats(0.01, 5.0))
def test_a_pairs_loss_is_bounded_and_monotone_in_the_distance(one: float, other: float, alpha: float) -> None:
    near, far = sorted((one, other))
    distances = torch.tensor([near, far], dtype=torch.float64)
    same = pair_loss(distances, torch.tensor([True, True]), alpha)
    different = pair_loss(distances, torch.tensor([False, False]), alpha)
    for losses in (same, different):
        assert bool(((losses >= 0.0) & (losses <= 1.0)).all())
    assert same[0] <= same[1]
    assert different[0] >= different[1]
    torch.testing.assert_close(same + different, torch.ones(2, dtype=torch.float64))


def test_a_pairs_loss_reaches_its_limits() -> None:
    """Eq. 4, and the other end: a pair that coincides."""
    distances = torch.tensor([0.0, 1e6, 0.0, 1e6])
    same = torch.tensor([True, True, False, False])
    assert pair_loss(distances, same, 0.3).tolist() == [0.0, 1.0, 1.0, 0.0]


def test_a_pairs_loss_is_steepest_at_zero() -> None:
    distances = torch.tensor([0.0, 1.0, 5.0], requires_grad=True)
    pair_loss(distances, torch.ones(3, dtype=torch.bool), 0.3).sum().backward()
    expected = [0.3, 0.3 * math.exp(-0.3), 0.3 * math.exp(-1.5)]
    assert distances.grad is not None
    assert distances.grad.tolist() == pytest.approx(expected)


def test_a_batchs_loss_equals_equation_3_summed_over_all_its_pairs() -> None:
    torch.manual_seed(0)
    points, identities, alpha = 3.0 * torch.randn(6, 4), [0, 0, 0, 1, 1, 2], 0.7
    for unit in (True, False):
        rows = [[float(x) for x in row] for row in points]
        if unit:
            rows = [[x / math.hypot(*row) for x in row] for row in rows]
        kinds: dict[bool, list[float]] = {True: [], False: []}
        for i in range(6):
            for j in range(6):
                if i != j:
                    power = math.exp(-alpha * math.dist(rows[i], rows[j]))
                    same = identities[i] == identities[j]
                    kinds[same].append(1.0 - power if same else power)
        expected = sum(sum(losses) / len(losses) for losses in kinds.values())
        found = bounded_exponential(points, torch.tensor(identities), alpha, unit)
        assert found.item() == pytest.approx(sum(sum(losses) for losses in kinds.values()) / 30, rel=1e-5)
        balanced = bounded_exponential(points, torch.tensor(identities), alpha, unit, balanced=True)
        assert balanced.item() == pytest.approx(expected, rel=1e-5)


def test_it_pulls_pictures_of_a_person_together_and_people_apart() -> None:
    points = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 2.0], [1.0, 2.0]], requires_grad=True)
    bounded_exponential(points, torch.tensor([0, 0, 1, 1]), 0.5, unit_length=False).backward()
    step = -points.grad  # type: ignore[operator]
    assert step[0, 0] > 0.0 > step[1, 0]
    assert step[0, 1] < 0.0 < step[2, 1]


@pytest.mark.parametrize("people", [16, 32])
def test_at_unit_length_nothing_is_below_people_spread_evenly(people: int) -> None:
    """The bound in the docstring, and descent from anywhere ends near it."""
    centres = torch.eye(people, dtype=torch.float64) - 1 / people  # a simplex
    identities = torch.arange(people).repeat_interleave(4)
    least = float(bounded_exponential(centres[identities], identities, 0.3))
    apart = math.exp(-0.3 * math.sqrt(2 * people / (people - 1)))
    assert least == pytest.approx(apart * (4 * people - 4) / (4 * people - 1), abs=1e-5)
    assert least == pytest.approx({16: 0.614, 32: 0.634}[people], abs=5e-4)
    torch.manual_seed(0)
    points = torch.randn(4 * people, people, requires_grad=True)
    optimiser = torch.optim.Adam([points], lr=0.05)
    for _ in range(100):
        loss = bounded_exponential(points, identities, 0.3)
        assert loss.item() >= least - 1e-6
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss.item() < least + 0.003


def test_pictures_that_coincide_give_finite_gradients() -> None:
    points = torch.ones(4, 3, requires_grad=True)
    bounded_exponential(points, torch.tensor([0, 0, 1, 1]), 0.3).backward()
    assert points.grad is not None
    assert bool(points.grad.isfinite().all())


def test_the_loss_is_computed_in_float32_under_autocast() -> None:
    torch.manual_seed(0)
    points, identities = torch.randn(8, 64), torch.tensor([0, 0, 1, 1, 2, 2, 3, 3])
    with torch.autocast("cpu", torch.bfloat16):
        found = bounded_exponential(points, identities, 0.3)
    assert found.dtype == torch.float32
    assert torch.equal(found, bounded_exponential(points, identities, 0.3))


@pytest.mark.parametrize("identities", [[0, 0, 0, 0], [0, 1, 2, 3]])
def test_a_batch_without_both_kinds_of_pairs_is_refused(identities: list[int]) -> None:
    with pytest.raises(ValueError, match="two pictures of a person, and two people"):
        bounded_exponential(torch.randn(4, 3), torch.tensor(identities), 0.3)
