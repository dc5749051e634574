"""One gallery's features in a file that is read in one sweep: fixed-size records, each sealed by itself.

A record is one picture: its number and public id, and F(i, u) under every code, as the catalog has them. Its
seal is a SHA-256 over the file's header and the record, so that a record that was damaged, written half, or
belongs to another model, catalog or gallery does not pass. A picture that is erased is overwritten with
zeros where it lies; its place is taken by a later one.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from models import occlusion

__all__ = ["Records", "SnapshotFile", "SnapshotRefused"]

_FORMAT: Final = 1
_HEADER_BYTES: Final = 4096
_SEAL_BYTES: Final = 32
_FREE: Final = 0  # catalogs number pictures from 1
_AT_ONCE: Final = 4096  # records read at a time, 38 MB at D = 512


class SnapshotRefused(ValueError):
    """The file is not the snapshot that was asked for. The message says why."""


@dataclass(frozen=True, slots=True)
class Records:
    """Pictures with their features.

    Attributes:
        numbers: int64 [n], the catalog's.
        ids: S26 [n], public ids. A number comes again after a catalog went back to a backup; an id does not.
        features: float16 [n, 9, D].
    """

    numbers: npt.NDArray[np.int64]
    ids: npt.NDArray[np.bytes_]
    features: npt.NDArray[np.float16]


class SnapshotFile:
    """Open a snapshot, or begin one where there is none. Not safe to call from several threads at once.

    Args:
        path: of the file; its folder is there.
        catalog, gallery, model: id, number and fingerprint that it must be of.
        dimension: D of the features.

    Attributes:
        damaged: records that :meth:`read` met and whose seal did not hold.

    Raises:
        SnapshotRefused: it is of another catalog, gallery, model or format, or its header is damaged.
        OSError: it cannot be read, or not be made.
    """

    def __init__(self, path: Path, catalog: str, gallery: int, model: str, dimension: int) -> None:
        features = ("features", "<f2", (occlusion.COUNT, dimension))
        self._record = np.dtype(
            [("seal", f"V{_SEAL_BYTES}"), ("number", "<i8"), ("id", "S26"), features]  # packed
        )
        about = {
            "format": _FORMAT,
            "catalog": catalog,
            "gallery": gallery,
            "model": model,
            "dimension": dimension,
        }
        header = json.dumps(about).encode().ljust(_HEADER_BYTES)
        self._header_hash = hashlib.sha256(header)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            found = os.pread(self._file, _HEADER_BYTES, 0)
            if not found:
                _write(self._file, header, 0)
            elif found != header:
                raise SnapshotRefused(_difference(found, about))
            size = max(_HEADER_BYTES, os.fstat(self._file).st_size)
            records, torn = divmod(size - _HEADER_BYTES, self._record.itemsize)
            if torn:  # a write was cut off
                os.ftruncate(self._file, self._place(records))
        except BaseException:
            os.close(self._file)
            raise
        self.damaged = 0
        self._numbers = np.full(records, _FREE, dtype=np.int64)  # of the picture at each place
        self._free: list[int] = []

    @property
    def record_bytes(self) -> int:
        """What one picture takes."""
        return int(self._record.itemsize)

    def read(self, numbers: npt.NDArray[np.int64], ids: npt.NDArray[np.bytes_]) -> Iterator[Records]:
        """The records of the pictures that there are, each once; to be called once, before any other call.

        Whatever else is in the file is overwritten with zeros: what is damaged, and pictures that are gone.

        Args:
            numbers: int64 [n], of the pictures that there are, ascending.
            ids: S26 [n], their public ids.

        Raises:
            OSError: the file cannot be read, or not be written.
        """
        seen = np.zeros(len(numbers), dtype=np.bool_)
        size = self._record.itemsize
        nothing = bytes(size)
        for start in range(0, len(self._numbers), _AT_ONCE):
            count = min(_AT_ONCE, len(self._numbers) - start)
            content = memoryview(os.pread(self._file, count * size, self._place(start)))
            records = np.frombuffer(content, self._record, len(content) // size)
            at = np.searchsorted(numbers, records["number"])
            there = at < len(numbers)
            there[there] = numbers[at[there]] == records["number"][there]
            there[there] = ids[at[there]] == records["id"][there]
            kept: list[int] = []
            gone: list[int] = []
            for row in range(len(records)):
                record = content[row * size : (row + 1) * size]
                whole = self._holds(record)
                if whole and there[row] and not seen[at[row]]:
                    seen[at[row]] = True
                    kept.append(row)
                elif record != nothing:
                    self.damaged += not whole
                    gone.append(start + row)
            self._numbers[[start + row for row in kept]] = records["number"][kept]
            self._clear(gone)
            given = (
                records if len(kept) == len(records) else records[kept]
            )  # without a copy where none is bad
            yield Records(given["number"], given["id"], given["features"])
        self._free = np.flatnonzero(self._numbers == _FREE)[::-1].tolist()
        os.fsync(self._file)

    def write(self, records: Records) -> None:
        """Add pictures; those that are in it already are passed over.

        Nothing is flushed: what a power cut takes is missing afterwards, or its seal does not hold.

        Raises:
            OSError: not all could be written; those that were are in it.
        """
        new = np.flatnonzero(~np.isin(records.numbers, self._numbers)).tolist()
        lacking = max(0, len(new) - len(self._free))
        places = np.arange(len(self._numbers), len(self._numbers) + lacking)
        self._numbers = np.append(self._numbers, np.full(lacking, _FREE, dtype=np.int64))
        self._free = places[::-1].tolist() + self._free
        record = np.zeros(1, dtype=self._record)
        for row in new:
            number = records.numbers[row]
            record["number"], record["id"], record["features"] = (
                number,
                records.ids[row],
                records.features[row],
            )
            body = record.tobytes()[_SEAL_BYTES:]
            # known to erase() before a byte of it is on the disk
            place = self._free.pop()
            self._numbers[place] = number
            _write(self._file, self._seal(body) + body, self._place(place))

    def erase(self, numbers: Sequence[int]) -> None:
        """Overwrite pictures with zeros; numbers that are not there are passed over. Durable on return.

        Raises:
            OSError: it could not be done.
        """
        places = np.flatnonzero(np.isin(self._numbers, np.asarray(numbers, dtype=np.int64))).tolist()
        if places:
            self._clear(places)
            self._free += places
            os.fsync(self._file)

    def close(self) -> None:
        """Close the file; no other call may follow."""
        os.close(self._file)

    def _clear(self, places: Sequence[int]) -> None:
        for place in places:
            _write(self._file, bytes(self._record.itemsize), self._place(place))
            self._numbers[place] = _FREE

    def _holds(self, record: memoryview) -> bool:
        return record[:_SEAL_BYTES] == self._seal(record[_SEAL_BYTES:])

    def _seal(self, body: bytes | memoryview) -> bytes:
        seal = self._header_hash.copy()
        seal.update(body)
        return seal.digest()

    def _place(self, record: int) -> int:
        return _HEADER_BYTES + record * self._record.itemsize


def _write(file: int, content: bytes, place: int) -> None:
    while content:  # a disk that fills up takes a part
        written = os.pwrite(file, content, place)
        content, place = content[written:], place + written


def _difference(found: bytes, about: dict[str, Any]) -> str:
    """In what a header is not the one that was expected."""
    try:
        other = json.loads(found)
        differing = [name for name, value in about.items() if other[name] != value]
    except (ValueError, LookupError, TypeError):
        differing = []
    return f"it is of another {' and '.join(differing)}" if differing else "its header is damaged"
