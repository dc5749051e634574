from __future__ import annotations

import torch

from training.data.transforms import augment


def test_nothing_asked_for_changes_nothing() -> None:
    pictures = torch.randint(0, 256, (5, 3, 8, 4), dtype=torch.uint8)
    torch.testing.assert_close(augment(pictures, flip=0.0, pad=0), pictures)


def test_a_sure_flip_mirrors_left_and_right() -> None:
    pictures = torch.randint(0, 256, (5, 3, 8, 4), dtype=torch.uint8)
    torch.testing.assert_close(augment(pictures, flip=1.0, pad=0), pictures.flip(3))


def test_a_crop_is_a_shift_with_black_moving_in() -> None:
    torch.manual_seed(0)
    pictures = torch.randint(1, 256, (40, 3, 8, 4), dtype=torch.uint8)
    padded = torch.nn.functional.pad(pictures, (2, 2, 2, 2))
    shifts = set()
    for before, after in zip(padded, augment(pictures, flip=0.0, pad=2), strict=True):
        found = [
            (y, x) for y in range(5) for x in range(5) if torch.equal(before[:, y : y + 8, x : x + 4], after)
        ]
        assert found
        shifts.update(found)
    assert len(shifts) > 10
