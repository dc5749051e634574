from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.evaluation.open_set import OpenSet, absent_people

RATES = (0.0, 0.3, 0.6)


def test_every_second_person_is_absent() -> None:
    assert absent_people([9, 4, 4, 7, 1]).tolist() == [4, 9]


def test_hand_worked_rates() -> None:
    # People 1 and 3 are enrolled, 2 and 4 are not. Answers: 1 right at .9, 3 wrong at .8; absent .7 and .95.
    scores = np.array([[0.9, 0.1, 1.0], [0.8, 0.2, 1.0], [0.7, 0.0, 1.0], [0.95, 0.0, 1.0]])
    open_set = OpenSet([2, 4], [1, 3, 2, 4], [1] * 4, [1, 3, 2], [2] * 3, camera_rule=True)
    list(open_set.watch([scores]))
    assert open_set.absent_queries == 2
    assert open_set.rates((0.0, 0.5)) == {0.0: 0.0, 0.5: 0.5}


@settings(deadline=None)
@given(st.integers(0, 2**31), st.booleans())
def test_rates_equal_the_definition(seed: int, camera_rule: bool) -> None:
    generator = np.random.default_rng(seed)
    scores = generator.integers(0, 8, (6, 10)) / 8
    asked, asked_from, people, cameras = labels = [generator.integers(0, 4, n) for n in (6, 6, 10, 10)]
    absent = absent_people(asked)
    open_set = OpenSet(absent, *labels, camera_rule=camera_rule)
    list(open_set.watch([scores[:4], scores[4:]]))
    alarms, answers = [], []
    for row in range(6):
        left = [
            i
            for i in range(10)
            if people[i] not in absent
            and not (camera_rule and people[i] == asked[row] and cameras[i] == asked_from[row])
        ]
        best = min(left, key=lambda i: (-scores[row, i], i)) if left else None
        score = -np.inf if best is None else scores[row, best]
        if any(people[i] == asked[row] for i in left):
            answers.append((score, people[best] == asked[row]))
        else:
            alarms.append(score)
    for rate, found in open_set.rates(RATES).items():
        if not alarms or not answers:
            assert found is None
            continue
        thresholds = [-np.inf, *np.unique(scores)]
        allowed = min(t for t in thresholds if sum(a > t for a in alarms) <= rate * len(alarms))
        assert found == pytest.approx(np.mean([right and score > allowed for score, right in answers]))
