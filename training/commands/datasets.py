"""`penumbra-train datasets`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from training.commands.faults import faults_in_one_line
from training.commands.options import Json, Root, Withdrawn

__all__ = ["datasets_app"]

datasets_app = typer.Typer(help="Data sets and their protocols.", no_args_is_help=True)


@datasets_app.command("list", epilog="Example: penumbra-train datasets list --json")
def datasets_list(as_json: Json = False) -> None:
    """List the protocols, what each needs, its terms, and what complete copies hold."""
    from training.data.command import list_protocols

    list_protocols(as_json=as_json)


@datasets_app.command(
    "manifest", epilog="Example: penumbra-train datasets manifest partial-ilids --root ~/data --json"
)
def datasets_manifest(
    name: Annotated[str, typer.Argument(help="Protocol.")],
    root: Root,
    render: Annotated[
        Path | None,
        typer.Option(help="Folder to write covered queries to, as PNG, where a protocol has them."),
    ] = None,
    acknowledge_withdrawn: Withdrawn = False,
    as_json: Json = False,
) -> None:
    """Name every query and gallery picture of a protocol, with person and camera."""
    with faults_in_one_line():
        from training.data.command import print_manifest

        print_manifest(
            name, root, render=render, as_json=as_json, acknowledge_withdrawn=acknowledge_withdrawn
        )


@datasets_app.command(
    "verify",
    epilog="Examples: penumbra-train datasets verify --root ~/data | "
    "penumbra-train datasets verify manifest:site-3/people.csv --root ~/data",
)
def datasets_verify(
    root: Root,
    names: Annotated[
        list[str] | None, typer.Argument(help="Protocols; left out: all whose data is there.")
    ] = None,
    acknowledge_withdrawn: Withdrawn = False,
    as_json: Json = False,
) -> None:
    """Count pictures and people and compare with complete copies; exit status 1 where they differ."""
    with faults_in_one_line():
        from training.data.command import verify

        if not verify(root, names or [], as_json=as_json, acknowledge_withdrawn=acknowledge_withdrawn):
            raise typer.Exit(1)
