from __future__ import annotations

import torch

from training.data.transforms import augment, augment_labelled, jitter_colours, show_part


def test_nothing_asked_for_changes_nothing() -> None:
    pictures = torch.randint(0, 256, (5, 3, 8, 4), dtype=torch.uint8)
    torch.testing.assert_close(augment(pictures, flip=0.0, pad=0), pictures.float())


def test_a_sure_flip_mirrors_left_and_right() -> None:
    pictures = torch.randint(0, 256, (5, 3, 8, 4), dtype=torch.uint8)
    torch.testing.assert_close(augment(pictures, flip=1.0, pad=0), pictures.flip(3).float())


def test_a_crop_is_a_shift_with_black_moving_in() -> None:
    torch.manual_seed(0)
    pictures = torch.randint(1, 256, (40, 3, 8, 4), dtype=torch.uint8)
    padded = torch.nn.functional.pad(pictures, (2, 2, 2, 2)).float()
    shifts = set()
    for before, after in zip(padded, augment(pictures, flip=0.0, pad=2), strict=True):
        found = [
            (y, x) for y in range(5) for x in range(5) if torch.equal(before[:, y : y + 8, x : x + 4], after)
        ]
        assert found
        shifts.update(found)
    assert len(shifts) > 10


def test_a_partial_view_is_a_stretched_rectangle_of_the_picture() -> None:
    """Pictures whose red is the row and green the column: both stay linear, inside the picture's range."""
    torch.manual_seed(0)
    rows = torch.arange(64.0)[None, :, None].expand(1, 64, 32)
    columns = torch.arange(32.0)[None, None, :].expand(1, 64, 32)
    shown = show_part(torch.cat((rows, columns, rows)).expand(50, 3, 64, 32))
    red, green = shown[:, 0], shown[:, 1]
    assert bool((red.amax((1, 2)) <= 63.0).all())
    assert bool((red.amin((1, 2)) >= 0.0).all())
    torch.testing.assert_close(red, red[:, :, :1].expand_as(red), atol=1e-3, rtol=0)
    torch.testing.assert_close(green, green[:, :1].expand_as(green), atol=1e-3, rtol=0)
    kept = (red[:, 48, 0] - red[:, 16, 0]) / 32
    assert float(kept.min()) >= 0.4 - 1e-3
    assert float(kept.max()) <= 1.0 + 1e-3
    assert float(kept.std()) > 0.1


def test_colour_jitter_keeps_the_range_and_changes_each_picture_its_own_way() -> None:
    torch.manual_seed(0)
    same = torch.rand(1, 3, 8, 4).expand(6, 3, 8, 4) * 255
    changed = jitter_colours(same, 0.3)
    assert float(changed.min()) >= 0.0
    assert float(changed.max()) <= 255.0
    assert len({round(float(picture.mean()), 3) for picture in changed}) == 6
    torch.testing.assert_close(jitter_colours(same, 0.0), same)


def test_labels_move_with_their_pictures_by_the_same_random_numbers() -> None:
    """Pictures that show their own labels: after every change of place each pixel still does."""
    torch.manual_seed(0)
    labels = torch.randint(1, 8, (40, 4, 2)).repeat_interleave(8, 1).repeat_interleave(8, 2).byte()
    pictures = (labels * 30)[:, None].expand(-1, 3, -1, -1)
    torch.manual_seed(1)
    alone = augment(pictures, flip=0.5, pad=3, partial=0.5)
    torch.manual_seed(1)
    shown, moved = augment_labelled(pictures, labels, flip=0.5, pad=3, partial=0.5)
    assert torch.equal(alone, shown)
    assert moved is not None
    assert moved.dtype == torch.uint8
    seen = shown[:, 0] / 30
    pure = (seen - seen.round()).abs() < 1e-4  # not between two labels of a stretched picture
    assert float(pure.float().mean()) > 0.7
    close = (seen - moved).abs() < 0.5
    assert float(close[pure].float().mean()) > 0.99
    assert bool((moved[0] != labels[0]).any())


def test_black_that_moves_in_is_background() -> None:
    torch.manual_seed(0)
    labels = torch.full((30, 8, 4), 255, dtype=torch.uint8)
    pictures = torch.full((30, 3, 8, 4), 9, dtype=torch.uint8)
    shown, moved = augment_labelled(pictures, labels, flip=0.0, pad=2)
    assert moved is not None
    assert torch.equal(moved == 0, shown[:, 0] == 0)
    assert set(moved.unique().tolist()) == {0, 255}
