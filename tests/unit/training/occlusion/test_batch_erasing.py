from __future__ import annotations

import pytest
import torch

from models.networks.normalisation import normalise
from training.occlusion.batch_erasing import compound_batch_erasing, erase_at_random, erase_stripe

HEIGHT, WIDTH = 64, 32


def _pictures(count: int, height: int = HEIGHT, width: int = WIDTH) -> torch.Tensor:
    """Values between pixels' integers, so that no erased pixel is left as it was by chance."""
    return torch.randint(0, 255, (count, 3, height, width)).float() + 0.25


def _hidden(before: torch.Tensor, after: torch.Tensor) -> torch.Tensor:
    """bool [N, H, W]; a pixel is hidden in all channels or in none."""
    changed = before != after
    assert bool((changed.all(dim=1) == changed.any(dim=1)).all())
    return changed.all(dim=1)


@pytest.mark.parametrize("height", [64, 100, 128, 256])
def test_a_stripe_is_one_of_six_seven_or_eight_parts_of_the_height(height: int) -> None:
    expected = {
        (count, part): {row for row in range(height) if row * count // height == part}
        for count in (6, 7, 8)
        for part in range(count)
    }
    for count in (6, 7, 8):
        assert sum(len(rows) for (parts, _), rows in expected.items() if parts == count) == height
    torch.manual_seed(0)
    pictures = _pictures(2, height, 8)
    seen = set()
    for _ in range(400):
        rows = set(_hidden(pictures, erase_stripe(pictures))[0].all(dim=1).nonzero()[:, 0].tolist())
        seen |= {part for part, of_part in expected.items() if of_part == rows}
        assert any(rows == of_part for of_part in expected.values())
    assert seen == set(expected)


def test_a_stripe_is_the_same_in_all_pictures_and_becomes_zero() -> None:
    torch.manual_seed(1)
    pictures = _pictures(5)
    erased = erase_stripe(pictures)
    hidden = _hidden(pictures, erased)
    assert bool((hidden == hidden[:1]).all())
    assert bool((hidden[0].all(dim=1) == hidden[0].any(dim=1)).all())
    zeros = normalise(erased).permute(0, 2, 3, 1)[hidden]
    torch.testing.assert_close(zeros, torch.zeros_like(zeros), atol=1e-5, rtol=0)


def test_random_erasing_hides_one_rectangle_of_the_stated_area_and_ratio() -> None:
    torch.manual_seed(2)
    pictures = _pictures(300)
    hidden = _hidden(pictures, erase_at_random(pictures, probability=1.0))
    tops = set()
    for mask in hidden:
        rows, columns = mask.any(dim=1).nonzero()[:, 0], mask.any(dim=0).nonzero()[:, 0]
        top, bottom, left, right = rows.min(), rows.max() + 1, columns.min(), columns.max() + 1
        assert bool(mask[top:bottom, left:right].all())
        tall, wide = float(bottom - top), float(right - left)
        # Sides are rounded to pixels: half a pixel either way.
        assert (tall - 0.5) * (wide - 0.5) <= 0.4 * HEIGHT * WIDTH
        assert (tall + 0.5) * (wide + 0.5) >= 0.02 * HEIGHT * WIDTH
        assert (tall - 0.5) / (wide + 0.5) <= 1.0 / 0.3
        assert (tall + 0.5) / (wide - 0.5) >= 0.3
        tops.add(int(top))
    assert len(tops) > 30


def test_random_erasing_fills_with_noise_over_the_whole_range() -> None:
    torch.manual_seed(3)
    pictures = torch.full((100, 3, HEIGHT, WIDTH), 17.25)
    erased = erase_at_random(pictures, probability=1.0)
    noise = erased[erased != 17.25]
    assert float(noise.min()) >= 0.0
    assert float(noise.max()) <= 255.0
    assert float(noise.mean()) == pytest.approx(127.5, abs=2.0)
    assert float(noise.std()) == pytest.approx(255.0 / 12**0.5, abs=2.0)


def test_random_erasing_leaves_the_stated_share_of_pictures_alone() -> None:
    torch.manual_seed(4)
    pictures = _pictures(400, 32, 16)
    assert torch.equal(erase_at_random(pictures, 0.0), pictures)
    share = _hidden(pictures, erase_at_random(pictures, 0.5)).flatten(1).any(dim=1).float().mean()
    assert float(share) == pytest.approx(0.5, abs=0.1)


def test_compound_erasing_shows_each_picture_in_both_ways_in_order() -> None:
    torch.manual_seed(5)
    pictures = _pictures(40)
    both = compound_batch_erasing(pictures)
    assert both.shape == (80, 3, HEIGHT, WIDTH)
    at_random = _hidden(pictures, both[:40])
    stripe = _hidden(pictures, both[40:])
    assert 5 < int(at_random.flatten(1).any(dim=1).sum()) < 35
    assert bool((stripe == stripe[:1]).all())
    assert HEIGHT // 8 <= int(stripe[0].any(dim=1).sum()) <= HEIGHT // 6 + 1
