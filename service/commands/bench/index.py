"""`penumbra bench search`, `index` and `waits`: the index alone, in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Final

import typer

from service.commands.options import AsJson
from service.commands.saying import fail, print_json

__all__ = ["bench_index", "bench_search", "bench_waits"]

_GALLERIES: Final = (300, 1000, 5000, 20_000, 100_000)
_TOP_KS: Final = (10, 1000)

FlatUpTo = Annotated[
    int,
    typer.Option(min=1, help="Pictures that stay flat, as PENUMBRA_INDEX_FLAT_UP_TO; the rest is clustered."),
]
Share = Annotated[
    float,
    typer.Option(
        min=0.001, max=1, help="Of what is clustered, that a search looks at: PENUMBRA_INDEX_SHARE."
    ),
]


def bench_search(
    pictures: Annotated[
        list[int] | None, typer.Option(min=1, help="In the gallery; may be given several times.")
    ] = None,
    top_k: Annotated[
        list[int] | None, typer.Option(min=1, help="People asked for; may be given several times.")
    ] = None,
    dimension: Annotated[int, typer.Option(min=1, help="D of the embeddings.")] = 512,
    queries: Annotated[int, typer.Option(min=1, help="Searches of each way, in turn.")] = 50,
    as_json: AsJson = False,
) -> None:
    """Time the index's search with unify=off and unify=fuse in turn, on random features, in this process.

    Unless said, for 10 and for 1,000 people in galleries of 300 to 100,000 pictures. Needs 18 bytes a picture
    and dimension: 0.9 GB for 100,000.

    [bold]Example[/]

      penumbra bench search --pictures 300 --pictures 20000 --top-k 10 --json
    """
    from dataclasses import asdict

    from service.bench.search import measure_search

    measured = []
    for count in pictures or _GALLERIES:
        with _filling(count) as advance:
            some = measure_search(count, dimension, queries, advance, top_k or _TOP_KS)
        measured += some
        if not as_json:
            for found in some:
                typer.echo(
                    f"{found.pictures:,} pictures, D {found.dimension}, top_k {found.top_k:,}: off "
                    f"{found.off_ms:.2f} ms, fuse {found.fuse_ms:.2f} ms of processor time a search, "
                    f"{found.ratio:.2f} times as long (medians of {found.queries}, in turn)"
                )
    if as_json:
        print_json([{**asdict(found), "ratio": found.ratio} for found in measured])


def bench_index(
    pictures: Annotated[int, typer.Option(min=1, help="In the gallery.")] = 1_000_000,
    dimension: Annotated[int, typer.Option(min=1, help="D of the embeddings.")] = 512,
    queries: Annotated[int, typer.Option(min=1, help="Searches of each way, in turn.")] = 50,
    flat_up_to: FlatUpTo = 100_000,
    bits: Annotated[int, typer.Option(help="Of a component where clustered: 8 or 16.")] = 8,
    share: Share = 0.2,
    as_json: AsJson = False,
) -> None:
    """Fill a large index with pictures that lie as people's do; print what it finds, takes and costs.

    Needs 9 to 14 bytes a picture and dimension with 8 bits, twice that with 16; minutes for a million.

    [bold]Examples[/]

      penumbra bench index

      penumbra bench index --pictures 50000 --flat-up-to 10000 --share 0.1 --json
    """
    from dataclasses import asdict

    from service.bench.index import measure_index
    from service.index.options import IndexOptions

    if bits not in (8, 16):
        fail(f"--bits must be 8 or 16, not {bits}")
    options = IndexOptions(flat_up_to, 8 if bits == 8 else 16, share)
    with _filling(pictures) as advance:
        found = measure_index(pictures, dimension, queries, options, advance)
    if as_json:
        print_json(asdict(found))
        return
    typer.echo(
        f"{found.pictures:,} pictures, D {found.dimension}, {found.clustered:,} of them clustered in {bits} "
        f"bits, filled in {found.fill_s:.0f} s\n"
        f"  recall@10 against exact search: {found.recall_whole:.3f}, with half of each picture hidden "
        f"{found.recall_hidden:.3f}\n"
        f"  processor time of a search: off {found.search_ms:.2f} ms, {found.search_ms / found.flat_ms:.2f} "
        f"times a flat index's; fuse {found.fuse_ms / found.search_ms:.2f} times off's\n"
        f"  memory of the process: {found.resident / 2**30:.2f} GiB, at most {found.peak / 2**30:.2f} GiB"
    )


def bench_waits(
    pictures: Annotated[int, typer.Option(min=100, help="In the gallery.")] = 100_000,
    dimension: Annotated[int, typer.Option(min=1, help="D of the embeddings.")] = 512,
    searches: Annotated[int, typer.Option(min=1, help="Without a writer, and with one.")] = 500,
    flat_up_to: FlatUpTo = 100_000,
    as_json: AsJson = False,
) -> None:
    """Measure how long searches are held up by a thread that enrols and erases all the time.

    Needs 18 bytes a picture and dimension: 0.9 GB for the default.

    [bold]Example[/]

      penumbra bench waits --pictures 20000
    """
    from dataclasses import asdict

    from service.bench.waits import measure_waits
    from service.index.options import IndexOptions

    with _filling(pictures) as advance:
        found = measure_waits(pictures, dimension, searches, IndexOptions(flat_up_to), advance)
    if as_json:
        print_json(asdict(found))
        return
    typer.echo(
        f"{found.pictures:,} pictures, D {found.dimension}: a search computes for {found.search_ms:.2f} ms\n"
        f"  alone it waits {found.alone.median_ms:.2f} ms, at most {found.alone.longest_ms:.1f} ms\n"
        f"  beside {found.updates:,} updates of 64 pictures {found.with_writer.median_ms:.2f} ms, at most "
        f"{found.with_writer.longest_ms:.1f} ms (medians of {found.searches})\n"
        f"  the longest update computes for {found.longest_update_ms:.1f} ms"
    )


@contextmanager
def _filling(pictures: int) -> Iterator[Callable[[int], None]]:
    """A progress bar for so many pictures; yields what is told how many more are in the index."""
    from service.terminal import picture_progress

    with picture_progress() as progress:
        task = progress.add_task("filling the index", total=pictures)
        yield lambda count: progress.advance(task, count)
