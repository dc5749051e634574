"""The form field ``items``: whatever is sent is read or refused with words."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.api.images import read_items, why_none
from service.problems import BadItems, DeadlineExceeded, EmptyPicture, NoneEnrolled, Overloaded, Problem

TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=40)

PERSON = TEXT.filter(lambda name: not {".", ".."} & set(re.split(r"[/\\]", name)))


@given(
    st.lists(
        st.fixed_dictionaries({"person": PERSON}, optional={"camera": TEXT, "client_id": TEXT}), max_size=5
    )
)
def test_items_are_read_as_they_were_written(items: list[dict[str, str]]) -> None:
    read = read_items(json.dumps(items), len(items))
    assert [
        item.model_dump(include={"person", "camera", "client_id"}, exclude_none=True) for item in read
    ] == items


@pytest.mark.parametrize("name", [".", "..", "a/../b", "..\\b"])
def test_a_person_is_not_named_by_what_moves_in_a_path(name: str) -> None:
    with pytest.raises(BadItems, match="mean something else"):
        read_items(json.dumps([{"person": name}]), 1)


@given(st.text(max_size=60))
def test_any_other_text_is_refused_with_words(text: str) -> None:
    with pytest.raises(BadItems) as refusal:
        read_items(text, 1)
    assert refusal.value.detail


BUSY, LATE = Overloaded("512 wait", 2), DeadlineExceeded("not done within 30 s")
BAD = EmptyPicture("has no bytes")


@pytest.mark.parametrize(
    ("problems", "answer"),
    [([BAD], BAD), ([LATE], LATE), ([LATE, BUSY], BUSY), ([LATE, LATE], LATE), ([BUSY, BUSY], BUSY)],
)
def test_where_no_picture_is_at_fault_the_answer_says_when_to_come_again(
    problems: list[Problem], answer: Problem
) -> None:
    assert why_none(problems) is answer


@pytest.mark.parametrize("problems", [[BAD, BAD], [BUSY, BAD], [BAD, LATE]])
def test_where_a_picture_is_at_fault_too_each_is_told_of_its_own(problems: list[Problem]) -> None:
    answer = why_none(problems)
    assert isinstance(answer, NoneEnrolled)
    assert f"files[1]: {problems[1].detail}" in answer.detail
