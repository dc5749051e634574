from __future__ import annotations

import numpy as np
import pytest

from training.evaluation.ranking import rank, summarise
from training.evaluation.single_shot import SingleShot


def test_with_one_picture_a_person_every_trial_is_the_plain_ranking() -> None:
    scores = np.random.default_rng(0).random((20, 20))
    people, one, two = np.arange(20), np.ones(20, int), np.full(20, 2)
    trials = SingleShot(3, people, one, people, two, camera_rule=True)
    list(trials.watch([scores[:7], scores[7:]]))
    ranking = rank([scores], people, one, people, two, camera_rule=True)
    assert (trials.ranks == ranking.first_match).all()
    assert trials.cmc() == pytest.approx(summarise(ranking).cmc)


def test_pictures_are_drawn_evenly() -> None:
    # Person 1 has a picture that ranks first and one that ranks last: half the trials draw either.
    scores = np.array([[0.9, 0.1, 0.5]])
    trials = SingleShot(2000, [1], [1], [1, 1, 2], [2, 2, 2], camera_rule=True)
    list(trials.watch([scores]))
    assert 45 < trials.cmc()[0] < 55
    assert trials.cmc()[1] == 100.0


def test_what_the_camera_rule_ignores_is_not_drawn() -> None:
    scores = np.array([[0.9, 0.1, 0.5]])
    trials = SingleShot(50, [1], [1], [1, 1, 2], [1, 2, 2], camera_rule=True)
    list(trials.watch([scores]))
    assert (trials.ranks == 2).all()


def test_same_seed_same_trials_and_queries_without_a_match_are_left_out() -> None:
    scores = np.random.default_rng(0).random((2, 9))
    labels = ([1, 8], [1, 1], np.arange(9) // 3, np.full(9, 2))
    runs = [SingleShot(5, *labels, camera_rule=True) for _ in range(2)]
    for run in runs:
        list(run.watch([scores]))
    assert (runs[0].ranks == runs[1].ranks).all()
    assert (runs[0].ranks[:, 1] == 0).all()
    assert runs[0].cmc()[2] == 100.0


def test_no_trials_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one trial"):
        SingleShot(0, [1], [1], [1], [2], camera_rule=True)
