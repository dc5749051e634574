from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from training.calibration.pairs import compare_all, pool_of
from training.data.records import DatasetError, Occluder, Picture, Protocol
from training.evaluation.unified import Choice

OCCLUDER = Occluder(4, Path("donor"), (0.0, 0.0, 0.5, 0.5))


def picture(name: str, person: int, camera: int) -> Picture:
    return Picture(Path(name), person, camera)


QUERY = (picture("a1", 7, 1), picture("b1", 9, 1))
GALLERY = (
    picture("a2", 7, 2),
    picture("a3", 7, 1),
    picture("b2", 9, 2),
    picture("d", 0, 3),
    picture("e", 0, 4),
)
WHOLE = Protocol("whole", (), QUERY, GALLERY, camera_rule=True, note="")
COVERED = replace(WHOLE, name="covered", query=tuple(replace(p, occluder=OCCLUDER) for p in QUERY))


class Vectors:
    """A side whose feature is the same under every code: one axis a picture, so that scores name pairs."""

    def __init__(self, count: int) -> None:
        self.codes = np.arange(count) % 3
        generator = np.random.default_rng(0)
        vectors = generator.normal(size=(count, 8))
        self.vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)

    def features(self, rows: np.ndarray, codes: np.ndarray | int) -> np.ndarray:
        return self.vectors[rows]


def names_of_pairs(protocols: list[Protocol]) -> dict[tuple[str, str], bool]:
    """Which pictures were compared ("+": covered), and whether they were taken for one person."""
    pool = pool_of(protocols, most=100)
    pairs = compare_all(Vectors(len(pool.pictures)), pool, Choice("off"))  # type: ignore[arg-type]

    def name(place: int) -> str:
        one = pool.pictures[place]
        return one.path.name + ("+" if one.occluder else "")

    return {
        (name(a), name(b)): bool(same)
        for a, b, same in zip(pairs.first.tolist(), pairs.second.tolist(), pairs.same.tolist(), strict=True)
    }


def test_pairs_that_say_nothing_are_left_out() -> None:
    found = names_of_pairs([WHOLE])
    assert {pair for pair, same in found.items() if same} == {("a1", "a2"), ("a2", "a3"), ("b1", "b2")}
    assert ("a1", "a3") not in found  # one camera
    assert ("d", "e") not in found  # nobody knows who they are
    assert found[("a1", "d")] is False
    assert found[("a1", "b1")] is False  # the camera rule is about one person
    assert len(found) == 21 - 2


def test_protocols_on_the_same_files_share_their_people() -> None:
    found = names_of_pairs([WHOLE, COVERED])
    assert found[("a1", "a2")]
    assert found[("a1+", "a2")]
    assert found[("a1", "b1+")] is False
    assert ("a1", "a1+") not in found  # two versions of one picture


def test_other_data_sets_are_not_compared() -> None:
    other = Protocol(
        "other",
        (),
        (picture("x1", 7, 1),),
        (picture("x2", 7, 2), picture("x3", 8, 2)),
        camera_rule=False,
        note="",
    )
    found = names_of_pairs([WHOLE, other])
    assert not any((a[0] == "x") != (b[0] == "x") for a, b in found)
    assert found[("x1", "x2")] is True
    assert found[("x1", "x3")] is False


def test_scores_and_kinds_belong_to_their_pairs() -> None:
    pool = pool_of([WHOLE], most=100)
    side = Vectors(len(pool.pictures))
    pairs = compare_all(side, pool, Choice("off"))  # type: ignore[arg-type]
    for score, kind, a, b in zip(pairs.scores, pairs.kinds, pairs.first, pairs.second, strict=True):
        assert score == pytest.approx(float(side.vectors[a] @ side.vectors[b]), abs=1e-6)
        low, high = sorted((int(side.codes[a]), int(side.codes[b])))
        assert kind == low * 9 - low * (low - 1) // 2 + high - low


def test_too_many_pictures_leave_people_out_whole() -> None:
    pool = pool_of([WHOLE], most=5)
    assert 0 < len(pool.pictures) <= 5
    everybody = pool_of([WHOLE], most=100)
    kept = {one.path.name for one in pool.pictures}
    for person in set(everybody.people.tolist()):
        of_person = {
            one.path.name
            for one, who in zip(everybody.pictures, everybody.people, strict=True)
            if who == person
        }
        assert of_person <= kept or not of_person & kept
    with pytest.raises(DatasetError, match="allow more"):
        pool_of([WHOLE], most=1)


def test_who_asks_comes_first() -> None:
    pool = pool_of([WHOLE, COVERED], most=100)
    assert pool.asks.tolist() == sorted(pool.asks.tolist(), reverse=True)
    assert pool.asks.sum() == 4
