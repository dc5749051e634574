"""`penumbra bench`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from service.commands.options import SERVICE_URL, AsJson, Url
from service.commands.saying import fail, print_json

if TYPE_CHECKING:
    from service.bench.accuracy import Comparison

__all__ = ["bench_app"]

bench_app = typer.Typer(help="Measure a running service.", no_args_is_help=True)


@bench_app.command("accuracy")
def bench_accuracy(
    dataset: Annotated[str, typer.Option(help="A protocol, e.g. partial-ilids or market1501-val.")],
    root: Annotated[Path, typer.Option(help="Where the data set lies.", exists=True, file_okay=False)],
    bundle: Annotated[
        list[Path] | None,
        typer.Option(help="Serve this bundle for the measurement; may be given several times.", exists=True),
    ] = None,
    url: Annotated[
        str | None, typer.Option(help="Measure the service at this address instead of one started here.")
    ] = None,
    unify: Annotated[
        list[str] | None,
        typer.Option(help="off, auto or fuse; may be given several times. Left out: off and auto."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run a data set's protocol through REST and hold the figures against the offline evaluation.

    Ends with 1 if a figure differs by more than 0.1 points. With --url, a --bundle says which file the
    service serves; the shipped ones are recognised without it.

    [bold]Examples[/]

      penumbra bench accuracy --dataset partial-ilids --root data/ --bundle a.onnx --bundle b.onnx

      penumbra bench accuracy --dataset market1501-val --root data/ --url http://127.0.0.1:8321

      penumbra bench accuracy --dataset partial-ilids --root data/ --bundle a.onnx --unify off --unify fuse
    """
    import tempfile
    from dataclasses import asdict
    from typing import cast, get_args

    from service.bench.accuracy import (
        UNIFY,
        BenchError,
        Unify,
        compare,
        read_manifest,
        serve_bundle,
        shipped_bundle,
    )
    from service.client import Client, ClientError
    from service.terminal import picture_progress

    bundles = bundle or []
    if wrong := set(unify or ()) - set(get_args(Unify)):
        fail(f"--unify is one of {', '.join(get_args(Unify))}, not {wrong.pop()!r}", code=2)
    ways = tuple(cast(Unify, way) for way in unify) if unify else UNIFY
    if url is None and not bundles:
        fail("give --url, or --bundle once or more", code=2)
    if url is not None and len(bundles) > 1:
        fail("a service at --url serves one bundle; give --bundle once at most", code=2)
    lines: list[Comparison] = []
    try:
        with (
            tempfile.TemporaryDirectory(prefix="penumbra-queries-") as rendered,
            picture_progress() as progress,
        ):
            manifest = read_manifest(dataset, root, Path(rendered))
            if url is not None:
                with Client(url) as client:
                    served = bundles[0] if bundles else shipped_bundle(client.model().fingerprint)
                lines = compare(url, served, manifest, root, progress, ways)
            else:
                for path in bundles:
                    with serve_bundle(path, len(manifest.gallery)) as address:
                        lines += compare(address, path, manifest, root, progress, ways)
    except (BenchError, ClientError) as error:
        fail(str(error))
    if as_json:
        print_json([{**asdict(line), "difference": line.difference, "equal": line.equal} for line in lines])
    else:
        _show_comparisons(lines)
        if manifest.note:
            typer.echo(manifest.note)
    if any(line.equal is False for line in lines):
        raise typer.Exit(1)


def _show_comparisons(lines: list[Comparison]) -> None:
    from rich.table import Table

    from service.terminal import tables

    table = Table(
        "bundle",
        "unify",
        "rank-1",
        "rank-5",
        "rank-10",
        "mAP",
        "offline: rank-1",
        "mAP",
        "equal to 0.1 points",
        title=f"{lines[0].dataset}: {lines[0].rest.queries:,} queries, {lines[0].gallery:,} in the gallery",
    )
    for line in lines:
        offline = line.offline
        table.add_row(
            line.bundle,
            line.unify,
            *(
                f"{figure:.1f}"
                for figure in (line.rest.rank1, line.rest.rank5, line.rest.rank10, line.rest.map)
            ),
            f"{offline.rank1:.1f}" if offline else "-",
            f"{offline.map:.1f}" if offline else "-",
            "no bundle file" if line.difference is None else f"{_yes(line.equal)} ({line.difference:.2f})",
        )
    tables().print(table)


