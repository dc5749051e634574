from __future__ import annotations

import json

from typer.testing import CliRunner

from service.bench.search import measure_search
from service.cli import app


def test_both_ways_are_timed_on_the_same_index() -> None:
    filled: list[int] = []
    found = measure_search(5000, 16, 3, filled.append)
    assert sum(filled) == found.pictures == 5000
    assert found.off_ms > 0
    assert found.ratio == found.fuse_ms / found.off_ms


def test_command_prints_what_it_measured() -> None:
    answer = CliRunner().invoke(
        app, ["bench", "search", "--pictures", "600", "--dimension", "8", "--queries", "2", "--json"]
    )
    assert answer.exit_code == 0, answer.output
    assert json.loads(answer.stdout)["queries"] == 2
