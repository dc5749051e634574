"""How tables stand, on a terminal and in a pipe."""

from __future__ import annotations

import pytest

from service.terminal import pairs, show_table


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
