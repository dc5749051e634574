"""XQDA: a subspace and KISSME's distance in it, found together. No torch.

Liao et al. 2015, "Person re-identification by local maximal occurrence representation and metric learning",
§4 (cross-view quadratic discriminant analysis). The subspace W maximises, direction by direction, the
generalised Rayleigh quotient of the extrapersonal over the intrapersonal variance::

    J(w) = (w' Sigma_E w) / (w' Sigma_I w)
    d(x, z) = (x - z)' W ( (W' Sigma_I W)^-1 - (W' Sigma_E W)^-1 ) W' (x - z)

W holds the generalised eigenvectors whose eigenvalue exceeds 1: along the others people differ no more than
one person does. With w' Sigma_I w = 1 both inner matrices are diagonal, and the distance is the Euclidean one
after x -> sqrt(1 - 1/lambda) W' x, which is never negative.

The paper has two views; here every pair of different cameras is a pair of views, all weighed by their pairs.
AAA-Net's tables 1 to 5 compare with it ("BL + XQDA") and give no settings: the regulariser is the paper's.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from training.evaluation.metric_learning.pair_covariances import pair_covariances

__all__ = ["fit_xqda"]


def fit_xqda(
    features: npt.NDArray[np.floating],
    people: npt.ArrayLike,
    cameras: npt.ArrayLike,
    *,
    regulariser: float = 1e-3,
    dimensions: int | None = None,
    across_cameras: bool = True,
) -> npt.NDArray[np.float32]:
    """The projection whose Euclidean distance is XQDA's: float32 [D, d].

    Args:
        features: [N, D] of the training half, of unit length where ``regulariser`` shall mean what it does
            in the paper; may be memory-mapped.
        people, cameras: int [N].
        regulariser: added to the diagonal of Sigma_I.
        dimensions: d at most; None for all whose eigenvalue exceeds 1.
        across_cameras: see :func:`pair_covariances`.

    Raises:
        ValueError: the training half has no pairs to learn from, Sigma_I is singular, or no eigenvalue
            exceeds 1.
    """
    pairs = pair_covariances(features, people, cameras, across_cameras=across_cameras)
    within = pairs.same + regulariser * np.eye(len(pairs.same))
    try:
        root = np.linalg.cholesky(within)
    except np.linalg.LinAlgError:
        raise ValueError("Sigma_I is singular: XQDA needs a regulariser above 0") from None
    half = np.linalg.solve(root, pairs.different)
    values, vectors = np.linalg.eigh(np.linalg.solve(root, half.T))
    values, vectors = values[::-1][:dimensions], vectors[:, ::-1][:, :dimensions]
    useful = values > 1
    if not useful.any():
        raise ValueError("pictures of one person differ as much as those of two: nothing to learn")
    subspace = np.linalg.solve(root.T, vectors[:, useful])
    return (subspace * np.sqrt(1 - 1 / values[useful])).astype(np.float32)
