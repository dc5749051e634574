"""`penumbra demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from service.commands.given import settings_of
from service.commands.saying import fail

__all__ = ["demo"]


def demo(
    output: Annotated[
        Path, typer.Option(help="Folder for the drawn pictures, the store, the log and the rank list.")
    ] = Path("demo-output"),
    people: Annotated[int, typer.Option(min=2, help="People in the gallery.")] = 40,
    bundle: Annotated[Path | None, typer.Option(help="The model; the shipped one unless given.")] = None,
    port: Annotated[
        int, typer.Option(min=0, max=65_535, help="Port of the service; another one is taken if it is busy.")
    ] = 8321,
    seed: Annotated[int, typer.Option(help="Other seeds draw other people.")] = 2020,
    keep_running: Annotated[
        bool, typer.Option("--keep-running/--exit", help="Leave the service running at the end.")
    ] = True,
) -> None:
    """Draw people, enrol them, and find them again by pictures in which a part of them is hidden.

    [bold]Examples[/]

      penumbra demo

      penumbra demo --people 100 --seed 7 --exit
    """
    from service.background import ServiceDied
    from service.client import ClientError
    from service.demo import DemoError, run_demo
    from service.private_files import private_files

    try:
        with private_files():
            bundle = bundle or settings_of().bundle
            run_demo(output, people=people, bundle=bundle, port=port, seed=seed, keep_running=keep_running)
    except (ClientError, DemoError, ServiceDied) as error:
        fail(str(error))
    except KeyboardInterrupt:
        fail("interrupted; nothing is left running", code=130)
