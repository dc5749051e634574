"""Compound batch erasing (Yan et al., ICCV 2021, §3.2).

The same batch twice: once with random erasing, a rectangle of noise anywhere in each picture its own
way, once with batch-constant erasing, one stripe blanked in all pictures alike.
"""

from __future__ import annotations

import math
from typing import Final

import torch

from models.networks.normalisation import MEAN

__all__ = ["compound_batch_erasing", "erase_at_random", "erase_stripe"]

STRIPES: Final = (6, 7, 8)
"""s: how many horizontal parts a picture is divided into."""

AREA: Final = (0.02, 0.4)
"""Share of the picture's area that random erasing hides."""

RATIO: Final = (0.3, 1.0 / 0.3)
"""Height over width of the rectangle that random erasing hides."""

_TRIES: Final = 16
"""Sizes drawn per picture, of which the first that fits is taken."""


def compound_batch_erasing(pictures: torch.Tensor, probability: float = 0.5) -> torch.Tensor:
    """X_full = [X_re; X_bce]: the batch erased at random, then the batch without one stripe.

    Args:
        pictures: float [N, 3, H, W], 0 to 255.
        probability: of random erasing, for each picture of the first copy.

    Returns:
        float [2N, 3, H, W].
    """
    return torch.cat((erase_at_random(pictures, probability), erase_stripe(pictures)))


def erase_at_random(pictures: torch.Tensor, probability: float = 0.5) -> torch.Tensor:
    """Random erasing (Zhong et al., AAAI 2020, algorithm 1): a rectangle of random values per picture.

    Area and ratio of the sides are drawn until the rectangle fits, then its place among those where it
    lies inside; the values are uniform in 0 to 255 for each channel of each pixel, that paper's choice.

    Random numbers come from torch's default generator of the pictures' device. Torchvision's transform
    erases one rectangle per call, with random numbers from the CPU; here a batch is one call.

    Args:
        pictures: float [N, 3, H, W], 0 to 255.
        probability: 0 to 1; the other pictures stay as they are.
    """
    count, _, height, width = pictures.shape
    device = pictures.device

    def uniform(low: float, high: float) -> torch.Tensor:
        return low + (high - low) * torch.rand(count, _TRIES, device=device)

    area = uniform(*AREA) * (height * width)
    ratio = uniform(*RATIO)
    tall, wide = (area * ratio).sqrt().round(), (area / ratio).sqrt().round()
    fits = (tall >= 1) & (wide >= 1) & (tall < height) & (wide < width)
    first = fits.int().argmax(dim=1, keepdim=True)
    tall, wide = tall.gather(1, first), wide.gather(1, first)  # [N, 1]
    erased = fits.any(dim=1, keepdim=True) & (torch.rand(count, 1, device=device) < probability)
    top = (torch.rand(count, 1, device=device) * (height - tall + 1)).floor()
    left = (torch.rand(count, 1, device=device) * (width - wide + 1)).floor()
    rows = torch.arange(height, device=device)[None]
    columns = torch.arange(width, device=device)[None]
    hidden_rows = (rows >= top) & (rows < top + tall) & erased
    hidden_columns = (columns >= left) & (columns < left + wide)
    hidden = (hidden_rows[:, :, None] & hidden_columns[:, None, :])[:, None]
    return torch.where(hidden, 255.0 * torch.rand_like(pictures), pictures)


def erase_stripe(pictures: torch.Tensor) -> torch.Tensor:
    """Batch-constant erasing: one of s horizontal parts is hidden, the same in all pictures.

    s is drawn from :data:`STRIPES`, then the part. The paper calls the erased part blank and gives no
    colour; here it is ImageNet's mean, which normalisation makes zero, as in hiding at test time
    (``models.networks.normalisation.hide``).

    Args:
        pictures: float [N, 3, H, W], 0 to 255, H at least 8.
    """
    height, device = pictures.shape[2], pictures.device
    counts = torch.tensor(STRIPES, device=device)
    parts = counts[torch.randint(len(STRIPES), (), device=device)]
    # Uniform over 0 to s - 1 for each s, since the number of draws is a multiple of all of them.
    chosen = torch.randint(math.lcm(*STRIPES), (), device=device) % parts
    hidden = torch.arange(height, device=device) * parts // height == chosen
    blank = torch.tensor(MEAN, device=device).view(1, 3, 1, 1) * 255.0
    return torch.where(hidden[:, None], blank, pictures)
