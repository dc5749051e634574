"""Options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final

import typer

Url = Annotated[
    str, typer.Option("--url", envvar="PENUMBRA_URL", help="Address of the service.", show_envvar=True)
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
RetentionDays = Annotated[
    int | None, typer.Option(min=1, help="Erase pictures that were enrolled more days ago.")
]
GalleryName = Annotated[str, typer.Option("--gallery", "-g", help="Name of the gallery.")]

IndexKind = Annotated[
    str | None,
    typer.Option(
        "--index",
        metavar="auto|flat|clustered",
        help="flat: exact; clustered: less memory and time; auto: as the service says.",
    ),
]
OwnMetadata = Annotated[
    list[str] | None,
    typer.Option("--metadata", help="key=text, or key:=value for a number, true or false; may be repeated."),
]
Boxes = Annotated[
    list[str] | None,
    typer.Option(
        "--box",
        metavar="X,Y,W,H",
        help="Where in a full frame the person is, in pixels: once for each picture, in order; none for one "
        "that shows the person alone.",
    ),
]
A_TIME: Final = "a date, a date and time on this machine's clock, or RFC 3339 with an offset"
"""What :func:`service.moments.read_moment` takes."""

TimeFrom = Annotated[
    str | None,
    typer.Option("--from", metavar="TIME", help=f"Only pictures taken then or later: {A_TIME}."),
]
TimeTo = Annotated[str | None, typer.Option("--to", metavar="TIME", help="Only pictures taken before.")]

Unify = Annotated[
    str, typer.Option(help="auto, off, fuse, or what is hidden in the query, e.g. bottom_half.")
]

MatchRate = Annotated[
    float | None, typer.Option(help="Share of strangers' queries that may get a match, up to 0.5.")
]
UncertainRate = Annotated[float | None, typer.Option(help="The same for uncertain or better.")]
Prior = Annotated[
    float | None, typer.Option(help="Probability beforehand that the person asked about is enrolled.")
]

CLEARED: Final = "none"
"""In place of a number: what the option is about is no longer said."""


def _number_or_cleared(text: str) -> float | str:
    try:
        return text if text == CLEARED else float(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is neither a number nor {CLEARED}") from error


def _days_or_cleared(text: str) -> int | str:
    if text != CLEARED and (not text.isdecimal() or int(text) < 1):
        raise typer.BadParameter(f"{text!r} is neither a number of days, 1 at least, nor {CLEARED}")
    return text if text == CLEARED else int(text)


NewRetentionDays = Annotated[
    Any,
    typer.Option(
        "--retention-days",
        parser=_days_or_cleared,
        metavar="DAYS|none",
        help="Erase pictures that were enrolled more days ago; none: keep them.",
    ),
]
NewMatchRate = Annotated[
    Any,
    typer.Option(
        "--match-rate",
        parser=_number_or_cleared,
        metavar="RATE|none",
        help="Share of strangers' queries that may get a match, up to 0.5; none: as the calibration says.",
    ),
]
NewUncertainRate = Annotated[
    Any,
    typer.Option(
        "--uncertain-rate",
        parser=_number_or_cleared,
        metavar="RATE|none",
        help="The same for uncertain or better.",
    ),
]
NewPrior = Annotated[
    Any,
    typer.Option(
        "--prior",
        parser=_number_or_cleared,
        metavar="SHARE|none",
        help="Probability beforehand that the person asked about is enrolled; none: as the calibration says.",
    ),
]

DataDir = Annotated[
    Path | None, typer.Option(help="The service's data folder, where its catalog is in there.")
]
CatalogUrl = Annotated[
    str | None,
    typer.Option(help="SQLAlchemy URL of the catalog, where it is not in the data folder."),
]

SERVICE_URL: Final = "http://127.0.0.1:8321"
