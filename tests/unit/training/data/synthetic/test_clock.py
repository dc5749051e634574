"""What the times of a drawn data set promise."""

from __future__ import annotations

import itertools
from datetime import datetime

from training.data.synthetic.clock import FRAMES_PER_SECOND, moment, timestamp


def test_all_cameras_record_the_same_hour() -> None:
    spans = []
    for camera in range(1, 7):
        frames = [moment(7, person, camera, 0) for person in range(1, 300)]
        spans.append((min(frames), max(frames)))
    for one, other in itertools.combinations(spans, 2):
        together = min(one[1], other[1]) - max(one[0], other[0])
        assert together > 0.9 * (max(one[1], other[1]) - min(one[0], other[0]))


def test_a_person_passes_all_cameras_within_two_minutes_in_an_order_of_its_own() -> None:
    orders = set()
    for person in range(1, 40):
        frames = [moment(7, person, camera, 0) for camera in range(1, 5)]
        assert max(frames) - min(frames) <= 120 * FRAMES_PER_SECOND
        orders.add(tuple(sorted(range(4), key=frames.__getitem__)))
    assert len(orders) > 10


def test_pictures_of_a_passage_follow_each_other_by_about_a_second() -> None:
    frames = [moment(7, 3, 2, index) for index in range(6)]
    steps = {late - early for early, late in itertools.pairwise(frames)}
    assert len(steps) == 1
    assert 0.5 <= steps.pop() / FRAMES_PER_SECOND <= 1.5


def test_times_are_read_back_by_any_reader_of_iso_8601() -> None:
    assert timestamp(0) == "2026-03-02T08:00:00.000Z"
    later = datetime.fromisoformat(timestamp(90_001)) - datetime.fromisoformat(timestamp(0))
    assert later.total_seconds() == 3600.04
