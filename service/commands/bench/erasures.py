"""`penumbra bench erasures`: how long readers wait while people are erased."""

from __future__ import annotations

from typing import Annotated

import typer

from service.commands.options import AsJson
from service.commands.saying import fail, print_json

__all__ = ["bench_erasures"]


def bench_erasures(
    pictures: Annotated[int, typer.Option(min=100, help="In the gallery, ten of each person.")] = 100_000,
    dimension: Annotated[int, typer.Option(min=1, help="D of the embeddings.")] = 512,
    people: Annotated[int, typer.Option(min=1, help="To erase, one after the other.")] = 10,
    catalog: Annotated[
        str | None,
        typer.Option(help="SQLAlchemy URL of an unused database; a temporary SQLite file unless given."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Measure how long readers of a catalog wait while people are erased, and how soon those are gone.

    The features are random. Needs 18 bytes of disk a picture and dimension, 0.9 GB for the default.

    [bold]Examples[/]

      penumbra bench erasures --pictures 20000

      penumbra bench erasures \\
        --catalog postgresql+psycopg://penumbra@127.0.0.1/bench
    """
    import tempfile
    from dataclasses import asdict
    from functools import partial

    from sqlalchemy.exc import SQLAlchemyError

    from service.bench.accuracy import BenchError
    from service.bench.erasures import measure_erasures
    from service.settings import Settings
    from service.storage.schema import CatalogError
    from service.terminal import picture_progress

    if 10 * people >= pictures:
        fail(f"of {pictures:,} pictures fewer than {pictures // 10:,} people can be erased", code=2)
    limit = Settings.model_fields["catalog_rewrite_bytes"].default
    with tempfile.TemporaryDirectory(prefix="penumbra-bench-") as folder, picture_progress() as progress:
        task = progress.add_task("filling the catalog", total=pictures)
        url = catalog or f"sqlite:///{folder}/catalog.sqlite3"
        try:
            found = measure_erasures(
                url, pictures, dimension, people, limit, advance=partial(progress.advance, task)
            )
        except (BenchError, CatalogError, SQLAlchemyError) as error:
            fail(str(error))
    if as_json:
        print_json(asdict(found))
        return
    typer.echo(
        f"{found.catalog}: {found.pictures:,} pictures, D {found.dimension}; the records of ten are read in "
        f"{found.alone.median_ms:.2f} ms, at most {found.alone.longest_ms:.1f} ms\n"
        f"  while {found.erased} people are erased in {found.beside.median_ms:.2f} ms, at most "
        f"{found.beside.longest_ms:.1f} ms (of {found.reads:,})\n"
        f"  nothing of a person is in the files {found.gone_s:.2f} s after the call"
    )
