"""The rank-list picture: every picture is in it, right ones framed green and wrong ones red."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from service.rank_list import HIDDEN, RIGHT, TILE, WRONG, RankedTile, RankRow, draw_rank_list

QUERY, FIRST, SECOND = (10, 20, 200), (200, 200, 10), (10, 200, 200)


@pytest.fixture
def files(tmp_path: Path) -> dict[tuple[int, int, int], Path]:
    found = {}
    for colour in (QUERY, FIRST, SECOND):
        found[colour] = tmp_path / f"{'-'.join(map(str, colour))}.png"
        Image.new("RGB", (64, 128), colour).save(found[colour])
    return found


def pixels_of(picture: Image.Image, colour: tuple[int, int, int]) -> np.ndarray:
    """Rows and columns where the colour is, [n, 2]."""
    return np.argwhere((np.asarray(picture) == colour).all(axis=2))


def row(files: dict[tuple[int, int, int], Path], graded: str | None = "none") -> RankRow:
    matches = [
        RankedTile(files[FIRST], "anna", 0.91, "bottom_half", True),
        RankedTile(files[SECOND], "bo", 0.42, "none", False),
    ]
    return RankRow(files[QUERY], "anna", graded, matches)


def test_query_and_matches_stand_side_by_side_in_their_frames(
    files: dict[tuple[int, int, int], Path],
) -> None:
    picture = draw_rank_list([row(files)], "title")
    places = [pixels_of(picture, colour) for colour in (QUERY, FIRST, SECOND)]
    lefts = [place[:, 1].min() for place in places]
    assert lefts == sorted(lefts)
    assert all(len(place) > 0.9 * TILE[0] * TILE[1] for place in places)
    for place, frame in zip(places[1:], (RIGHT, WRONG), strict=True):
        top, left = place.min(axis=0)
        bottom, right = place.max(axis=0)
        around = np.asarray(picture)[[top - 3, bottom + 3, bottom, bottom], [left, left, left - 3, right + 3]]
        assert (around == frame).all()


def test_a_row_for_each_query(files: dict[tuple[int, int, int], Path]) -> None:
    one = draw_rank_list([row(files)], "title")
    three = draw_rank_list([row(files)] * 3, "title")
    assert one.width == three.width
    assert three.height > one.height + 2 * TILE[1]
    assert len(pixels_of(three, QUERY)) == 3 * len(pixels_of(one, QUERY))


def test_dashes_go_around_what_was_graded_as_hidden(files: dict[tuple[int, int, int], Path]) -> None:
    assert len(pixels_of(draw_rank_list([row(files)], "title"), HIDDEN)) == 0
    picture = draw_rank_list([row(files, "bottom_half")], "title")
    tile, dashes = pixels_of(picture, QUERY), pixels_of(picture, HIDDEN)
    middle = (tile[:, 0].min() + tile[:, 0].max()) / 2
    assert len(dashes) > 50
    assert dashes[:, 0].min() >= middle - 1
    assert dashes[:, 1].max() <= tile[:, 1].max()


def test_query_of_a_model_without_a_grader_has_no_dashes(files: dict[tuple[int, int, int], Path]) -> None:
    picture = draw_rank_list([row(files, None)], "title")
    assert len(pixels_of(picture, HIDDEN)) == 0
    assert len(pixels_of(picture, QUERY)) > 0


def test_rank_list_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        draw_rank_list([], "title")
