"""What tests put into feature caches, and how they know it again."""

from __future__ import annotations

import hashlib

import numpy as np

from service.embedding.features import PictureFeatures

MODEL = "a" * 64
DIMENSION = 512


def digest(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


def features(number: int, codes: tuple[int, ...] = (0,), graded: bool = True) -> PictureFeatures:
    """Vectors that say whose they are: a wrong answer cannot look like the right one."""
    scores = np.random.default_rng(number).random(4).astype(np.float32) if graded else None
    vectors = {
        code: np.random.default_rng([number, code]).normal(size=DIMENSION).astype(np.float32)
        for code in codes
    }
    return PictureFeatures(digest(number), number % 9, scores, vectors)


def assert_same(found: PictureFeatures | None, expected: PictureFeatures) -> None:
    assert found is not None
    assert (found.digest, found.occlusion) == (expected.digest, expected.occlusion)
    assert (found.scores is None) == (expected.scores is None)
    if found.scores is not None and expected.scores is not None:
        assert (found.scores == expected.scores).all()
    assert sorted(found.embeddings) == sorted(expected.embeddings)
    for code, vector in found.embeddings.items():
        assert vector.dtype == np.float32
        assert (vector == expected.embeddings[code]).all()
