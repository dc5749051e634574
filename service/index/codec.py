"""How features are stored: 16 bits a component, the catalog's own, or 8.

Both are FAISS scalar quantizers. ``QT_fp16`` holds the very bits that the catalog stores, so that nothing is
lost. ``QT_8bit_direct_signed`` holds the nearest of 255 steps that reach as far as a component of that code
does in any of the pictures that are stored, so that nothing is cut off: the step's size is multiplied into
the query, so FAISS compares whole numbers' worth and the scores come out in cosines. Scores move by about
5e-4 with it.

Codes lie in arrays of ours, ``[9, n, bytes]``, so that a row is the same picture under every code, and can be
overwritten where it lies. FAISS gets their addresses: its inverted-list scanner multiplies while it decodes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, Final, Literal

import faiss
import numpy as np
import numpy.typing as npt

from models import occlusion

__all__ = ["Bits", "Codec"]

Bits = Literal[8, 16]

_STEPS: Final = 127
_HEADROOM: Final = 1.25
"""Pictures to come may have larger components: by so much before steps must be made anew."""

_QUANTIZERS: Final = {
    8: faiss.ScalarQuantizer.QT_8bit_direct_signed,
    16: faiss.ScalarQuantizer.QT_fp16,
}

Codes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]


class Codec:
    """One way to store features.

    Args:
        dimension: D.
        scale: float32 [9, D], the size of a step for each code and component: 8 bits; None: 16 bits.

    Attributes:
        bits: of a component.
        width: bytes of one feature.
    """

    def __init__(self, dimension: int, scale: Floats | None = None) -> None:
        self._dimension = dimension
        self._scale = scale
        self.bits: Bits = 16 if scale is None else 8
        self.width = dimension * self.bits // 8
        self._quantizer = faiss.IndexFlatIP(dimension)  # the index wants one; it is never searched
        self._index = faiss.IndexIVFScalarQuantizer(
            self._quantizer, dimension, 1, _QUANTIZERS[self.bits], faiss.METRIC_INNER_PRODUCT, False
        )
        self._index.is_trained = True  # neither kind learns anything

    @classmethod
    def reaching(cls, largest: Floats, before: Codec | None = None) -> Codec:
        """8 bits, with steps that reach components of these sizes, float32 [9, D].

        Args:
            largest: of all that is to be stored.
            before: steps that something is stored by; they are kept where they reach far enough.
        """
        if before is not None and before._scale is not None:
            reach = before._scale * _STEPS
            if (largest <= reach).all():
                return before
            largest = np.maximum(largest, reach / np.float32(_HEADROOM))
        return cls(largest.shape[1], np.maximum(largest, 1e-6) * np.float32(_HEADROOM / _STEPS))

    def empty(self, capacity: int) -> Codes:
        """Room for so many pictures, [9, capacity, width]; memory is taken as it is written."""
        return np.empty((occlusion.COUNT, capacity, self.width), dtype=np.uint8)

    def write(self, features: npt.NDArray[np.float16], into: Codes) -> None:
        """Store features [n, 9, D] in [9, n, width]."""
        if self._scale is None:
            into.view("<f2")[:] = features.transpose(1, 0, 2)  # IEEE halves, little endian, as they are
        else:
            for code in range(occlusion.COUNT):
                into[code] = self.encode(code, features[:, code].astype(np.float32))

    def encode(self, code: int, features: Floats) -> Codes:
        """Features under one code, [n, D], as [n, width]."""
        if self._scale is None:
            return np.ascontiguousarray(features, dtype="<f2").view(np.uint8)
        steps = np.rint(features / self._scale[code])
        codes: Codes = (np.clip(steps, -_STEPS, _STEPS) + 128).astype(np.uint8)
        return codes

    def decode(self, code: int, codes: Codes) -> Floats:
        """The features that are stored in [n, width], [n, D]."""
        features: Floats = self._index.sq.decode(np.ascontiguousarray(codes))
        return features if self._scale is None else features * self._scale[code]

    def nearest(
        self,
        code: int,
        vector: Floats,
        codes: Codes,
        k: int,
        ranges: Iterable[tuple[int, int]],
        numbers: npt.NDArray[np.int64],
        wanted: npt.NDArray[np.bool_] | None = None,
    ) -> tuple[Floats, npt.NDArray[np.int64]]:
        """The k rows with the largest inner product, in no order; fewer where there are fewer.

        Args:
            code: under which everything is stored here.
            vector: [D].
            codes: [n, width], contiguous.
            ranges: of rows, from and up to, that are looked at.
            numbers: 0, 1, 2 and so on, at least n.
            wanted: [n], which rows may be found; None: all.
        """
        query, unit = self._query(code, vector)
        scores = np.full(k, -np.inf, dtype=np.float32)
        rows = np.full(k, -1, dtype=np.int64)
        to_scores, to_rows = faiss.swig_ptr(scores), faiss.swig_ptr(rows)
        with self._scanner(_selector(wanted)) as scanner:
            scanner.set_query(faiss.swig_ptr(query))
            for first, end in ranges:
                if end > first:
                    scanner.scan_codes(
                        end - first,
                        faiss.swig_ptr(codes[first:end]),
                        faiss.swig_ptr(numbers[first:end]),
                        to_scores,
                        to_rows,
                        k,
                    )
        found = rows >= 0
        if not found.all():
            scores, rows = scores[found], rows[found]
        return scores * unit if unit != 1 else scores, rows

    def products(self, asked: Iterable[tuple[int, Floats, Codes]], vectors: int, products: int) -> Floats:
        """Inner products of vectors with stored features, by FAISS, which multiplies while it decodes.

        Decoding first takes longer. It is a search for what exceeds minus infinity: one for the n best
        would sort them.

        Args:
            asked: code, vectors [m, D] and codes [n, width], whose memory may change when the next are
                asked for.
            vectors: the sum of all m.
            products: the sum of all m · n.

        Returns:
            [products], those of each vector one behind the other.

        Raises:
            FloatingPointError: a product is no number.
        """
        found = faiss.RangeSearchResult(vectors)
        collected = faiss.RangeSearchPartialResult(found)  # type: ignore[attr-defined]  # not in the stubs
        units: list[np.float32] = []
        with self._scanner(None) as scanner:
            for code, some, codes in asked:
                numbers = _numbers(len(codes))
                where = (len(codes), faiss.swig_ptr(codes), faiss.swig_ptr(numbers))
                for vector in some:
                    query, unit = self._query(code, vector)
                    scanner.set_query(faiss.swig_ptr(query))
                    scanner.scan_codes_range(*where, -math.inf, collected.new_result(len(units)))
                    units.append(unit)
        collected.finalize()
        ends: npt.NDArray[np.int64] = faiss.rev_swig_ptr(found.lims, vectors + 1).astype(np.int64)
        if int(ends[-1]) != products:
            raise FloatingPointError("an inner product is no number")
        values: Floats = faiss.rev_swig_ptr(found.distances, products).copy()
        if self._scale is not None:
            values *= np.repeat(np.array(units, dtype=np.float32), np.diff(ends))
        return values

    @contextmanager
    def _scanner(self, selector: faiss.IDSelector | None) -> Iterator[Any]:
        scanner = self._index.get_InvertedListScanner(False, selector, None)
        try:
            yield scanner
        finally:
            # It is ours, but Python does not know, and to tell it by `thisown` spoils FAISS's types (1.15).
            scanner.__swig_destroy__(scanner)

    def _query(self, code: int, vector: Floats) -> tuple[Floats, np.float32]:
        """What FAISS is asked with, and by what its answers are multiplied."""
        if self._scale is None:
            return np.ascontiguousarray(vector, dtype=np.float32), np.float32(1)
        # where FAISS multiplies bytes it cuts the query to whole numbers, so the query gets steps of its own
        steps = (vector * self._scale[code]).astype(np.float32)
        unit = np.float32(max(float(np.abs(steps).max()), 1e-12) / _STEPS)
        return np.rint(steps / unit), unit


@lru_cache(maxsize=4)
def _numbers(count: int) -> npt.NDArray[np.int64]:
    """Names for that many codes: FAISS wants some, and nobody reads them."""
    return np.zeros(count, dtype=np.int64)


def _selector(wanted: npt.NDArray[np.bool_] | None) -> faiss.IDSelector | None:
    if wanted is None:
        return None
    # FAISS's stubs do not know what its Python side makes of arrays
    return faiss.IDSelectorBitmap(np.packbits(wanted, bitorder="little"))  # type: ignore[call-arg, arg-type]
