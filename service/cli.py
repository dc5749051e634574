"""The command `penumbra`. What each of its commands does is in `service/commands/`."""

from __future__ import annotations

import typer

from service.commands.audit import audit
from service.commands.bench import bench_app
from service.commands.demo import demo
from service.commands.enrol import enrol
from service.commands.galleries import galleries_app
from service.commands.keys import keys_app
from service.commands.people import people_app
from service.commands.query import query, query_batch
from service.commands.serve import serve

app = typer.Typer(
    name="penumbra",
    help="Find a person again, across cameras, when only part of the person can be seen.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_show_locals=False,
)
app.command()(serve)
app.add_typer(galleries_app, name="galleries")
app.add_typer(people_app, name="people")
app.command()(enrol)
app.command()(query)
app.command("query-batch")(query_batch)
app.command()(demo)
app.add_typer(bench_app, name="bench")
app.add_typer(keys_app, name="keys")
app.command()(audit)

if __name__ == "__main__":
    app()