@bench_app.command("load")
def bench_load(
    call: Annotated[str, typer.Argument(help="What is asked: embed or query.")] = "embed",
    concurrency: Annotated[
        int, typer.Option("--concurrency", "-c", min=1, max=1024, help="Clients at a time.")
    ] = 16,
    seconds: Annotated[float, typer.Option(min=0.1, max=3600, help="How long requests are begun.")] = 10.0,
    requests: Annotated[int | None, typer.Option(min=1, help="Requests at most.")] = None,
    generator: Annotated[
        str,
        typer.Option(help="What asks: wrk, python, or auto: wrk where it is installed and can ask this."),
    ] = "auto",
    bundle: Annotated[
        Path | None,
        typer.Option(help="The file that is served; found by itself if it is a shipped one.", exists=True),
    ] = None,
    provider: Annotated[str, typer.Option(help="Of the bare session.")] = "auto",
    threads: Annotated[int | None, typer.Option(min=1, help="Of the bare session; all cores.")] = None,
    elsewhere: Annotated[
        bool, typer.Option("--elsewhere", help="Load a service on another machine too.")
    ] = False,
    url: Url = SERVICE_URL,
    as_json: AsJson = False,
) -> None:
    """Load a running service, and hold it against the bare ONNX Runtime session in the same run.

    A query is asked of a gallery made for the run and erased after it. No two pictures are alike, so that
    the feature cache has none of them. Client, service and bare session share this machine's cores; hold only
    figures of one run against each other. wrk (a package of Debian) costs a hundredth of what a client in
    Python does, which takes the cores from the service that it measures.

    [bold]Examples[/]

      penumbra bench load

      penumbra bench load embed --generator wrk --concurrency 16 --seconds 20 --bundle my-model.onnx

      penumbra bench load query --concurrency 1 --bundle my-model.onnx --json
    """
    from dataclasses import asdict
    from typing import cast, get_args

    from service.bench.accuracy import BenchError, shipped_bundle
    from service.bench.load import Generator, measure_load, on_loopback
    from service.client import Client, ClientError
    from service.embedding.engine import ProviderError
    from service.settings import Provider, usable_cores

    if call not in ("embed", "query"):
        fail(f"load can be put on embed or query, not {call!r}", code=2)
    if provider not in get_args(Provider):
        fail(f"--provider is one of {', '.join(get_args(Provider))}, not {provider!r}", code=2)
    if generator not in get_args(Generator):
        fail(f"--generator is one of {', '.join(get_args(Generator))}, not {generator!r}", code=2)
    if not elsewhere and not on_loopback(url):
        fail(f"{url} is on another machine; load it with --elsewhere if that is meant", code=2)
    asked: Literal["embed", "query"] = "embed" if call == "embed" else "query"
    try:
        with Client(url) as client:
            served = bundle or shipped_bundle(client.model().fingerprint)
        load = measure_load(
            url,
            asked,
            generator=cast(Generator, generator),
            concurrency=concurrency,
            seconds=seconds,
            most=requests,
            bundle=served,
            provider=cast(Provider, provider),
            threads=threads or usable_cores(),
        )
    except (BenchError, ClientError, ProviderError) as error:
        fail(str(error))
    if as_json:
        print_json({**asdict(load), "rate": load.rate, "ratio": load.ratio})
        return
    typer.echo(
        f"{load.model}, {load.call}, {load.concurrency} clients ({load.generator}): "
        f"{load.requests:,} answered in {load.seconds:.1f} s, {load.refused:,} turned away"
    )
    typer.echo(
        f"  {load.rate:,.1f} requests/s; latency p50 {load.p50_ms:.1f} ms, p95 {load.p95_ms:.1f} ms, "
        f"p99 {load.p99_ms:.1f} ms, slowest {load.slowest_ms:.1f} ms"
    )
    if load.above_ms is not None:
        typer.echo(f"  above the time in the model: p50 {load.above_ms:.1f} ms")
    if load.bare is None or load.ratio is None:
        typer.echo("  bare session: not measured, the served file is not known here; give --bundle")
    else:
        typer.echo(
            f"  bare session {load.bare:,.1f} pictures/s, {load.bare_one_ms:.1f} ms for one alone: "
            f"REST gives {100 * load.ratio:.0f} % of the rate"
        )


