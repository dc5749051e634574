"""`penumbra serve`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from service.commands.given import settings_of
from service.commands.saying import fail

__all__ = ["serve"]


def serve(
    bundle: Annotated[
        Path | None, typer.Option(help="The model: a bundle written by `penumbra-train export`.")
    ] = None,
    host: Annotated[str | None, typer.Option(help="Address to bind to.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to bind to; 0 takes a free one.")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Folder of everything that is stored.")] = None,
    provider: Annotated[
        str | None, typer.Option(help="Where to compute: auto, cpu, cuda, tensorrt or openvino.")
    ] = None,
    redis_url: Annotated[str | None, typer.Option(help="Redis for the feature cache.")] = None,
    log_level: Annotated[str | None, typer.Option(help="debug, info, warning or error.")] = None,
    log_format: Annotated[str | None, typer.Option(help="text or json.")] = None,
    allow_anonymous: Annotated[
        bool | None,
        typer.Option("--allow-anonymous", help="Let other machines in although no key is asked for."),
    ] = None,
) -> None:
    """Run the service until it is told to stop (Ctrl-C or SIGTERM).

    Every setting can also be given as an environment variable, PENUMBRA_ and its name; options win.

    [bold]Examples[/]

      penumbra serve

      penumbra serve --bundle my-model.onnx --port 9000 \\
        --data-dir /var/lib/penumbra

      PENUMBRA_REDIS_URL=redis://localhost:6379/0 penumbra serve --provider cuda
    """
    from service.few_arenas import few_arenas
    from service.private_files import private_files

    few_arenas()
    settings = settings_of(
        bundle=bundle,
        host=host,
        port=port,
        data_dir=data_dir,
        provider=provider,
        redis_url=redis_url,
        log_level=log_level,
        log_format=log_format,
        allow_anonymous=allow_anonymous,
    )
    if not settings.bundle.is_file():
        fail(f"there is no bundle at {settings.bundle}; name one with --bundle or PENUMBRA_BUNDLE", code=2)
    if settings.previous_bundle is not None and not settings.previous_bundle.is_file():
        fail(f"there is no bundle at {settings.previous_bundle} (PENUMBRA_PREVIOUS_BUNDLE)", code=2)

    from service.api.serve import CatalogTaken, ServeRefused, StartFailed, run

    def tell(address: str) -> None:
        if settings.log_format == "text":  # whoever reads JSON reads nothing else
            page = f", API page at {address}/docs" if settings.docs else ""
            typer.echo(f"Penumbra at {address}{page}; Ctrl-C stops it")

    try:
        with private_files():
            status = run(settings, tell)
    except ServeRefused as error:
        fail(str(error), code=2)
    except (StartFailed, CatalogTaken) as error:
        fail(str(error))
    raise typer.Exit(status)
