"""Files of queries: what a line may say, and that a bad one harms no other."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.api.schemas import queries as rest
from service.client import BatchAnswer, BatchQuery, Decisions, Filters, Problem
from service.query_file import LineAsked, QueryLine, answers_in_order, lines_as_they_come, read_queries


def asked(folder: Path, *lines: dict[str, Any] | bytes) -> list[LineAsked]:
    written = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines]
    return list(read_queries(written, folder))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a.png").write_bytes(b"a")
    (tmp_path / "b.png").write_bytes(b"b")
    return tmp_path


def test_a_line_has_the_fields_of_rest_and_of_the_client() -> None:
    client = {
        field.name for kind in (BatchQuery, Filters, Decisions) for field in dataclasses.fields(kind)
    } - {"filters", "decisions"}
    assert set(QueryLine.model_fields) == client == set(rest.BatchQuery.model_fields)
    for name in client - {"pictures", "boxes", *(field.name for field in dataclasses.fields(Filters))}:
        assert QueryLine.model_fields[name].default == rest.BatchQuery.model_fields[name].default


def test_all_that_a_line_says_is_asked(folder: Path) -> None:
    said = {
        "id": "q",
        "top_k": 3,
        "by": "image",
        "unify": "off",
        "boxes": [[1, 2, 3, 4], None],
        "rerank": True,
        "overlays": True,
        "evidence": 5,
        "cameras": ["c"],
        "people": ["p"],
        "exclude_cameras": ["d"],
        "exclude_people": ["q"],
        "time_from": "2026-11-20T12:00:00+01:00",
        "time_to": "2026-11-20T12:00:00Z",
        "metadata": {"shift": "night", "gate": 4, "open": True},
        "match_rate": 0.01,
        "uncertain_rate": 0.1,
        "prior": 0.5,
    }
    (one,) = asked(folder, {"pictures": ["a.png", str(folder / "b.png")], **said})
    assert one.query is not None
    assert one.query.pictures == [b"a", b"b"]
    assert one.query.filters is not None
    assert one.query.filters.time_from == datetime(2026, 11, 20, 11, tzinfo=UTC)
    sent = json.loads(one.query.line())
    assert datetime.fromisoformat(sent.pop("time_from")) == datetime.fromisoformat(said.pop("time_from"))  # type: ignore[arg-type]
    assert datetime.fromisoformat(sent.pop("time_to")) == datetime.fromisoformat(said.pop("time_to"))  # type: ignore[arg-type]
    assert {name: sent[name] for name in said} == said


def test_a_bad_line_has_its_problem_and_its_id(folder: Path) -> None:
    bad: list[tuple[dict[str, Any] | bytes, str | None, str]] = [
        (b"not JSON", None, "JSON"),
        (b"\xff\xfe", None, "line 2"),
        (b"[" * 10_000, None, "line 3"),
        ({"id": "a", "pictures": []}, "a", "pictures"),
        ({"id": "b", "pictures": ["gone.png"]}, "b", "no picture at"),
        ({"id": "c", "pictures": ["a.png"], "colour": 1}, "c", "colour"),
        ({"id": "d", "pictures": ["a.png"], "time_from": "yesterday"}, "d", "RFC 3339"),
        ({"id": "e", "pictures": ["a\0.png"]}, "e", "line 8"),
        (b"[]", None, "line 9"),
        ({"id": "f", "pictures": ["a.png"], "rerank": "no"}, "f", "rerank"),
        ({"id": "g", "pictures": ["a.png"], "top_k": "3"}, "g", "top_k"),
    ]
    lines = [line for line, _, _ in bad]
    found = asked(folder, *lines, b"  \n", {"pictures": ["a.png"]})
    assert [one.line for one in found] == [*range(1, 12), 13]
    assert found[-1].query is not None
    for one, (_, id, said) in zip(found, bad, strict=False):
        assert one.problem is not None
        assert (one.id, one.problem.status) == (id, 422)
        assert one.problem.detail.startswith(f"line {one.line}: ")
        assert said in one.problem.detail


def test_a_box_of_whole_numbers_with_a_fraction_of_0_is_asked_as_rest_takes_it(folder: Path) -> None:
    box = [120.0, 40.0, 64.0, 128.0]
    (line,) = asked(folder, {"pictures": ["a.png"], "boxes": [box]})
    assert line.query is not None
    sent = json.dumps({"pictures": ["YQ=="], "boxes": line.query.boxes})
    assert rest.BatchQuery.model_validate_json(sent).boxes == [(120, 40, 64, 128)]
    (line,) = asked(folder, {"pictures": ["a.png"], "boxes": [["120", 40, 64, 128]]})
    assert line.query is None


@given(good=st.lists(st.booleans(), max_size=40), ahead=st.integers(1, 7))
def test_answers_and_problems_come_in_the_order_of_the_lines(good: list[bool], ahead: int) -> None:
    def ask(queries: Iterator[BatchQuery]) -> Iterator[BatchAnswer]:
        """As the client does: some are taken before the first of them is answered."""
        while sent := list(islice(queries, ahead)):
            for query in sent:
                yield BatchAnswer(id=query.id, problem=Problem(status=499))

    lines = [
        LineAsked(
            n, str(n), BatchQuery([b""], str(n)) if fine else None, None if fine else Problem(status=422)
        )
        for n, fine in enumerate(good, 1)
    ]
    found = list(answers_in_order(lines, ask))
    assert [(one.line, one.id) for one in found] == [(n, str(n)) for n in range(1, len(good) + 1)]
    statuses = [one.problem.status for one in found if one.problem is not None]
    assert statuses == [499 if fine else 422 for fine in good]


def test_lines_are_taken_as_they_are_asked(folder: Path) -> None:
    taken = 0

    def lines() -> Iterator[bytes]:
        nonlocal taken
        while True:
            taken += 1
            yield b'{"pictures": ["a.png"]}\n'

    def ask(queries: Iterable[BatchQuery]) -> Iterator[BatchAnswer]:
        return (BatchAnswer(id=query.id) for query in queries)

    assert len(list(islice(answers_in_order(read_queries(lines(), folder), ask), 3))) == 3
    assert taken == 3


class Pipe:
    """Gives what was written into it, a piece for each write."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)

    def read1(self, size: int) -> bytes:
        return next(self._pieces, b"")


def test_lines_of_a_pipe_do_not_wait_for_later_ones() -> None:
    come = lines_as_they_come(Pipe([b"1\n", b"2\n3\n4", b"", b"never"]))
    assert next(come) == [b"1"]
    assert next(come) == [b"2", b"3"]
    assert list(come) == [[b"4"]]


@given(st.lists(st.sampled_from([b"a", b"\n", b"bc\n", b"\n\nd"])))
def test_no_line_is_lost_however_the_pieces_are_cut(pieces: list[bytes]) -> None:
    found = [line for lines in lines_as_they_come(Pipe(pieces)) for line in lines]
    assert found == [line.rstrip(b"\n") for line in b"".join(pieces).splitlines(keepends=True)]


def test_lines_are_counted_on_from_the_first(folder: Path) -> None:
    assert [one.line for one in read_queries([b"{}", b"", b"{}"], folder, 7)] == [7, 9]