@bench_app.command("search")
def bench_search(
    pictures: Annotated[int, typer.Option(min=1, help="In the gallery.")] = 100_000,
    dimension: Annotated[int, typer.Option(min=1, help="D of the embeddings.")] = 512,
    queries: Annotated[int, typer.Option(min=1, help="Searches of each way, in turn.")] = 50,
    as_json: AsJson = False,
) -> None:
    """Time the index's search with unify=off and unify=fuse in turn, on random features, in this process.

    Needs 18 bytes a picture and dimension: 0.9 GB for the default.

    [bold]Example[/]

      penumbra bench search --pictures 20000 --json
    """
    from dataclasses import asdict

    from service.bench.search import measure_search
    from service.terminal import picture_progress

    with picture_progress() as progress:
        task = progress.add_task("filling the index", total=pictures)
        found = measure_search(pictures, dimension, queries, lambda count: progress.advance(task, count))
    if as_json:
        print_json({**asdict(found), "ratio": found.ratio})
        return
    typer.echo(
        f"{found.pictures:,} pictures, D {found.dimension}: off {found.off_ms:.2f} ms, fuse "
        f"{found.fuse_ms:.2f} ms of processor time a search, {found.ratio:.2f} times as long "
        f"(medians of {found.queries}, in turn)"
    )


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


@bench_app.command("index")
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
    from service.index.local import IndexOptions
    from service.terminal import picture_progress

    if bits not in (8, 16):
        fail(f"--bits must be 8 or 16, not {bits}")
    options = IndexOptions(flat_up_to, 8 if bits == 8 else 16, share)
    with picture_progress() as progress:
        task = progress.add_task("filling the index", total=pictures)
        found = measure_index(
            pictures, dimension, queries, options, lambda count: progress.advance(task, count)
        )
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


@bench_app.command("waits")
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
    from service.index.local import IndexOptions
    from service.terminal import picture_progress

    with picture_progress() as progress:
        task = progress.add_task("filling the index", total=pictures)
        found = measure_waits(
            pictures,
            dimension,
            searches,
            IndexOptions(flat_up_to),
            lambda count: progress.advance(task, count),
        )
    if as_json:
        print_json(asdict(found))
        return
    typer.echo(
        f"{found.pictures:,} pictures, D {found.dimension}: a search computes for {found.search_ms:.2f} ms\n"
        f"  alone it waits {found.alone.median_ms:.2f} ms, at most {found.alone.longest_ms:.1f} ms\n"
        f"  beside {found.updates:,} updates of 64 pictures {found.with_writer.median_ms:.2f} ms, at most "
        f"{found.with_writer.longest_ms:.1f} ms (medians of {found.searches})"
    )


@bench_app.command("start")
def bench_start(
    pictures: Annotated[int, typer.Option(min=1, help="In the gallery.")] = 100_000,
    bundle: Annotated[
        Path | None, typer.Option(help="The model that is served; the shipped one.", exists=True)
    ] = None,
    postgresql: Annotated[
        str | None,
        typer.Option(help="SQLAlchemy URL of an unused PostgreSQL database, to be measured too."),
    ] = None,
    folder: Annotated[
        Path | None, typer.Option(help="Where to put the data; a temporary one.", file_okay=False)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Time how long a service with a large gallery takes from its start until it is ready.

    The features are random. Needs 18 bytes of memory a picture and dimension, and twice that on disk: 1.8 GB
    for the default. The seconds stand beside those in which numpy reads as many bytes, in the same run.

    [bold]Examples[/]

      penumbra bench start

      penumbra bench start --pictures 20000 --postgresql postgresql+psycopg://penumbra@127.0.0.1/bench
    """
    import tempfile
    from dataclasses import asdict
    from functools import partial

    from sqlalchemy.exc import SQLAlchemyError

    from service.background import ServiceDied
    from service.bench.accuracy import BenchError
    from service.bench.start import measure_starts
    from service.settings import Settings
    from service.storage.database import CatalogError
    from service.terminal import picture_progress

    served = bundle or Settings().bundle
    try:
        with (
            tempfile.TemporaryDirectory(prefix="penumbra-start-", dir=folder) as data,
            picture_progress() as progress,
        ):
            catalogs = 1 if postgresql is None else 2
            task = progress.add_task("filling catalogs", total=pictures * catalogs)
            advance = partial(progress.advance, task)
            found = list(measure_starts(served, pictures, Path(data), postgresql, advance))
    except (BenchError, ServiceDied, CatalogError, SQLAlchemyError) as error:
        fail(str(error))
    if as_json:
        print_json([{**asdict(start), "ratio": start.ratio} for start in found])
        return
    for start in found:
        typer.echo(
            f"{start.catalog}{' with snapshots' if start.snapshots else ''}: {start.pictures:,} pictures, "
            f"D {start.dimension}, ready after {start.seconds:.1f} s, {start.ratio:.0f} times as long as "
            f"numpy reads as much ({start.numpy_seconds:.2f} s)"
        )


def _yes(value: bool | None) -> str:
    return "yes" if value else "no"
