"""A square mask that slides over a picture (Huang et al., "Adversarially Occluded Samples for Person
Re-identification", CVPR 2018, AOS §3.4 and §4.2).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from models.networks.normalisation import MEAN

__all__ = ["SlidingMask", "cover_squares"]


@dataclass(frozen=True, slots=True)
class SlidingMask:
    """The squares that a mask of a given area covers on its way over a picture.

    Example:
        >>> mask = SlidingMask.of_area(0.1, 256, 128, stride=10)
        >>> mask.side, mask.rows, mask.columns, mask.positions
        (57, 20, 8, 160)

    Attributes:
        height, width: of the pictures, pixels.
        side: d, of the square, pixels.
        stride: s_w = s_h, pixels.
    """

    height: int
    width: int
    side: int
    stride: int

    @classmethod
    def of_area(cls, area: float, height: int, width: int, stride: int) -> SlidingMask:
        """The mask that covers ``area`` of a picture, 0 to 1.

        Its side is rounded down: 0.025 of 256 × 128 is 28 × 28 in the paper (§4.4).

        Raises:
            ValueError: the square does not fit into the picture, or is smaller than a pixel.
        """
        side = math.isqrt(int(area * height * width + 1e-6))
        if not 1 <= side <= min(height, width):
            raise ValueError(
                f"a square of {area} of a picture of {height} × {width} has a side of {side} pixels, "
                "which does not fit"
            )
        return cls(height, width, side, stride)

    @property
    def rows(self) -> int:
        """⌊(H - d) / s_h⌋ + 1."""
        return (self.height - self.side) // self.stride + 1

    @property
    def columns(self) -> int:
        """⌊(W - d) / s_w⌋ + 1."""
        return (self.width - self.side) // self.stride + 1

    @property
    def positions(self) -> int:
        """N_pos (§3.4)."""
        return self.rows * self.columns

    def corners(self, positions: torch.Tensor) -> torch.Tensor:
        """Top and left of the squares at positions int64 [N], counted row by row: int64 [N, 2]."""
        across = positions % self.columns
        down = torch.div(positions, self.columns, rounding_mode="floor")
        return torch.stack((down, across), dim=1) * self.stride

    def random_corners(self, count: int, device: torch.device) -> torch.Tensor:
        """Top and left of squares anywhere in the picture, at any pixel: int64 [N, 2]."""
        top = torch.randint(0, self.height - self.side + 1, (count,), device=device)
        left = torch.randint(0, self.width - self.side + 1, (count,), device=device)
        return torch.stack((top, left), dim=1)

    def covered(self, corners: torch.Tensor) -> torch.Tensor:
        """Which pixels lie under the squares at corners int64 [N, 2]: bool [N, H, W]."""
        down = torch.arange(self.height, device=corners.device) - corners[:, :1]
        across = torch.arange(self.width, device=corners.device) - corners[:, 1:]
        in_rows = (down >= 0) & (down < self.side)
        in_columns = (across >= 0) & (across < self.side)
        return in_rows[:, :, None] & in_columns[:, None, :]


def cover_squares(pictures: torch.Tensor, covered: torch.Tensor) -> torch.Tensor:
    """Paint pixels in ImageNet's mean colour, which normalisation makes zero (§4.2).

    Args:
        pictures: uint8 [N, 3, H, W].
        covered: bool [N, H, W].

    Returns:
        float32 [N, 3, H, W], 0 to 255: the mean colour is no whole number.
    """
    colour = torch.tensor(MEAN, device=pictures.device).view(1, 3, 1, 1) * 255.0
    return torch.where(covered[:, None], colour, pictures.float())
