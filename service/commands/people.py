"""`penumbra people`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from service.commands.command_group import CommandGroup
from service.commands.options import SERVICE_URL, AsJson, GalleryName, Url
from service.commands.reaching import connected
from service.commands.saying import fail, print_json

if TYPE_CHECKING:
    from service.client import Person

__all__ = ["people_app"]

people_app = typer.Typer(
    help="List, rename, merge and erase people of a gallery.", no_args_is_help=True, cls=CommandGroup
)


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
    from service.terminal import show_table

    show_table(
        ("person", "pictures"),
        ((person.name, f"{person.images:,}") for person in found),
        numbers=("pictures",),
        none=f"nobody is in {gallery}",
    )


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
    """Give a person another name.

    [bold]Examples[/]

      penumbra people rename unknown-17 anna --gallery shop

      penumbra people rename anna-2 anna --merge \\
        --gallery shop    # as `penumbra people merge`
    """
    with connected(url) as client:
        changed = client.rename_person(gallery, person, name, merge=merge)
    _say(changed, as_json)


@people_app.command("merge")
def merge_people(
    person: Annotated[str, typer.Argument(help="Whose pictures go to the other; the name is gone then.")],
    into: Annotated[str, typer.Argument(help="The person who has them all then; must be there.")],
    gallery: GalleryName,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    url: Url = SERVICE_URL,
    as_json: AsJson = False,
) -> None:
    """Make two people who turned out to be one the same person.

    No picture is lost. Which ones were whose is not kept, so two that are merged cannot be parted again.

    [bold]Example[/]

      penumbra people merge anna-2 anna --gallery shop --yes
    """
    if person == into:
        fail(f"{person!r} cannot be merged into itself", code=2)
    with connected(url) as client:
        client.person(gallery, into)  # a mistyped name would else be what the person is called from then on
        if not yes:
            images = client.person(gallery, person).images
            typer.confirm(
                f"Give {person}'s {images:,} pictures to {into}, for good?", abort=True, err=as_json
            )
        changed = client.rename_person(gallery, person, into, merge=True)
    _say(changed, as_json)


def _say(changed: Person, as_json: bool) -> None:
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
