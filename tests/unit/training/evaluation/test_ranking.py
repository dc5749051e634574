from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from training.evaluation.ranking import Ranking, rank, summarise, top

Case = tuple[npt.NDArray[np.float64], list[int], list[int], list[int], list[int]]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Scores of few values, so that ties are common; few people and cameras, so that all rules are met."""
    queries, gallery = draw(st.integers(1, 6)), draw(st.integers(1, 12))
    small = st.integers(0, 3)
    scores = draw(
        st.lists(st.lists(small, min_size=gallery, max_size=gallery), min_size=queries, max_size=queries)
    )
    sides = [draw(st.lists(small, min_size=n, max_size=n)) for n in (queries, queries, gallery, gallery)]
    return np.array(scores, dtype=np.float64) / 4, *sides  # type: ignore[return-value]


def brute_force(case: Case, camera_rule: bool) -> list[tuple[int, float, float]]:
    """First match, average precision and inverse penalty by the definition, one query at a time."""
    scores, asked, asked_from, people, cameras = case
    answers = []
    for row, person, camera in zip(scores, asked, asked_from, strict=True):
        left = [
            i
            for i in range(len(people))
            if not (camera_rule and people[i] == person and cameras[i] == camera)
        ]
        left.sort(key=lambda i: (-row[i], i))
        ranks = [place for place, i in enumerate(left, start=1) if people[i] == person]
        precisions = [(found + 1) / place for found, place in enumerate(ranks)]
        answers.append(
            (ranks[0], sum(precisions) / len(ranks), len(ranks) / ranks[-1]) if ranks else (0, 0.0, 0.0)
        )
    return answers


def ranked(case: Case, camera_rule: bool = True, block: int = 2) -> Ranking:
    scores, *labels = case
    blocks = (scores[start : start + block] for start in range(0, len(scores), block))
    return rank(blocks, *labels, camera_rule=camera_rule)


@settings(deadline=None)
@given(cases(), st.booleans(), st.integers(1, 4))
def test_ranking_equals_the_definition(case: Case, camera_rule: bool, block: int) -> None:
    ranking = ranked(case, camera_rule, block)
    expected = brute_force(case, camera_rule)
    assert ranking.first_match.tolist() == [first for first, _, _ in expected]
    assert ranking.average_precision == pytest.approx([precision for _, precision, _ in expected])
    assert ranking.inverse_penalty == pytest.approx([penalty for _, _, penalty in expected])


@settings(deadline=None)
@given(cases(), st.randoms(use_true_random=False))
def test_order_of_the_gallery_does_not_matter_where_no_scores_tie(case: Case, random: object) -> None:
    scores, asked, asked_from, people, cameras = case
    distinct = scores + np.arange(scores.shape[1]) * 1e-3
    order = np.arange(len(people))
    random.shuffle(order)  # type: ignore[attr-defined]
    shuffled = (
        distinct[:, order],
        asked,
        asked_from,
        [people[i] for i in order],
        [cameras[i] for i in order],
    )
    one, other = ranked((distinct, asked, asked_from, people, cameras)), ranked(shuffled)
    assert one.first_match.tolist() == other.first_match.tolist()
    assert one.average_precision == pytest.approx(other.average_precision)


@settings(deadline=None)
@given(cases())
def test_people_whom_nobody_asks_for_and_who_score_lowest_change_nothing(case: Case) -> None:
    scores, asked, asked_from, people, cameras = case
    wider = np.concatenate([scores, np.full((len(scores), 3), -1.0)], axis=1)
    more = ranked((wider, asked, asked_from, [*people, 77, 78, 79], [*cameras, 0, 1, 2]))
    fewer = ranked(case)
    assert more.first_match.tolist() == fewer.first_match.tolist()
    assert more.average_precision == pytest.approx(fewer.average_precision)


@settings(deadline=None)
@given(cases())
def test_a_gallery_given_twice_keeps_rank_1_and_every_match_findable(case: Case) -> None:
    scores, asked, asked_from, people, cameras = case
    doubled = ranked(
        (np.repeat(scores, 2, axis=1), asked, asked_from, np.repeat(people, 2), np.repeat(cameras, 2))
    )  # type: ignore[arg-type]
    single = ranked(case)
    assert ((doubled.first_match == 1) == (single.first_match == 1)).all()
    assert ((doubled.first_match > 0) == (single.first_match > 0)).all()


def test_hand_worked_average_precision() -> None:
    # Gallery in order of score: wrong, right, own camera (ignored), right, wrong, right.
    scores = np.array([[0.9, 0.8, 0.7, 0.6, 0.5, 0.4]])
    ranking = rank([scores], [1], [1], [2, 1, 1, 1, 3, 1], [1, 2, 1, 3, 2, 2], camera_rule=True)
    assert ranking.first_match.tolist() == [2]
    assert ranking.average_precision[0] == pytest.approx((1 / 2 + 2 / 3 + 3 / 5) / 3)
    assert ranking.inverse_penalty[0] == pytest.approx(3 / 5)


def test_without_the_camera_rule_the_own_camera_counts() -> None:
    scores = np.array([[0.9, 0.8]])
    ranking = rank([scores], [1], [1], [1, 1], [1, 2], camera_rule=False)
    assert ranking.average_precision.tolist() == [1.0]


def test_ties_go_to_the_picture_that_comes_first() -> None:
    assert rank([np.zeros((1, 2))], [1], [1], [2, 1], [2, 2], camera_rule=True).first_match.tolist() == [2]
    assert rank([np.zeros((1, 2))], [1], [1], [1, 2], [2, 2], camera_rule=True).first_match.tolist() == [1]


def test_queries_without_a_match_are_left_out_and_counted() -> None:
    scores = np.array([[0.9, 0.1], [0.1, 0.9]])
    ranking = rank([scores], [1, 5], [1, 1], [1, 2], [2, 2], camera_rule=True)
    summary = summarise(ranking)
    assert (summary.rank1, summary.map) == (100.0, 100.0)
    assert (summary.queries, summary.without_match, summary.gallery) == (1, 1, 2)


def test_summary_counts_matches_up_to_each_rank() -> None:
    summary = summarise(Ranking(np.array([1, 2, 5, 6, 10, 11, 0, 1]), np.linspace(0, 1, 8), np.ones(8), 20))
    shares = (summary.rank1, summary.rank5, summary.rank10, summary.rank20)
    assert shares == pytest.approx((100 * 2 / 7, 100 * 4 / 7, 100 * 6 / 7, 100.0))
    assert summary.minp == 100.0
    assert (np.diff(summary.cmc) >= 0).all()


def test_scores_that_are_not_numbers_or_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="not a number"):
        rank([np.array([[np.nan]])], [1], [1], [1], [2], camera_rule=True)
    with pytest.raises(ValueError, match="scores must be"):
        rank([np.zeros((1, 3))], [1], [1], [1], [2], camera_rule=True)
    with pytest.raises(ValueError, match="expected 2"):
        rank([np.zeros((1, 1))], [1, 1], [1, 1], [1], [2], camera_rule=True)


@settings(deadline=None, max_examples=50)
@given(cases())
def test_average_precision_equals_scikit_learns_where_no_scores_tie(case: Case) -> None:
    scores, asked, asked_from, people, cameras = case
    distinct = scores + np.arange(scores.shape[1]) * 1e-3
    ranking = ranked((distinct, asked, asked_from, people, cameras), camera_rule=False)
    for row, person, precision in zip(distinct, asked, ranking.average_precision, strict=True):
        truth = np.array(people) == person
        if truth.any():
            assert precision == pytest.approx(metrics.average_precision_score(truth, row))


def test_infinite_scores_are_ranked() -> None:
    scores = np.array([[-np.inf, np.inf, 0.0]])
    ranking = rank([scores], [1], [1], [1, 2, 3], [2, 2, 2], camera_rule=True)
    assert ranking.first_match.tolist() == [3]


def test_top_lists_the_best_with_ties_in_gallery_order() -> None:
    blocks = [np.array([[0.1, 0.5, 0.5]]), np.array([[0.3, 0.2, 0.9]])]
    assert top(blocks, 2).tolist() == [[1, 2], [2, 0]]
