"""`penumbra bench accuracy`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.commands.options import AsJson
from service.commands.saying import fail, print_json

if TYPE_CHECKING:
    from service.bench.accuracy import Comparison

__all__ = ["bench_accuracy"]


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

      penumbra bench accuracy --dataset partial-ilids --root data/ \\
        --bundle a.onnx --bundle b.onnx

      penumbra bench accuracy --dataset market1501-val --root data/ \\
        --url http://127.0.0.1:8321

      penumbra bench accuracy --dataset partial-ilids --root data/ \\
        --bundle a.onnx --unify off --unify fuse
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
    from service.terminal import new_table, tables

    figures = ("rank-1", "rank-5", "rank-10", "mAP", "offline: rank-1")
    table = new_table(
        ("bundle", "unify", *figures, "mAP", "equal to 0.1 points"),
        numbers=figures,
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


def _yes(value: bool | None) -> str:
    return "yes" if value else "no"
