from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.drawn_matlab import cells, write_matlab_5, write_matlab_73
from training.data import cuhk03, cuhk03_release
from training.data.matlab import MatFile
from training.data.records import DatasetError, people
from training.evaluation import protocols

Write = Callable[[Path, dict[str, Any]], None]
PEOPLE = (3, 2, 1, 1, 1)
MISSING = {(1, 2, 4), (1, 2, 9), (2, 1, 0)}
"""Pair, person, picture: empty cells, as the release has them where a picture is missing."""


def pixels(pair: int, person: int, picture: int) -> np.ndarray:
    """A picture of a size of its own, with no symmetry that a wrong order of axes could hide in."""
    shape = (20 + pair, 8 + person, 3)
    return np.random.default_rng((pair, person, picture)).integers(0, 256, shape).astype(np.uint8)


def _pair(pair: int, count: int) -> np.ndarray:
    def cell(person: int, picture: int) -> np.ndarray:
        missing = (pair, person, picture) in MISSING
        return np.empty((0, 0), dtype=np.uint8) if missing else pixels(pair, person, picture)

    return cells([[cell(person, picture) for picture in range(10)] for person in range(1, count + 1)])


@pytest.fixture(params=[write_matlab_5, write_matlab_73], ids=["matlab-5", "matlab-7.3"])
def root(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """``cuhk03/`` as it is handed out, and an empty cache. People of pairs 1 and 2 train, the others test."""
    write: Write = request.param
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "data" / "cuhk03"
    pairs = cells([[_pair(pair, count)] for pair, count in enumerate(PEOPLE, start=1)])
    test_sets = cells([[np.array([[1.0, 2.0], [3.0, 1.0]])], [np.array([[1.0, 1.0], [2.0, 1.0]])]])
    write(
        folder / "cuhk03_release" / "cuhk-03.mat",
        {"detected": pairs, "labeled": pairs, "testsets": test_sets},
    )
    names, labels = [], []
    for label, (pair, person) in enumerate(
        ((pair, person) for pair, count in enumerate(PEOPLE, start=1) for person in range(1, count + 1)),
        start=1,
    ):
        for picture in range(10):
            if (pair, person, picture) not in MISSING:
                names.append(f"{pair}_{person:03d}_{1 if picture < 5 else 2}_{picture + 1:02d}.png")
                labels.append(label)
    first = {side: [k + 1 for k, label in enumerate(labels) if label in who] for side, who in
             {"train": (1, 2, 3, 4, 5), "test": (6, 7, 8)}.items()}  # fmt: skip
    query = [k for k in first["test"] if names[k - 1].endswith(("_01.png", "_06.png"))]
    for kind in ("detected", "labeled"):
        write(
            folder / f"cuhk03_new_protocol_config_{kind}.mat",
            {
                "filelist": cells([[name] for name in names]),
                "labels": np.array([labels], dtype=np.float64).T,
                "train_idx": np.array([first["train"]], dtype=np.float64).T,
                "query_idx": np.array([query], dtype=np.float64).T,
                "gallery_idx": np.array([sorted(set(first["test"]) - set(query))], dtype=np.float64).T,
            },
        )
    return tmp_path / "data"


def test_the_new_protocol_is_read_as_its_own_file_says(root: Path) -> None:
    protocol = protocols.load("cuhk03-new-detected", root)
    assert (people(protocol.train), people(protocol.query)) == ([1, 2, 3, 4, 5], [6, 7, 8])
    assert len(protocol.train) == 50 - len(MISSING)
    assert [(p.person, p.camera) for p in protocol.query] == [(6, 5), (6, 6), (7, 7), (7, 8), (8, 9), (8, 10)]
    assert len(protocol.gallery) == 24
    assert protocol.camera_rule


def test_extracted_pictures_have_the_releases_pixels(root: Path) -> None:
    protocol = protocols.load("cuhk03-new-labelled", root)
    for picture in protocol.train + protocol.query:
        pair, person, view, number = (int(part) for part in picture.path.stem.split("_"))
        assert np.array_equal(np.asarray(Image.open(picture.path)), pixels(pair, person, number - 1))
        assert view == (1 if number <= 5 else 2)


def test_the_users_own_folders_are_only_read(root: Path, tmp_path: Path) -> None:
    def state() -> dict[Path, tuple[int, int]]:
        return {path: (path.stat().st_size, path.stat().st_mtime_ns) for path in root.rglob("*")}

    before = state()
    protocol = protocols.load("cuhk03-new-detected", root)
    protocols.load("cuhk03-classic-detected", root)
    assert state() == before
    assert all(p.path.is_relative_to(tmp_path / "cache") for p in protocol.train)


def test_extracting_happens_once_and_anew_when_the_file_changes(root: Path) -> None:
    release = cuhk03_release.find_release(root)
    folder = cuhk03_release.extract(release, "detected")
    marked = next(folder.iterdir())
    marked.write_bytes(b"mark")
    assert cuhk03_release.extract(release, "detected") == folder
    assert marked.read_bytes() == b"mark"
    release.touch()
    assert cuhk03_release.extract(release, "detected") != folder


def test_extracting_that_fails_leaves_nothing_behind(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(Image.Image, "save", full)
    release = cuhk03_release.find_release(root)
    with pytest.raises(OSError, match="no space left"):
        cuhk03_release.extract(release, "detected")
    monkeypatch.undo()
    monkeypatch.setenv("XDG_CACHE_HOME", str(root.parent / "cache"))
    assert [path for path in (root.parent / "cache").rglob("*") if path.is_file()] == []
    assert len(list(cuhk03_release.extract(release, "detected").iterdir())) == 80 - len(MISSING)


def test_the_classic_protocol_tests_the_people_of_one_test_set(root: Path) -> None:
    protocol = cuhk03.read_classic(root, "detected")
    assert people(protocol.query) == people(protocol.gallery) == [1002, 3001]
    assert people(protocol.train) == [1001, 1003, 2001, 2002, 4001, 5001]
    assert {p.camera for p in protocol.query} == {1, 5}
    assert {p.camera for p in protocol.gallery} == {2, 6}
    other = cuhk03.read_classic(root, "detected", test_set=1)
    assert people(other.query) == [1001, 2001]
    with pytest.raises(DatasetError, match="test sets 0 to 1, not 2"):
        cuhk03.read_classic(root, "detected", test_set=2)


def test_the_release_is_found_in_each_folder_that_may_be_given(root: Path) -> None:
    release = root / "cuhk03" / "cuhk03_release" / "cuhk-03.mat"
    assert cuhk03_release.find_release(root) == release
    assert cuhk03_release.find_release(root / "cuhk03") == release
    assert cuhk03_release.find_release(root / "cuhk03" / "cuhk03_release") == release


def test_a_missing_protocol_file_is_named_with_what_is_there(root: Path) -> None:
    (root / "cuhk03" / "cuhk03_new_protocol_config_labeled.mat").unlink()
    with pytest.raises(
        DatasetError, match=r"no cuhk03_new_protocol_config_labeled\.mat .*Found: .*_detected"
    ):
        protocols.load("cuhk03-new-labelled", root)


def test_a_protocol_that_names_a_picture_the_release_lacks_is_refused(root: Path) -> None:
    config = root / "cuhk03" / "cuhk03_new_protocol_config_detected.mat"
    config.unlink()
    one = np.array([[1.0]])
    write_matlab_5(
        config,
        {"filelist": cells([["1_001_1_01.png"], ["5_049_1_01.png"]]), "labels": np.array([[1.0], [2.0]]),
         "train_idx": one, "query_idx": one, "gallery_idx": one},
    )  # fmt: skip
    with pytest.raises(DatasetError, match=r"names 1 pictures that .* does not hold, e\.g\. 5_049_1_01\.png"):
        protocols.load("cuhk03-new-detected", root)


def test_a_file_that_is_not_matlabs_is_told(tmp_path: Path) -> None:
    path = tmp_path / "cuhk03_release" / "cuhk-03.mat"
    path.parent.mkdir()
    path.write_bytes(b"not a MATLAB file at all, but long enough to be looked at" * 10)
    with pytest.raises(DatasetError, match="is not a MATLAB file"):
        cuhk03.read_classic(tmp_path, "detected")


def test_a_missing_variable_is_told_with_those_there_are(root: Path) -> None:
    with (
        MatFile(cuhk03_release.find_release(root)) as mat,
        pytest.raises(DatasetError, match=r"no variable 'images'\. Found: detected, labeled, testsets"),
    ):
        mat["images"]
