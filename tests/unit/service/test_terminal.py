"""How tables stand, on a terminal and in a pipe."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from service.terminal import new_table, pairs, show_table


def test_numbers_end_below_one_another_and_cells_are_text_as_it_is(
    capsys: pytest.CaptureFixture[str],
) -> None:
    rows = [("[red]anna[/]", "7", "id-1"), ("Émile", "1,204", "id-2")]
    show_table(("person", "pictures", "id"), rows, numbers=("pictures",), none="nobody")
    assert [line.rstrip() for line in capsys.readouterr().out.splitlines()] == [
        "person        pictures  id",
        "[red]anna[/]         7  id-1",
        "Émile            1,204  id-2",
    ]


def test_a_piped_table_is_as_wide_as_its_cells(capsys: pytest.CaptureFixture[str]) -> None:
    long = "x" * 1000
    show_table(("person", "id"), [(long, long)], none="nobody")
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_an_empty_table_is_said_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    show_table(("person",), [], none="nobody [yet]")
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "nobody [yet]\n")


def test_what_is_told_of_one_thing_stands_in_one_column(capsys: pytest.CaptureFixture[str]) -> None:
    pairs({"id": "[a]", "keeps pictures": "yes"})
    assert capsys.readouterr().out == "id              [a]\nkeeps pictures  yes\n"


def test_on_a_narrow_terminal_what_is_whole_stays_so() -> None:
    table = new_table(("person", "picture", "score"), numbers=("score",), whole=("picture",), title="found:")
    table.add_row("somebody with a long name", "01KD4Z6M9W4S0X2J5T7V8Y1A3B", "0.9315")
    console = Console(width=48, file=io.StringIO())
    with console.capture() as captured:
        console.print(table)
    title, heading, first, *_ = (line.rstrip() for line in captured.get().splitlines())
    assert (title, heading.split()) == ("found:", ["person", "picture", "score"])
    assert first.endswith("  01KD4Z6M9W4S0X2J5T7V8Y1A3B  0.9315")
