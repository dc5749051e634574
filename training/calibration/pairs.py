"""Who meets whom when a model is calibrated: every two pictures of the protocols' people. No torch.

Both sides of all protocols make one pool, in which every picture is compared with every other: so that two
occluded pictures meet as well, which no protocol's queries and gallery do. Left out are pairs that say
nothing: the same person in the same camera where the protocol has the camera rule, two versions of one
picture, two pictures of somebody who never asks (distractors, of whom nobody knows who they are), and
pictures of two data sets, which any model tells apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.calibration import pair_of
from training.data.records import DatasetError, Occluder, Picture, Protocol
from training.evaluation.unified import Choice, Side, compare

__all__ = ["Pairs", "Pool", "compare_all", "pool_of"]


@dataclass(frozen=True, slots=True)
class Pool:
    """Pictures to be compared with each other.

    Attributes:
        pictures: n, each once; those that ask come first.
        people: int64 [n], unique over all data sets.
        cameras: int64 [n].
        files: int64 [n], the same for versions of one picture.
        sets: int64 [n], which data set each is from.
        asks, answers: bool [n], whether it stands on the query side, and on the gallery's.
        known: bool [n], whether its person ever asks.
        camera_rule: bool [n], whether its protocol ignores pictures of one person and camera.
    """

    pictures: tuple[Picture, ...]
    people: npt.NDArray[np.int64]
    cameras: npt.NDArray[np.int64]
    files: npt.NDArray[np.int64]
    sets: npt.NDArray[np.int64]
    asks: npt.NDArray[np.bool_]
    answers: npt.NDArray[np.bool_]
    known: npt.NDArray[np.bool_]
    camera_rule: npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Pairs:
    """P pairs of pictures of a pool.

    Attributes:
        scores: float32 [P].
        same: bool [P], whether both show one person.
        kinds: int64 [P], places in ``models.calibration.PAIRS``.
        first, second: int64 [P], the pictures' places in the pool.
    """

    scores: npt.NDArray[np.float32]
    same: npt.NDArray[np.bool_]
    kinds: npt.NDArray[np.int64]
    first: npt.NDArray[np.int64]
    second: npt.NDArray[np.int64]

    def of(self, chosen: npt.NDArray[np.bool_]) -> Pairs:
        """Some of the pairs: bool [P]."""
        columns = (self.scores, self.same, self.kinds, self.first, self.second)
        return Pairs(*(column[chosen] for column in columns))  # type: ignore[arg-type]


def pool_of(protocols: Sequence[Protocol], most: int, seed: int = 0) -> Pool:
    """The pool of all pictures of these protocols, or of some people where that would be too many.

    Protocols that share a picture file are of one data set, and their people the same.

    Args:
        most: pictures at most; people are left out at random, each with all pictures.

    Raises:
        DatasetError: there are no pictures, or nobody asks who also has another picture.
    """
    set_of_path: dict[object, int] = {}
    found: dict[tuple[object, Occluder | None], int] = {}
    pictures: list[Picture] = []
    rows: list[tuple[int, bool]] = []
    asks: list[bool] = []
    answers: list[bool] = []
    for number, protocol in enumerate(protocols):
        sides = ((protocol.query, asks), (protocol.gallery, answers))
        data_set = next(
            (set_of_path[p.path] for side, _ in sides for p in side if p.path in set_of_path), number
        )
        for side, role in sides:
            for picture in side:
                set_of_path[picture.path] = data_set
                place = found.setdefault((picture.path, picture.occluder), len(pictures))
                if place == len(pictures):
                    pictures.append(picture)
                    rows.append((data_set, protocol.camera_rule))
                    asks.append(False)
                    answers.append(False)
                role[place] = True
    if not pictures:
        raise DatasetError("there are no pictures to calibrate on")
    sets = np.array([data_set for data_set, _ in rows], dtype=np.int64)
    own = np.array([picture.person for picture in pictures], dtype=np.int64)
    people = np.unique(np.stack([sets, own]), axis=1, return_inverse=True)[1].reshape(-1).astype(np.int64)
    whole = Pool(
        tuple(pictures),
        people,
        np.array([picture.camera for picture in pictures], dtype=np.int64),
        np.unique([str(picture.path) for picture in pictures], return_inverse=True)[1].astype(np.int64),
        sets,
        np.array(asks),
        np.array(answers),
        np.isin(people, people[np.array(asks)]),
        np.array([rule for _, rule in rows]),
    )
    kept = np.argsort(~whole.asks, kind="stable")
    if len(pictures) > most:
        kept = kept[_fewer(whole.people[kept], most, seed)]
        if not len(kept):
            raise DatasetError(f"not one person has as few as {most} pictures: allow more")
    return Pool(
        tuple(whole.pictures[place] for place in kept),
        *(
            getattr(whole, name)[kept]
            for name in ("people", "cameras", "files", "sets", "asks", "answers", "known", "camera_rule")
        ),
    )


def _fewer(people: npt.NDArray[np.int64], most: int, seed: int) -> npt.NDArray[np.bool_]:
    """Which pictures stay: some people, drawn at random, with all their pictures, ``most`` in all."""
    order = np.random.default_rng(seed).permutation(people.max() + 1)
    counts = np.bincount(people)[order]
    return np.isin(people, order[np.cumsum(counts) <= most])


def compare_all(side: Side, pool: Pool, choice: Choice) -> Pairs:
    """Scores of all pairs that say something.

    Of a picture that asks and one that does not, the former is the query, which counts for the fused score.

    Args:
        side: the pool's pictures, required what ``choice`` needs.
    """
    blocks: list[Pairs] = []
    start = 0
    every = np.arange(len(pool.people))
    for scores in compare(side, side, choice):
        rows = every[start : start + len(scores)]
        start += len(scores)
        same = pool.people[rows][:, None] == pool.people
        unclear = (pool.cameras[rows][:, None] == pool.cameras) & pool.camera_rule[rows][:, None]
        unclear |= ~pool.known[rows][:, None] | (pool.files[rows][:, None] == pool.files)
        counted = (every > rows[:, None]) & (pool.sets[rows][:, None] == pool.sets) & ~(same & unclear)
        first, second = np.nonzero(counted)
        kinds = pair_of(side.codes[rows][first], side.codes[second])
        blocks.append(Pairs(scores[counted], same[counted], kinds, rows[first], second))
    columns = zip(*((b.scores, b.same, b.kinds, b.first, b.second) for b in blocks), strict=True)
    return Pairs(*(np.concatenate(column) for column in columns))
