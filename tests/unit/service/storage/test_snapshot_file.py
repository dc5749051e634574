from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models import occlusion
from service.storage.snapshot_file import Records, SnapshotFile, SnapshotRefused
from service.storage.ulid import new_ulid

DIMENSION = 4
MODEL = "a" * 64


def records(first: int, count: int) -> Records:
    features = np.random.default_rng(first).normal(size=(count, occlusion.COUNT, DIMENSION))
    return Records(
        np.arange(first, first + count),
        np.array([new_ulid() for _ in range(count)], "S26"),
        features.astype(np.float16),
    )


def some(of: Records, rows: list[int]) -> Records:
    return Records(of.numbers[rows], of.ids[rows], of.features[rows])


def opened(path: Path, model: str = MODEL, catalog: str = "catalog", gallery: int = 1) -> SnapshotFile:
    return SnapshotFile(path, catalog, gallery, model, DIMENSION)


def written(path: Path, *all: Records) -> None:
    file = opened(path)
    assert list(file.read(np.empty(0, np.int64), np.empty(0, "S26"))) == []
    for part in all:
        file.write(part)
    file.close()


def read(path: Path, there: Records) -> dict[int, bytes]:
    """Number -> features' bytes of what the file gives of the pictures that are there."""
    file = opened(path)
    found = {
        int(number): features.tobytes()
        for part in file.read(there.numbers, there.ids)
        for number, features in zip(part.numbers, part.features, strict=True)
    }
    file.close()
    return found


def truth(of: Records) -> dict[int, bytes]:
    return {int(n): features.tobytes() for n, features in zip(of.numbers, of.features, strict=True)}


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    all = records(1, 7)
    written(tmp_path / "s", some(all, [0, 1, 2, 3]), some(all, [3, 4, 5, 6]))
    assert read(tmp_path / "s", all) == truth(all)
    assert (tmp_path / "s").stat().st_size == 4096 + 7 * (32 + 8 + 26 + 9 * DIMENSION * 2)


def test_a_picture_that_is_gone_or_whose_number_is_anothers_is_overwritten(tmp_path: Path) -> None:
    all, later = records(1, 5), records(2, 1)
    written(tmp_path / "s", all)
    there = Records(all.numbers[1:], all.ids[1:].copy(), all.features[1:])
    there.ids[0] = later.ids[0]  # picture 2 of a catalog that went back to a backup and on from there
    assert read(tmp_path / "s", there) == truth(some(all, [2, 3, 4]))
    content = (tmp_path / "s").read_bytes()
    for row, held in enumerate([False, False, True, True, True]):
        assert (all.features[row].tobytes() in content) == held
        assert (bytes(all.ids[row]) in content) == held


def test_erased_features_leave_the_file_at_once_and_their_place_is_taken_again(tmp_path: Path) -> None:
    all, later = records(1, 6), records(7, 3)
    file = opened(tmp_path / "s")
    file.write(all)
    size = (tmp_path / "s").stat().st_size
    file.erase([2, 5, 99])
    content = (tmp_path / "s").read_bytes()
    assert [row for row in range(6) if all.features[row].tobytes() in content] == [0, 2, 3, 5]
    file.write(later)
    file.close()
    assert (tmp_path / "s").stat().st_size == size + file.record_bytes
    left = some(all, [0, 2, 3, 5])
    there = Records(*(np.concatenate(pair) for pair in zip(_fields(left), _fields(later), strict=True)))
    assert read(tmp_path / "s", there) == truth(left) | truth(later)


def _fields(of: Records) -> tuple[np.ndarray, ...]:
    return of.numbers, of.ids, of.features


@pytest.mark.parametrize(
    ("other", "named"),
    [({"model": "b" * 64}, "model"), ({"catalog": "another"}, "catalog"), ({"gallery": 2}, "gallery")],
)
def test_a_snapshot_of_something_else_is_refused(tmp_path: Path, other: dict[str, str], named: str) -> None:
    written(tmp_path / "s", records(1, 2))
    with pytest.raises(SnapshotRefused, match=f"another {named}"):
        opened(tmp_path / "s", **other)  # type: ignore[arg-type]


@given(
    damage=st.lists(st.tuples(st.integers(0, 10**6), st.integers(1, 255)), min_size=1, max_size=20),
    cut=st.none() | st.integers(0, 10**6),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_damaged_nothing_wrong_is_read(
    tmp_path: Path, damage: list[tuple[int, int]], cut: int | None
) -> None:
    path, all = tmp_path / "s", records(1, 40)
    path.unlink(missing_ok=True)
    written(path, all)
    content = bytearray(path.read_bytes())
    hit = set()
    for place, flip in damage:
        content[place % len(content)] ^= flip
        hit.add(place % len(content))
    if cut is not None:
        content = content[: cut % len(content)]
    path.write_bytes(content)
    try:
        found = read(path, all)
    except SnapshotRefused:
        assert min(hit) < 4096 or len(content) < 4096
        return
    assert found.items() <= truth(all).items()
    size = 32 + 8 + 26 + 9 * DIMENSION * 2
    whole = (len(content) - 4096) // size
    spoilt = {(place - 4096) // size for place in hit}
    assert len(found) >= max(0, whole) - len(spoilt)
    assert read(path, all) == found  # mended: what was damaged has been overwritten
