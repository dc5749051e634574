from __future__ import annotations

import json

from typer.testing import CliRunner

from service.bench.index import measure_index
from service.bench.search import measure_search
from service.bench.waits import measure_waits
from service.cli import app
from service.index.options import FLAT, IndexOptions


def test_both_ways_are_timed_on_the_same_index() -> None:
    filled: list[int] = []
    few, many = measure_search(5000, 16, 3, filled.append, (10, 100))
    assert sum(filled) == few.pictures == many.pictures == 5000
    assert (few.top_k, many.top_k) == (10, 100)
    assert few.off_ms > 0
    assert few.ratio == few.fuse_ms / few.off_ms


def test_command_prints_what_it_measured() -> None:
    sizes = ["--pictures", "600", "--pictures", "90", "--top-k", "7", "--dimension", "8", "--queries", "2"]
    answer = CliRunner().invoke(app, ["bench", "search", *sizes, "--json"])
    assert answer.exit_code == 0, answer.output
    measured = json.loads(answer.stdout)
    assert [(one["pictures"], one["top_k"], one["queries"]) for one in measured] == [(600, 7, 2), (90, 7, 2)]


def test_recall_is_one_where_every_cluster_is_looked_at_in_16_bits() -> None:
    filled: list[int] = []
    found = measure_index(900, 16, 8, IndexOptions(300, 16, 1.0), filled.append)
    assert sum(filled) == found.pictures == 900
    assert found.clustered > 600
    assert min(found.recall_whole, found.recall_hidden) > 0.95  # float16 against float32


def test_updates_are_made_beside_the_searches() -> None:
    found = measure_waits(300, 16, 20, FLAT)
    assert found.updates > 0
    assert found.with_writer.longest_ms >= found.with_writer.median_ms >= 0
