"""A cursor says nothing to whoever holds it, and is of the list that gave it alone."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.cursor import Cursors
from service.problems import BadRequest

CURSORS = Cursors(b"a secret")
HERE = CURSORS.of("images", 1, None)


@given(st.text(max_size=256).filter(lambda name: name.isprintable()), st.integers(0, 10**18))
def test_a_list_reads_its_own_cursors(name: str, number: int) -> None:
    assert HERE.name_before(HERE.after(name)) == name
    assert HERE.number_before(HERE.after(number)) == number
    assert HERE.after(number) == Cursors(b"a secret").of("images", 1, None).after(number)


def test_without_a_cursor_a_list_begins_before_all() -> None:
    assert (HERE.name_before(None), HERE.number_before(None)) == ("", 0)


@pytest.mark.parametrize(
    "other",
    [
        CURSORS.of("people", 1, None),
        CURSORS.of("images", 2, None),
        CURSORS.of("images", 1, "anna"),
        CURSORS.of("images", 1),
        Cursors(b"another").of("images", 1, None),
    ],
)
def test_no_other_list_takes_it(other: object) -> None:
    with pytest.raises(BadRequest):
        other.number_before(HERE.after(7))  # type: ignore[attr-defined]


@given(st.integers(0, 10**18), st.integers(0, 10**18))
def test_it_tells_neither_a_number_nor_its_size(number: int, other: int) -> None:
    assert len(HERE.after(number)) == len(HERE.after(other))
    assert str(number).encode() not in base64.urlsafe_b64decode(HERE.after(number) + "==") or number < 1000


def test_places_of_one_list_share_no_key_stream() -> None:
    sealed = [base64.urlsafe_b64decode(HERE.after(number) + "==")[16:] for number in range(1000)]
    assert len(set(sealed)) == 1000
    assert len({one[:8] for one in sealed}) == 1000  # all are of numbers that begin with the same zeros


@given(st.integers(0, 34), st.integers(1, 255))
def test_a_changed_one_is_none(place: int, bits: int) -> None:
    sealed = bytearray(base64.urlsafe_b64decode(HERE.after(7) + "=="))
    sealed[place] ^= bits
    with pytest.raises(BadRequest):
        HERE.number_before(base64.urlsafe_b64encode(sealed).decode().rstrip("="))


@given(st.one_of(st.text(), st.binary().map(lambda made: base64.urlsafe_b64encode(made).decode())))
def test_an_invented_one_is_none(cursor: str) -> None:
    with pytest.raises(BadRequest):
        HERE.name_before(cursor)
