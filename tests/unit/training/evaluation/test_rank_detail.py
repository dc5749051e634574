from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.evaluation.rank_detail import DEPTH, RECALL_BINS, RankDetail
from training.evaluation.ranking import rank, summarise


def watched(
    scores: np.ndarray, labels: tuple[np.ndarray, ...], *, camera_rule: bool
) -> tuple[RankDetail, float]:
    """The detail of some scores, and mAP in percent."""
    detail = RankDetail(*labels, camera_rule=camera_rule)
    blocks = detail.watch([scores[:3], scores[3:]])
    return detail, summarise(rank(blocks, *labels, camera_rule=camera_rule)).map


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**31), st.booleans())
def test_the_area_below_the_precision_recall_curve_is_map(seed: int, camera_rule: bool) -> None:
    generator = np.random.default_rng(seed)
    labels = tuple(generator.integers(0, n, size) for size, n in ((8, 4), (8, 2), (30, 4), (30, 2)))
    scores = generator.integers(0, 40, (8, 30)).astype(np.float32)
    detail, mean_precision = watched(scores, labels, camera_rule=camera_rule)
    assert 100 * detail.precision_by_recall().mean() == pytest.approx(mean_precision, abs=1e-9)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**31), st.booleans())
def test_first_answers_are_those_of_a_full_sort(seed: int, camera_rule: bool) -> None:
    generator = np.random.default_rng(seed)
    labels = tuple(generator.integers(0, n, size) for size, n in ((8, 4), (8, 2), (30, 4), (30, 2)))
    people, cameras, gallery_people, gallery_cameras = labels
    scores = generator.integers(0, 10, (8, 30)).astype(np.float32)
    detail, _ = watched(scores, labels, camera_rule=camera_rule)
    for row in range(8):
        own = gallery_people == people[row]
        ignored = own & (gallery_cameras == cameras[row]) & camera_rule
        order = [g for g in np.argsort(-scores[row], kind="stable") if not ignored[g]]
        shown = detail.nearest[row][detail.nearest[row] >= 0]
        assert shown.tolist() == order[:DEPTH][: len(shown)]
        assert len(shown) >= min(DEPTH - int(ignored.sum()), len(order))
        assert detail.right[row, : len(shown)].tolist() == own[shown].tolist()
        matches = [g for g in order if own[g]]
        assert detail.best_match[row] == (matches[0] if matches else -1)


def test_the_curve_of_a_hand_worked_query() -> None:
    # Matches at ranks 1 and 4: precision 1 up to half of the recall, 2/4 from there on.
    labels = np.array([1]), np.array([0]), np.array([1, 2, 3, 1]), np.array([1, 1, 1, 1])
    detail, _ = watched(np.array([[0.9, 0.8, 0.7, 0.6]], np.float32), labels, camera_rule=True)
    curve = detail.precision_by_recall()
    assert curve[: RECALL_BINS // 2] == pytest.approx(1.0)
    assert curve[RECALL_BINS // 2 :] == pytest.approx(0.5)


def test_pair_scores_are_parted_by_person_and_a_lead_is_kept() -> None:
    labels = np.array([1, 2]), np.array([0, 0]), np.array([1, 2, 9]), np.array([1, 1, 1])
    scores = np.array([[0.9, 0.2, 0.1], [0.5, 0.3, 0.2]], np.float32)
    detail, _ = watched(scores, labels, camera_rule=True)
    same, different = detail.pair_scores()
    assert sorted(same.tolist()) == pytest.approx([0.3, 0.9])
    assert {round(score, 4) for score in different.tolist()} <= {0.2, 0.1, 0.5}
    assert detail.pair_scores(np.array([True, False]))[0].tolist() == pytest.approx([0.9])
    assert detail.lead().tolist() == pytest.approx([0.7, -0.2])
