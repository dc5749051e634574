"""A segment: some pictures of one part, row by row, under all nine codes. What a gallery's part consists of.

A segment is a value: an update makes another one, which shares what has not changed. Rows are appended behind
the last one that the older segments know of; a row that is no longer alive is looked at by no search, and is
overwritten when the last reader of an older segment has left (:mod:`service.index.versions`).

A *flat* segment is searched row by row, exactly. A *clustered* one (:mod:`service.index.clustering`) has its
rows in the order of lists of pictures that look alike, and a search looks into the lists that are nearest to
the query. The lists are the same under every code; their centroids are not. So a sum over codes, and all nine
features of a picture, need no more than one with one code.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from models import occlusion
from service.index.codec import Codec

__all__ = ["Lists", "Segment"]

_GATHER: Final = 8
"""Where one row of so many is looked at, or fewer, they are copied together and searched exactly: that is
quicker than to pass over the others, and lists would leave out most of so few."""

_PER_RESULT: Final = 16
"""A search of lists looks at so many rows at least for each result asked for."""

_DECODE: Final = 1024  # rows at a time, 2 MB at D = 512: they stay in the processor's cache

Rows = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Lists:
    """How a clustered segment's rows lie.

    Attributes:
        starts: int64 [L + 1], list l holds the rows from starts[l] up to starts[l + 1].
        centroids: float32 [9, L, D], the mean of each list's features; zeros where none is alive.
        order: int64 [n], rows in the order of their ids.
        share: of the rows that a search looks at, 0 to 1.
    """

    starts: Rows
    centroids: Floats
    order: Rows
    share: float


@dataclass(frozen=True, slots=True)
class Segment:
    """Pictures of one part. Arrays may have room for more than ``size``.

    Attributes:
        codec: how the features are stored.
        codes: uint8 [9, capacity, width].
        numbers: int64 [capacity], 0, 1, 2 and so on.
        ids, people: int64 [capacity].
        alive: bool [capacity]; true also where there is no row yet.
        size: rows, whether alive or not.
        count: rows alive.
        total: float64 [9, D], the sum of the features alive.
        ascending: whether ids grow from row to row, as the catalog's numbers do.
        lists: None: flat.
    """

    codec: Codec
    codes: npt.NDArray[np.uint8]
    numbers: Rows
    ids: Rows
    people: Rows
    alive: npt.NDArray[np.bool_]
    size: int
    count: int
    total: npt.NDArray[np.float64]
    ascending: bool = True
    lists: Lists | None = None

    @classmethod
    def empty(cls, codec: Codec, dimension: int, capacity: int) -> Segment:
        """A flat segment with room for so many pictures."""
        return cls(
            codec=codec,
            codes=codec.empty(capacity),
            numbers=np.arange(capacity),
            ids=np.empty(capacity, dtype=np.int64),
            people=np.empty(capacity, dtype=np.int64),
            alive=np.ones(capacity, dtype=np.bool_),
            size=0,
            count=0,
            total=np.zeros((occlusion.COUNT, dimension)),
        )

    @property
    def capacity(self) -> int:
        """Rows that there is room for."""
        return len(self.ids)

    # Updates

    def appended(self, ids: Rows, people: Rows, features: npt.NDArray[np.float16]) -> Segment:
        """With pictures behind the last row; there must be room. Older segments do not see them."""
        end = self.size + len(ids)
        self.codec.write(features, self.codes[:, self.size : end])
        self.ids[self.size : end] = ids
        self.people[self.size : end] = people
        before = self.ids[self.size - 1] if self.size else ids[0] - 1
        return replace(
            self,
            size=end,
            count=self.count + len(ids),
            total=self.total + features.sum(axis=0, dtype=np.float64),  # of 16 bits: exact
            ascending=self.ascending and bool((np.diff(ids, prepend=before) > 0).all()),
        )

    def moved(self, capacity: int) -> Segment:
        """A copy in new memory with room for so many, without the rows that are no longer alive."""
        rows = np.flatnonzero(self.alive[: self.size])
        made = Segment.empty(self.codec, self.total.shape[1], capacity)
        for start in range(0, len(rows), _DECODE):
            some = rows[start : start + _DECODE]
            for code in range(occlusion.COUNT):
                made.codes[code, start : start + len(some)] = self.codes[code].take(some, axis=0)
        made.ids[: len(rows)] = self.ids[rows]
        made.people[: len(rows)] = self.people[rows]
        return replace(made, size=len(rows), count=len(rows), total=self.total, ascending=self.ascending)

    def without(self, rows: Rows) -> Segment:
        """Where these rows, which are alive, no longer are. Their features stay until :meth:`overwrite`."""
        alive = self.alive.copy()
        alive[rows] = False
        total = self.total - self.sums(rows)
        return replace(self, alive=alive, count=self.count - len(rows), total=total)

    def assigned(self, rows: Rows, person: int) -> Segment:
        """Where these rows show another person."""
        people = self.people.copy()
        people[rows] = person
        return replace(self, people=people)

    def overwrite(self, rows: Rows) -> None:
        """Put zeros where these rows' features were, in this segment and all that share its memory.

        The means of their lists become those of the pictures that are left, and zeros where none is: the mean
        of one picture's features is those features. A search that reads such a mean meanwhile may take its
        list for nearer or farther than it is.
        """
        self.codes[:, rows] = 0
        if self.lists is None:
            return
        left, starts = self.alive[: self.size].copy(), self.lists.starts
        left[rows] = False
        for one in np.unique(np.searchsorted(starts, rows, side="right") - 1).tolist():
            members = starts[one] + np.flatnonzero(left[starts[one] : starts[one + 1]])
            self.lists.centroids[:, one] = self.sums(members) / max(1, len(members))

    # Reading

    def rows_of(self, ids: Rows) -> Rows:
        """The rows, alive, that hold pictures with one of these ids; int64, ascending."""
        order = None if self.lists is None else self.lists.order
        if order is None and not self.ascending:
            return np.flatnonzero(np.isin(self.ids[: self.size], ids) & self.alive[: self.size])
        at = np.searchsorted(self.ids[: self.size], ids, sorter=order)
        inside = at < self.size
        rows = at[inside] if order is None else order[at[inside]]
        found = np.sort(rows[(self.ids[rows] == ids[inside]) & self.alive[rows]])
        return found[np.diff(found, prepend=-1) > 0]  # each once; np.unique hashes, which takes longer

    def sums(self, rows: Rows) -> npt.NDArray[np.float64]:
        """The sum of these rows' features, float64 [9, D]."""
        total = np.zeros_like(self.total)
        for start in range(0, len(rows), _DECODE):
            some = rows[start : start + _DECODE]
            for code in range(occlusion.COUNT):
                total[code] += self.features(code, some).sum(axis=0, dtype=np.float64)
        return total

    def features(self, code: int, rows: Rows) -> Floats:
        """What is stored of some rows under one code, float32 [n, D]."""
        return self.codec.decode(code, self.codes[code].take(rows, axis=0))

    def nearest(self, terms: Mapping[int, Floats], k: int, rows: Rows | None) -> tuple[Floats, Rows]:
        """The k rows with the largest sums of inner products, in no order: scores, float32, and rows.

        Args:
            terms: code u -> [D]; the score is the sum over them.
            rows: that are looked at, ascending and alive; None: all that are alive.
        """
        members = self.count if rows is None else len(rows)
        k = min(k, members)
        if not k:
            return np.empty(0, dtype=np.float32), np.empty(0, dtype=np.int64)
        if members * _GATHER <= self.size:
            rows = np.flatnonzero(self.alive[: self.size]) if rows is None else rows
            asked = (
                (code, vector[None], self.codes[code].take(rows, axis=0)) for code, vector in terms.items()
            )
            products = self.codec.products(asked, len(terms), len(terms) * members)
            scores = products.reshape(len(terms), members).sum(axis=0)
            best = np.argpartition(-scores, k - 1)[:k]
            return scores[best], rows[best]
        wanted = self._wanted(rows)
        ranges = [(0, self.size)]
        if self.lists is not None:
            ranges = self._ranges(self.lists, terms, k, members, wanted)
        if len(terms) == 1:
            ((code, vector),) = terms.items()
            return self.codec.nearest(code, vector, self.codes[code], k, ranges, self.numbers, wanted)
        return self._nearest_of_sum(terms, k, ranges, wanted)

    def _nearest_of_sum(
        self,
        terms: Mapping[int, Floats],
        k: int,
        ranges: Sequence[tuple[int, int]],
        wanted: npt.NDArray[np.bool_] | None,
    ) -> tuple[Floats, Rows]:
        """The best of a sum need not be among the best of any term: every row's score is needed."""
        looked_at = sum(end - first for first, end in ranges)
        total = np.zeros(self.size, dtype=np.float32)
        rows = np.empty(0, dtype=np.int64)
        for code, vector in terms.items():
            scores, rows = self.codec.nearest(
                code, vector, self.codes[code], looked_at, ranges, self.numbers, wanted
            )
            total[rows] += scores
        best = rows[np.argpartition(-total[rows], min(k, len(rows)) - 1)[:k]] if len(rows) else rows
        return total[best], best

    def _wanted(self, rows: Rows | None) -> npt.NDArray[np.bool_] | None:
        if rows is None:
            return None if self.count == self.size else self.alive[: self.size]
        wanted = np.zeros(self.size, dtype=np.bool_)
        wanted[rows] = True
        return wanted

    def _ranges(
        self,
        lists: Lists,
        terms: Mapping[int, Floats],
        k: int,
        members: int,
        wanted: npt.NDArray[np.bool_] | None,
    ) -> list[tuple[int, int]]:
        """The lists nearest to the query, nearest first, until enough rows that may be found are in them."""
        starts = lists.starts
        near = np.zeros(len(starts) - 1, dtype=np.float32)
        for code, vector in terms.items():
            near += lists.centroids[code] @ vector
        nearest = np.argsort(-near)
        if wanted is None:
            held = np.diff(starts)
        else:
            held = np.diff(np.concatenate([[0], np.cumsum(wanted)])[starts])
        enough = max(lists.share * members, _PER_RESULT * k)
        last = int(np.searchsorted(np.cumsum(held[nearest]), enough)) + 1
        chosen = np.sort(nearest[:last])
        return list(zip(starts[chosen].tolist(), starts[chosen + 1].tolist(), strict=True))
