"""Identity-balanced batches: P people, K pictures of each (Hermans et al., 2017)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["IdentitySampler"]


class IdentitySampler:
    """Batches of ``people`` × ``pictures`` rows, the same for the same seed and epoch.

    In an epoch every picture is drawn about once: each person's pictures are shuffled and cut into
    groups of K (the last filled up from the person's own pictures), and batches are made by taking one
    group from each of P different people. Every epoch has the same number of batches; towards its end,
    when fewer than P people have a group left, others are drawn a second time.

    An epoch's batches depend on nothing but seed and epoch, so a run that resumes in the middle of one
    sees what the uninterrupted run would have seen.

    With K = 1 the batches are plain ones, for losses that compare nobody: all pictures shuffled and cut
    into P at a time, whoever they show; the incomplete last batch is left out.

    Args:
        identities: int64 [N].
        people: P. pictures: K.
        seed: of the shuffling.

    Raises:
        ValueError: there are fewer than P people (pictures, with K = 1), or one has fewer than two
            pictures.
    """

    def __init__(self, identities: npt.NDArray[np.int64], people: int, pictures: int, seed: int) -> None:
        names, counts = np.unique(identities, return_counts=True)
        if pictures == 1 and len(identities) < people:
            raise ValueError(f"a batch needs {people} pictures, the data has {len(identities)}")
        if pictures > 1 and len(names) < people:
            raise ValueError(f"a batch needs {people} people, the data has {len(names)}")
        if pictures > 1 and counts.min() < 2:
            lonely = names[counts.argmin()]
            raise ValueError(
                f"identity {lonely} has one picture only; the triplet loss needs at least two of each person"
            )
        self._rows = [np.flatnonzero(identities == name) for name in names]
        self._people, self._pictures, self._seed = people, pictures, seed

    def __len__(self) -> int:
        """Batches in an epoch."""
        if self._pictures == 1:
            return sum(map(len, self._rows)) // self._people
        groups = sum(-(-len(rows) // self._pictures) for rows in self._rows)
        return max(groups // self._people, 1)

    def epoch(self, number: int) -> npt.NDArray[np.int64]:
        """Rows of all batches of an epoch: int64 [batches, P·K], a person's K rows side by side."""
        random = np.random.Generator(np.random.PCG64(np.random.SeedSequence((self._seed, number))))
        if self._pictures == 1:
            shuffled = random.permutation(np.concatenate(self._rows))
            return shuffled[: len(self) * self._people].reshape(len(self), self._people)
        groups = [self._groups(rows, random) for rows in self._rows]
        left = np.array([len(of_person) for of_person in groups])
        batches = []
        for _ in range(len(self)):
            # Drawing without replacement, each person as likely as they have groups left: Efraimidis and
            # Spirakis (2006). People without any come last, and are shuffled anew.
            key = np.where(
                left > 0, random.random(len(left)) ** (1.0 / np.maximum(left, 1)), -random.random(len(left))
            )
            chosen = np.argsort(-key)[: self._people]
            for person in chosen[left[chosen] == 0]:
                groups[person] = self._groups(self._rows[person], random)
                left[person] = len(groups[person])
            left[chosen] -= 1
            batches.append(np.concatenate([groups[person][left[person]] for person in chosen]))
        return np.stack(batches)

    def _groups(
        self, rows: npt.NDArray[np.int64], random: np.random.Generator
    ) -> list[npt.NDArray[np.int64]]:
        """A person's rows, shuffled and cut into groups of K."""
        shuffled = random.permutation(rows)
        short = -len(shuffled) % self._pictures
        if short:
            shuffled = np.concatenate((shuffled, random.choice(rows, short, replace=len(rows) < short)))
        return list(shuffled.reshape(-1, self._pictures))
