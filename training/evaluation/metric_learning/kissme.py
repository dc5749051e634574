"""KISSME: a Mahalanobis distance from a test of likelihoods. No torch.

Köstinger et al. 2012, "Large scale metric learning from equivalence constraints", §3. With the differences
of pictures of the same and of different people taken as zero-mean Gaussians of covariance Sigma_S and
Sigma_D, the logarithm of their likelihood ratio is, but for a constant, the quadratic form::

    d(x, z) = (x - z)' M (x - z),    M = [ Sigma_S^-1 - Sigma_D^-1 ]+

where [.]+ is the projection on the cone of positive semidefinite matrices: negative eigenvalues become 0.
AAA-Net's tables 1 to 5 compare with it ("BL + KISSME") and give no settings.

Chosen here, where both papers are silent or leave it to the data: all pairs across cameras instead of a
sample; principal components first, as the paper does, at most ``dimensions``; and a ridge on both
covariances, since a training half with fewer pictures than dimensions leaves them singular.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from training.evaluation.metric_learning.pair_covariances import pair_covariances

__all__ = ["fit_kissme"]


def fit_kissme(
    features: npt.NDArray[np.floating],
    people: npt.ArrayLike,
    cameras: npt.ArrayLike,
    *,
    dimensions: int = 200,
    ridge: float = 1e-3,
    across_cameras: bool = True,
) -> npt.NDArray[np.float32]:
    """The projection whose Euclidean distance is KISSME's: float32 [D, d] with M = projection projection'.

    Args:
        features: [N, D] of the training half, may be memory-mapped.
        people, cameras: int [N].
        dimensions: principal components that are kept, at most; d is the rank of M and no greater.
        ridge: added to the diagonal of both covariances, as a share of the mean variance.
        across_cameras: see :func:`pair_covariances`.

    Raises:
        ValueError: the training half has no pairs to learn from, or M has no positive eigenvalue.
    """
    pairs = pair_covariances(features, people, cameras, across_cameras=across_cameras)
    total = pairs.same * pairs.same_pairs + pairs.different * pairs.different_pairs
    variances, axes = np.linalg.eigh(total / (pairs.same_pairs + pairs.different_pairs))
    kept = [place for place in range(len(variances))[::-1][:dimensions] if variances[place] > 0]
    if not kept:
        raise ValueError("all training features are the same: there is nothing to learn from")
    axes = axes[:, kept]
    ridges = ridge * variances[kept].mean() * np.eye(len(kept))
    inverse_same, inverse_different = (
        np.linalg.inv(axes.T @ covariance @ axes + ridges) for covariance in (pairs.same, pairs.different)
    )
    values, vectors = np.linalg.eigh(inverse_same - inverse_different)
    if not (values > 0).any():
        raise ValueError("pictures of one person differ as much as those of two: nothing to learn")
    positive = values > 0
    return (axes @ (vectors[:, positive] * np.sqrt(values[positive]))).astype(np.float32)
