"""Boxes as people write them."""

from __future__ import annotations

import pytest

from service.box_text import BoxError, read_box, read_boxes


@pytest.mark.parametrize(
    "text", ["120,40,64,128", "120 40 64 128", "120, 40,64 ,128", "[120, 40, 64, 128]", " 120\t40 64  128 "]
)
def test_a_box_is_read_however_its_numbers_are_parted(text: str) -> None:
    assert read_box(text) == (120, 40, 64, 128)


@pytest.mark.parametrize(
    "text",
    ["", "none", "1,2,3", "1,2,3,4,5", "1,2,3,x", "-1,2,3,4", "1.5,2,3,4", "1,,2,3", "[1,2,3,4", "٣,2,3,4"],
)
def test_what_is_no_box_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(BoxError, match="120,40,64,128"):
        read_box(text)


def test_there_is_a_box_or_none_for_each_picture() -> None:
    assert read_boxes([], 3) is None
    assert read_boxes(["none", "1,2,3,4"], 2) == [None, (1, 2, 3, 4)]
    with pytest.raises(BoxError, match="1 for 2 pictures"):
        read_boxes(["none"], 2)
