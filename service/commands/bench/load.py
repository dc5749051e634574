"""`penumbra bench load` and `penumbra bench start`: how quick a service answers, and how soon."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from service.commands.options import SERVICE_URL, AsJson, Url
from service.commands.saying import fail, print_json

__all__ = ["bench_load", "bench_start"]


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

      penumbra bench load embed --generator wrk --concurrency 16 --seconds 20 \\
        --bundle my-model.onnx

      penumbra bench load query --concurrency 1 --bundle my-model.onnx --json
    """
    from dataclasses import asdict
    from typing import cast, get_args

    from service.bench.accuracy import BenchError, shipped_bundle
    from service.bench.load import Generator, measure_load, on_loopback
    from service.client import BadAddress, Client, ClientError
    from service.client.connection import checked
    from service.cores import usable_cores
    from service.embedding.engine import ProviderError
    from service.settings import Provider

    if call not in ("embed", "query"):
        fail(f"load can be put on embed or query, not {call!r}", code=2)
    if provider not in get_args(Provider):
        fail(f"--provider is one of {', '.join(get_args(Provider))}, not {provider!r}", code=2)
    if generator not in get_args(Generator):
        fail(f"--generator is one of {', '.join(get_args(Generator))}, not {generator!r}", code=2)
    try:
        checked(url)
    except BadAddress as error:
        fail(str(error), code=2)
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

      penumbra bench start --pictures 20000 \\
        --postgresql postgresql+psycopg://penumbra@127.0.0.1/bench
    """
    import tempfile
    from dataclasses import asdict
    from functools import partial

    from sqlalchemy.exc import SQLAlchemyError

    from service.background import ServiceDied
    from service.bench.accuracy import BenchError
    from service.bench.start import measure_starts
    from service.settings import Settings
    from service.storage.schema import CatalogError
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
