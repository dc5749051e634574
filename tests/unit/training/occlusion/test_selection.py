from __future__ import annotations

import pytest
import torch

from training.occlusion.selection import influence, selection

# p = 0.9; masks take it to 0.5, 0.9, 0.95 and 0.7: eq. 4 gives 0.4, 0, 0 and 0.2, eq. 5 2/3, 0, 0 and 1/3.
WORKED = torch.tensor([[0.9, 0.5, 0.9, 0.95, 0.7]], dtype=torch.float64).log()


def test_equation_4_counts_what_the_true_class_loses() -> None:
    expected = torch.tensor([[0.4, 0.0, 0.0, 0.2]], dtype=torch.float64)
    torch.testing.assert_close(influence(WORKED), expected, atol=1e-12, rtol=0)


def test_equation_5_worked_by_hand() -> None:
    expected = torch.tensor([[2 / 3, 0.0, 0.0, 1 / 3]], dtype=torch.float64)
    torch.testing.assert_close(selection(WORKED, "sampling"), expected, atol=1e-12, rtol=0)


def test_hard_1_takes_the_lowest_and_no_adversary_the_highest_probability() -> None:
    assert selection(WORKED, "hard-1").tolist() == [[1.0, 0.0, 0.0, 0.0]]
    assert selection(WORKED, "no-adversary").tolist() == [[0.0, 0.0, 1.0, 0.0]]


def test_a_picture_that_no_mask_harms_gets_every_position_alike() -> None:
    unharmed = torch.tensor([[0.5, 0.5, 0.6, 0.9, 0.5]]).log()
    assert selection(unharmed, "sampling").tolist() == [[0.25] * 4]


def test_float16_logarithms_keep_the_distribution_of_a_model_that_is_nearly_certain() -> None:
    """p_i = 0.9990 and 0.9995 are one number in float16; their logarithms are not."""
    exact = torch.tensor([[0.9999, 0.9990, 0.9995, 0.9997]], dtype=torch.float64).log()
    kept = selection(exact.half(), "sampling")
    torch.testing.assert_close(kept, selection(exact, "sampling"), atol=2e-3, rtol=0)


def test_random_asks_no_model() -> None:
    with pytest.raises(ValueError, match="without a model"):
        selection(WORKED, "random")
