"""`penumbra audit`: on the catalog itself, beside a running service or without one."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from service.commands.options import AsJson, CatalogUrl, DataDir
from service.commands.reaching import opened_database
from service.commands.saying import print_json

__all__ = ["audit"]


def audit(
    gallery: Annotated[str | None, typer.Option("--gallery", "-g", help="Only in this gallery.")] = None,
    name: Annotated[
        str | None,
        typer.Option(help="Only of this person (by name) or picture (by id), erased ones too."),
    ] = None,
    key: Annotated[str | None, typer.Option(help="Only with the key of this id.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, the latest first.")] = 50,
    data_dir: DataDir = None,
    catalog_url: CatalogUrl = None,
    as_json: AsJson = False,
) -> None:
    """Show the audit trail: who enrolled, queried, read or erased what, and when.

    [bold]Examples[/]

      penumbra audit --gallery station

      penumbra audit --gallery station --name anna --json
    """
    from service.storage.audit import AuditTrail
    from service.terminal import show_table

    with opened_database(data_dir, catalog_url) as database:
        events = AuditTrail(database).events(limit, gallery=gallery, name=name, key=key)
    if as_json:
        print_json([asdict(event) for event in events])
        return
    show_table(
        ("at", "action", "gallery", "subject", "pictures", "status", "key", "request"),
        (
            (
                f"{event.at.astimezone():%Y-%m-%d %H:%M:%S}",
                event.action,
                event.gallery or "-",
                (event.subject or "-")[:12],
                "-" if event.pictures is None else str(event.pictures),
                str(event.status),
                event.key or "-",
                event.request_id[:12],
            )
            for event in events
        ),
        numbers=("pictures",),
        whole=("at", "subject"),
        none="the audit trail has no such line",
    )
