"""Rank-k and mAP of rank lists: by hand, and against the offline evaluation's own measures."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.bench.measures import Candidate, Figures, Outcome, figures, judge
from training.evaluation.ranking import rank, summarise


def test_average_precision_is_the_mean_of_precision_at_the_matches() -> None:
    ranked = [Candidate(n, 1.0 - n / 10, person, 1) for n, person in enumerate([5, 7, 5, 7])]
    assert judge(ranked, 7, 2, camera_rule=True) == Outcome(2, (1 / 2 + 2 / 4) / 2)


def test_camera_rule_ignores_the_query_s_own_person_and_camera_only() -> None:
    ranked = [Candidate(0, 0.9, 7, 1), Candidate(1, 0.8, 5, 1), Candidate(2, 0.7, 7, 2)]
    assert judge(ranked, 7, 1, camera_rule=True) == Outcome(2, 1 / 2)
    assert judge(ranked, 7, 1, camera_rule=False) == Outcome(1, (1 + 2 / 3) / 2)


def test_query_without_a_match_to_find_is_left_out() -> None:
    assert judge([Candidate(0, 0.9, 7, 1)], 7, 1, camera_rule=True) is None
    assert figures([None, Outcome(1, 1.0)]) == Figures(100, 100, 100, 100, 1)
    assert figures([None]) == Figures(0, 0, 0, 0, 0)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    queries=st.integers(1, 8),
    gallery=st.integers(1, 30),
    camera_rule=st.booleans(),
)
def test_measures_agree_with_the_offline_evaluation_ties_included(
    seed: int, queries: int, gallery: int, camera_rule: bool
) -> None:
    dice = np.random.default_rng(seed)
    scores = dice.integers(0, 6, (queries, gallery)) / 8  # few values, so that many are equal
    asked, asked_from = dice.integers(0, 4, queries), dice.integers(0, 2, queries)
    people, cameras = dice.integers(0, 4, gallery), dice.integers(0, 2, gallery)
    outcomes = []
    for query in range(queries):
        answered = [
            Candidate(int(n), float(scores[query, n]), int(people[n]), int(cameras[n]))
            for n in dice.permutation(gallery)
        ]
        outcomes.append(judge(answered, int(asked[query]), int(asked_from[query]), camera_rule=camera_rule))
    ours = figures(outcomes)
    theirs = summarise(rank([scores], asked, asked_from, people, cameras, camera_rule=camera_rule))
    assert ours.queries == theirs.queries
    assert (ours.rank1, ours.rank5, ours.rank10, ours.map) == pytest.approx(
        (theirs.rank1, theirs.rank5, theirs.rank10, theirs.map)
    )
