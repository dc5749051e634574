from __future__ import annotations

import math

import torch

from training.losses.segmentation import segmentation


def test_the_mean_over_all_pixels_of_which_unknown_ones_count_zero() -> None:
    logits = torch.zeros(1, 8, 2, 2)
    logits[0, 3, 0, 0] = 100.0
    labels = torch.tensor([[[3, 1], [255, 255]]], dtype=torch.uint8)
    torch.testing.assert_close(segmentation(logits, labels), torch.tensor(math.log(8) / 4))


def test_nothing_known_costs_nothing() -> None:
    logits = torch.randn(2, 8, 2, 2, requires_grad=True)
    loss = segmentation(logits, torch.full((2, 4, 4), 255, dtype=torch.uint8))
    loss.backward()
    assert float(loss.detach()) == 0.0
    assert logits.grad is not None
    assert float(logits.grad.abs().max()) == 0.0


def test_labels_are_taken_at_the_centres_of_the_predictions_pixels() -> None:
    labels = torch.zeros(1, 8, 8, dtype=torch.uint8)
    labels[0, 2, 2], labels[0, 6, 2] = 5, 7
    logits = torch.full((1, 8, 2, 2), -100.0)
    for class_, row, column in ((5, 0, 0), (0, 0, 1), (7, 1, 0), (0, 1, 1)):
        logits[0, class_, row, column] = 0.0
    assert float(segmentation(logits, labels)) < 1e-6
