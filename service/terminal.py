"""What commands draw on a terminal: progress on standard error, so that standard output can be piped."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Mapping, Sequence

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, Task, TextColumn, TimeRemainingColumn
from rich.progress import ProgressColumn as RichColumn
from rich.table import Table
from rich.text import Text

__all__ = ["messages", "new_table", "pairs", "picture_progress", "show_table", "tables"]


def messages() -> Console:
    """Where progress, remarks and faults go."""
    return Console(stderr=True, highlight=False)


def tables() -> Console:
    """Where answers go. Piped, a table is as wide as it needs to be instead of 80 columns."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=10_000)


def new_table(
    columns: Sequence[str],
    *,
    numbers: Collection[str] = (),
    whole: Collection[str] = (),
    title: str | None = None,
) -> Table:
    """An empty table, without lines between cells: 80 columns are few, and programs cut up what is piped.

    Args:
        columns: their headings.
        numbers: the columns of numbers, which stand below one another by their last digit.
        whole: columns that are not broken on a narrow terminal, such as ids, which are copied.
        title: above it.
    """
    table = Table(
        box=None,
        pad_edge=False,
        padding=(0, 2, 0, 0),
        header_style="bold",
        title=title,
        title_justify="left",
        title_style="",
    )
    for column in columns:
        table.add_column(
            column,
            justify="right" if column in numbers else "left",
            no_wrap=column in numbers or column in whole,
            overflow="fold",
        )
    return table


def show_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    none: str,
    numbers: Collection[str] = (),
    whole: Collection[str] = (),
) -> None:
    """Print a table as :func:`new_table` has it; cells are text as it is.

    Args:
        columns, numbers, whole: as there.
        rows: as many cells each.
        none: said on standard error where there is no row.
    """
    table = new_table(columns, numbers=numbers, whole=whole)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    if table.row_count:
        tables().print(table)
    else:
        messages().print(Text(none))


def pairs(told: Mapping[str, str]) -> None:
    """Print what is told of one thing, a line for each, the values below one another."""
    width = max(map(len, told))
    console = tables()
    for what, value in told.items():
        console.print(Text(f"{what:<{width}}  {value}"), soft_wrap=True)


class _Rate(RichColumn):
    """Pictures per second."""

    def render(self, task: Task) -> Text:
        # Rich's own speed needs several steps, and a small folder is enrolled in one.
        spent = task.finished_time or task.elapsed
        speed = f"{task.completed / spent:,.0f} pictures/s" if spent and task.completed else ""
        return Text(speed, style="progress.data.speed")


def picture_progress(console: Console | None = None, *, shown: bool = True) -> Progress:
    """A progress bar that counts pictures and says how many a second."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TimeRemainingColumn(),
        console=console or messages(),
        disable=not shown,
        # rich would put what is written to standard output above the bar: onto the terminal, not into a file
        redirect_stdout=sys.stdout.isatty(),
    )
