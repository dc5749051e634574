"""The command `penumbra`. What each of its commands does is in `service/commands/`."""

from __future__ import annotations

from typing import Annotated

import typer

from service.commands.audit import audit
from service.commands.bench import bench_app
from service.commands.command_group import CommandGroup
from service.commands.comparing import embed, verify
from service.commands.demo import demo
from service.commands.enrol import enrol
from service.commands.galleries import galleries_app
from service.commands.images import images_app
from service.commands.keys import keys_app
from service.commands.people import people_app
from service.commands.query import query, query_batch
from service.commands.serve import serve

app = typer.Typer(
    name="penumbra",
    cls=CommandGroup,
    help="Find a person again, across cameras, when only part of the person can be seen.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode="rich",
    pretty_exceptions_show_locals=False,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        from service.version import version_of_penumbra

        typer.echo(f"penumbra {version_of_penumbra()}")
        raise typer.Exit


@app.callback()
def _penumbra(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> None:
    pass


_RUN, _KEEP, _ASK = "Run the service", "Keep galleries", "Ask"

app.command(rich_help_panel=_RUN)(serve)
app.command(rich_help_panel=_RUN)(demo)
app.add_typer(keys_app, name="keys", rich_help_panel=_RUN)
app.command(rich_help_panel=_RUN)(audit)
app.add_typer(bench_app, name="bench", rich_help_panel=_RUN)
app.add_typer(galleries_app, name="galleries", rich_help_panel=_KEEP)
app.command(rich_help_panel=_KEEP)(enrol)
app.add_typer(people_app, name="people", rich_help_panel=_KEEP)
app.add_typer(images_app, name="images", rich_help_panel=_KEEP)
app.command(rich_help_panel=_ASK)(query)
app.command("query-batch", rich_help_panel=_ASK)(query_batch)
app.command(rich_help_panel=_ASK)(verify)
app.command(rich_help_panel=_ASK)(embed)

if __name__ == "__main__":
    app()
