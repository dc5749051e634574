"""`python -m tests.soak`: run the long proofs and print their figures; the exit status says if all held.

Each takes free ports and folders of its own, so several may run at the same time (`--only`).
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from tests.servers import PostgreSQLServer
from tests.soak.clock_jumps import clock_jumps
from tests.soak.disk_faults import disk_faults
from tests.soak.erasure_kills import erasure_kills
from tests.soak.erasures_without_redis import erasures_without_redis
from tests.soak.kills import kill_rounds
from tests.soak.load import mixed_load
from tests.soak.postgresql_faults import postgresql_faults
from tests.soak.redis_faults import redis_faults
from tests.soak.reindex_kills import reindex_kills
from tests.soak.rounds import Count
from tests.soak.takeovers import takeovers


class Figures(Protocol):
    """What a scenario counted; a dataclass."""

    @property
    def held(self) -> bool: ...


Scenario = Callable[[Path, Count], Figures]


@dataclass(frozen=True)
class Outcome:
    """What became of a scenario; ``fault`` where it could not be run to its end."""

    name: str
    held: bool
    seconds: float
    figures: dict[str, Any]
    fault: str | None = None


def scenarios(rounds: int, minutes: float, faults: int, bundle: Path | None) -> dict[str, Scenario]:
    """All of them, by name, in the order in which they are run."""
    return {
        "kills": lambda folder, count: kill_rounds(folder, rounds, count=count),
        "kills-postgresql": lambda folder, count: _on_postgresql(
            lambda server: kill_rounds(folder, rounds, catalog_url=server.empty_database(), count=count)
        ),
        "kills-erasure": lambda folder, count: erasure_kills(folder, rounds, count=count),
        "kills-erasure-postgresql": lambda folder, count: _on_postgresql(
            lambda server: erasure_kills(folder, rounds, postgresql=server, count=count)
        ),
        "kills-reindex": lambda folder, count: reindex_kills(folder, rounds, count=count),
        "takeovers": lambda folder, count: _on_postgresql(
            lambda server: takeovers(folder, faults, server.empty_database(), count=count)
        ),
        "redis": lambda folder, count: redis_faults(folder, faults, count=count),
        "erasures": lambda folder, count: erasures_without_redis(folder, faults, count=count),
        "postgresql": lambda folder, count: _on_postgresql(
            lambda server: postgresql_faults(folder, faults, server, count=count)
        ),
        "disk": lambda folder, count: disk_faults(folder, faults, count=count),
        "clock": lambda folder, count: clock_jumps(folder, faults, count=count),
        "load": lambda folder, count: mixed_load(folder, minutes, bundle, count=count),
    }


def _on_postgresql(scenario: Callable[[PostgreSQLServer], Figures]) -> Figures:
    # the folder above is closed to the user that PostgreSQL runs as
    with tempfile.TemporaryDirectory(prefix="penumbra-postgresql-") as cluster:
        server = PostgreSQLServer(Path(cluster))
        server.start()
        try:
            return scenario(server)
        finally:
            server.stop()


def run(name: str, scenario: Scenario, count: Count) -> Outcome:
    """Run one scenario in a folder of its own."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix=f"penumbra-soak-{name}-") as folder:
        try:
            found = scenario(Path(folder) / name, count)
        except Exception as error:
            traceback.print_exc()
            return Outcome(name, False, round(time.monotonic() - began, 1), {}, f"{error!r}")
    figures = asdict(found)  # type: ignore[call-overload]
    return Outcome(name, found.held, round(time.monotonic() - began, 1), figures)


def main() -> int:
    chosen = _arguments()
    wanted = scenarios(chosen.rounds, chosen.minutes, chosen.faults, chosen.bundle)
    names = chosen.only or list(wanted)
    console = Console(stderr=True)
    outcomes: list[Outcome] = []
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        for number, name in enumerate(names, 1):
            task = progress.add_task(f"{number}/{len(names)} {name}", total=None)
            outcomes.append(run(name, wanted[name], _shown_in(progress, task)))
            progress.remove_task(task)
            word = "held" if outcomes[-1].held else "[bold red]NOT held[/]"
            console.print(f"{number}/{len(names)} {name}: {word} ({outcomes[-1].seconds:.0f} s)")
    held = all(outcome.held for outcome in outcomes)
    if chosen.json:
        print(json.dumps({"held": held, "scenarios": [asdict(outcome) for outcome in outcomes]}))
    else:
        Console().print(_table(outcomes))
        print("all held" if held else "NOT all held")
    return 0 if held else 1


def _shown_in(progress: Progress, task: TaskID) -> Count:
    """Counts rounds on a bar; where there is no terminal, a line says each tenth that is done."""

    def count(total: int) -> Iterator[int]:
        progress.update(task, total=total)
        for number in range(total):
            yield number
            progress.advance(task)
            done = number + 1
            if not progress.console.is_terminal and 10 * done // total > 10 * number // total:
                progress.console.print(f"{progress.tasks[-1].description}: {done} of {total}")

    return count


def _table(outcomes: list[Outcome]) -> Table:
    table = Table("scenario", "held", "seconds", "figures")
    for outcome in outcomes:
        figures = ", ".join(f"{name} {value}" for name, value in outcome.figures.items())
        word = "yes" if outcome.held else "[bold red]no[/]"
        table.add_row(outcome.name, word, f"{outcome.seconds:.0f}", outcome.fault or figures)
    return table


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    names = list(scenarios(0, 0, 0, None))
    parser.add_argument("--rounds", type=int, default=100, help="kills of each kind (100)")
    parser.add_argument("--faults", type=int, default=10, help="rounds of each other fault (10)")
    parser.add_argument("--minutes", type=float, default=60.0, help="of mixed load (60)")
    parser.add_argument("--bundle", type=Path, help="for the load; a tiny handmade one unless given")
    parser.add_argument("--only", nargs="+", choices=names, metavar="NAME", help=f"of {', '.join(names)}")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
