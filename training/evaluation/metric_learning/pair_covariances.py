"""Covariances of the differences between pictures of the same and of different people. No torch.

The sum of (x_i - x_j)(x_i - x_j)' over all pairs of a group of n pictures is n X'X - s s', with s the sum of
the pictures. So the sums over all pairs of a training set, and over those of the same person, the same
camera or both, need no list of pairs: with 13,000 pictures there are 80 million of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["PairCovariances", "pair_covariances"]

_ROWS = 4096
"""Pictures added up at once."""


@dataclass(frozen=True, slots=True)
class PairCovariances:
    """Second moments of the differences; their mean is zero, since a pair counts in both directions.

    Attributes:
        same: float64 [D, D], over pairs of the same person.
        different: float64 [D, D], over pairs of different people.
        same_pairs, different_pairs: how many unordered pairs stand behind each.
    """

    same: npt.NDArray[np.float64]
    different: npt.NDArray[np.float64]
    same_pairs: int
    different_pairs: int


def pair_covariances(
    features: npt.NDArray[np.floating],
    people: npt.ArrayLike,
    cameras: npt.ArrayLike,
    *,
    across_cameras: bool = True,
) -> PairCovariances:
    """Both covariances over every pair of a training half.

    Args:
        features: [N, D], may be memory-mapped.
        people, cameras: int [N].
        across_cameras: only pairs from two different cameras, which is what re-identification compares.

    Raises:
        ValueError: shapes do not fit, or there is no pair of one of the two kinds.
    """
    person, camera = np.asarray(people), np.asarray(cameras)
    if features.ndim != 2 or person.shape != (len(features),) or camera.shape != person.shape:
        raise ValueError("features must be [N, D], with one person and one camera a row")
    everything = np.zeros(len(person), np.int64)
    person_and_camera = np.unique(np.stack([person, camera]), axis=1, return_inverse=True)[1]
    same, same_pairs = _pair_sum(features, person)
    all_pairs, number = _pair_sum(features, everything)
    different, different_pairs = all_pairs - same, number - same_pairs
    if across_cameras:
        both, both_pairs = _pair_sum(features, person_and_camera)
        one_camera, one_camera_pairs = _pair_sum(features, camera)
        same, same_pairs = same - both, same_pairs - both_pairs
        different = different - (one_camera - both)
        different_pairs -= one_camera_pairs - both_pairs
    if not same_pairs or not different_pairs:
        where = " from two cameras" if across_cameras else ""
        raise ValueError(f"the training half has no two pictures{where} of one person, or of two people")
    return PairCovariances(same / same_pairs, different / different_pairs, same_pairs, different_pairs)


def _pair_sum(
    features: npt.NDArray[np.floating], groups: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.float64], int]:
    """Sum of (x_i - x_j)(x_i - x_j)' over all unordered pairs within groups, and how many there are."""
    _, group, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    dimension = features.shape[1]
    squares = np.zeros((dimension, dimension))
    sums = np.zeros((len(sizes), dimension))
    for start in range(0, len(features), _ROWS):
        rows = slice(start, start + _ROWS)
        block = np.asarray(features[rows], dtype=np.float64)
        squares += (block * sizes[group[rows], None]).T @ block
        np.add.at(sums, group[rows], block)
    return squares - sums.T @ sums, int((sizes * (sizes - 1) // 2).sum())
