"""`penumbra bench`."""

from __future__ import annotations

import typer

from service.commands.bench.accuracy import bench_accuracy
from service.commands.bench.erasures import bench_erasures
from service.commands.bench.index import bench_index, bench_search, bench_waits
from service.commands.bench.load import bench_load, bench_start
from service.commands.command_group import CommandGroup

__all__ = ["bench_app"]

bench_app = typer.Typer(
    help="Measure how well and how fast people are found.", no_args_is_help=True, cls=CommandGroup
)
bench_app.command("accuracy")(bench_accuracy)
bench_app.command("load")(bench_load)
bench_app.command("start")(bench_start)
bench_app.command("search")(bench_search)
bench_app.command("index")(bench_index)
bench_app.command("waits")(bench_waits)
bench_app.command("erasures")(bench_erasures)
