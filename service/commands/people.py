"""`penumbra people`."""

from __future__ import annotations

from typing import Annotated

import typer

from service.commands.options import SERVICE_URL, AsJson, GalleryName, Url
from service.commands.reaching import connected
from service.commands.saying import plain, print_json

__all__ = ["people_app"]

people_app = typer.Typer(help="List, rename, merge and erase people of a gallery.", no_args_is_help=True)


@people_app.command("list")
def list_people(gallery: GalleryName, url: Url = SERVICE_URL, as_json: AsJson = False) -> None:
    """Show the people of a gallery, and how many pictures show each.

    [bold]Example[/]

      penumbra people list --gallery shop
    """
    with connected(url) as client:
        found = list(client.people(gallery))
    if as_json:
        print_json([person.model_dump(mode="json") for person in found])
        return
    from rich.table import Table

    from service.terminal import tables

    table = Table("person", "pictures")
    for person in found:
        table.add_row(plain(person.name), f"{person.images:,}")
    tables().print(table)


@people_app.command("rename")
def rename_person(
    person: Annotated[str, typer.Argument(help="The present name.")],
    name: Annotated[str, typer.Argument(help="The new name.")],
    gallery: GalleryName,
    merge: Annotated[
        bool, typer.Option("--merge", help="If another person has that name: make the two one.")
    ] = False,
    url: Url = SERVICE_URL,
    as_json: AsJson = False,
) -> None:
    """Give a person another name, or merge two who turned out to be one.

    [bold]Examples[/]

      penumbra people rename unknown-17 anna --gallery shop

      penumbra people rename anna-2 anna --merge --gallery shop
    """
    with connected(url) as client:
        changed = client.rename_person(gallery, person, name, merge=merge)
    if as_json:
        print_json(changed.model_dump(mode="json"))
    else:
        typer.echo(f"{changed.name} has {changed.images:,} pictures")


@people_app.command("erase")
def erase_person(
    person: Annotated[str, typer.Argument(help="Whom to erase.")],
    gallery: GalleryName,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    url: Url = SERVICE_URL,
) -> None:
    """Erase a person with all that is stored of them.

    [bold]Example[/]

      penumbra people erase anna --gallery shop --yes
    """
    with connected(url) as client:
        found = client.person(gallery, person)
        if not yes:
            typer.confirm(f"Erase {person} with {found.images:,} pictures?", abort=True)
        client.delete_person(gallery, person)
    typer.echo(f"erased {person}")
