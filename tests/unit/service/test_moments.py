"""Moments are read from RFC 3339's form alone, and written in it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from service.moments import Moment, read_moment, read_window, written

MOMENT = TypeAdapter(Moment)

offsets = st.integers(-1439 * 60, 1439 * 60).map(lambda seconds: timezone(timedelta(seconds=seconds)))


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-31T12:00:00Z",
        "2026-01-31t12:00:00z",
        "2026-01-31T13:30:00+01:30",
        "2026-01-31T04:00:00.000000-08:00",
    ],
)
def test_what_is_of_the_form_is_read(text: str) -> None:
    assert MOMENT.validate_python(text) == datetime(2026, 1, 31, 12, tzinfo=UTC)
    assert MOMENT.validate_python(text).tzinfo is UTC


@pytest.mark.parametrize(
    "said",
    [
        1700000000,
        1700000000000,
        1.5,
        True,
        "1700000000",
        "1.5",
        "",
        "yesterday",
        "2026-01-31",
        "2026-01-31T12:00:00",
        "2026-01-31T12:00Z",
        "2026-01-31 12:00:00Z",
        "20260131T120000Z",
        "2026-01-31T12:00:00+0100",
        "2026-01-31T12:00:00Z\n",
        "२०२६-01-31T12:00:00Z",
    ],
)
def test_nothing_else_is_taken_for_a_moment(said: object) -> None:
    with pytest.raises(ValidationError, match="RFC 3339"):
        MOMENT.validate_python(said)


@pytest.mark.parametrize(
    "text", ["2026-02-30T12:00:00Z", "2026-01-31T25:00:00Z", "2026-01-31T12:00:00+25:00"]
)
def test_the_form_alone_makes_no_moment(text: str) -> None:
    with pytest.raises(ValidationError):
        MOMENT.validate_python(text)


def test_what_is_no_moment_of_utc_is_refused() -> None:
    with pytest.raises(ValidationError, match="before the year 1"):
        MOMENT.validate_python("0001-01-01T00:00:00+01:00")


@given(st.datetimes(datetime(1000, 1, 1), datetime(9000, 1, 1), timezones=offsets))
def test_what_is_written_is_read_as_the_same_moment(moment: datetime) -> None:
    assert MOMENT.validate_python(written(moment)) == moment


@pytest.fixture
def clock_of_berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-31", datetime(2026, 1, 30, 23, tzinfo=UTC)),
        ("2026-01-31 13:00", datetime(2026, 1, 31, 12, tzinfo=UTC)),
        ("2026-07-31T13:00:30", datetime(2026, 7, 31, 11, 0, 30, tzinfo=UTC)),
        ("2026-01-31T13:00:00Z", datetime(2026, 1, 31, 13, tzinfo=UTC)),
        (" 2026-01-31T13:00+02:00", datetime(2026, 1, 31, 11, tzinfo=UTC)),
    ],
)
def test_what_people_write_is_read_by_this_machines_clock(
    clock_of_berlin: None, text: str, expected: datetime
) -> None:
    assert read_moment(text) == expected


@pytest.mark.parametrize("text", ["", "yesterday", "13:00", "31.1.2026", "0001-01-01T00:00:00+01:00"])
def test_what_is_no_moment_is_told_with_examples(text: str) -> None:
    with pytest.raises(ValueError, match="such as 2026-01-31"):
        read_moment(text)


def test_a_window_is_open_or_has_something_in_it() -> None:
    early, late = "2026-01-31T12:00:00Z", "2026-01-31T12:00:01Z"
    assert read_window(None, None) == (None, None)
    assert read_window(early, late) == (read_moment(early), read_moment(late))
    for wrong in ((late, early), (early, early)):
        with pytest.raises(ValueError, match="must be before"):
            read_window(*wrong)
