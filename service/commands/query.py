"""`penumbra query` and `penumbra query-batch`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, cast

import typer

from service.commands.options import (
    SERVICE_URL,
    AsJson,
    Boxes,
    GalleryName,
    MatchRate,
    OwnMetadata,
    Prior,
    TimeFrom,
    TimeTo,
    UncertainRate,
    Unify,
    Url,
)
from service.commands.reaching import connected
from service.commands.saying import as_written, fail, print_json, said_grade

if TYPE_CHECKING:
    from io import BufferedReader

    from service.client import Evidence, QueryAnswer, QueryResult

__all__ = ["query", "query_batch"]

STDIN: Final = Path("-")

_OVERLAYS: Final[dict[str, Any]] = {"query": {"overlay"}, "results": {"__all__": {"overlay"}}}
"""Left out of the JSON: they are in files."""


def query(
    pictures: Annotated[
        list[Path], typer.Argument(help="1 to 16 pictures of one person.", exists=True, dir_okay=False)
    ],
    gallery: GalleryName,
    top_k: Annotated[int, typer.Option("--top-k", "-k", min=1, help="How many to show.")] = 10,
    by: Annotated[
        str, typer.Option(metavar="person|image", help="Rank people by their best picture, or pictures.")
    ] = "person",
    unify: Unify = "auto",
    box: Boxes = None,
    camera: Annotated[
        list[str] | None, typer.Option(help="Only pictures from this camera; may be given several times.")
    ] = None,
    exclude_camera: Annotated[
        list[str] | None, typer.Option(help="No picture from this camera; may be given several times.")
    ] = None,
    person: Annotated[
        list[str] | None, typer.Option(help="Only this person; may be given several times.")
    ] = None,
    exclude_person: Annotated[
        list[str] | None, typer.Option(help="Not this person; may be given several times.")
    ] = None,
    time_from: TimeFrom = None,
    time_to: TimeTo = None,
    metadata: OwnMetadata = None,
    evidence: Annotated[
        int, typer.Option(min=1, max=5, help="Pictures to show of each person: the best, and the next ones.")
    ] = 1,
    rerank: Annotated[
        bool, typer.Option("--rerank", help="Put the 100 best pictures in k-reciprocal order.")
    ] = False,
    overlays: Annotated[
        Path | None,
        typer.Option(
            help="Write PNGs into this folder, new or empty: what was compared, and where the model looked.",
            file_okay=False,
        ),
    ] = None,
    match_rate: MatchRate = None,
    uncertain_rate: UncertainRate = None,
    prior: Prior = None,
    url: Url = SERVICE_URL,
    as_json: AsJson = False,
) -> None:
    """Ask who in a gallery is the person in these pictures.

    The table tells what was hidden in both pictures for the comparison, so that only what both show counts.
    Probabilities and decisions are there where the model is calibrated for this --unify.

    [bold]Examples[/]

      penumbra query who.jpg --gallery shop

      penumbra query who-1.jpg who-2.jpg -g shop --top-k 3 --by image

      penumbra query who.jpg -g shop --unify bottom_half --json

      penumbra query who.jpg -g shop --camera entrance --camera exit \\
        --exclude-person guard

      penumbra query who.jpg -g shop --from '2026-11-20 22:00' \\
        --to 2026-11-21T06:00:00+01:00

      penumbra query frame.jpg -g shop --box 120,40,64,128

      penumbra query who.jpg -g shop --metadata shift=night --metadata gate:=4

      penumbra query who.jpg -g shop --overlays why/
    """
    from service.box_text import read_boxes
    from service.client import Decisions, Filters
    from service.metadata_options import read_metadata
    from service.moments import read_window

    if by not in ("person", "image"):
        fail(f"--by is person or image, not {by!r}", code=2)
    ranked_by: Literal["person", "image"] = "person" if by == "person" else "image"
    try:
        if overlays is not None and overlays.is_dir() and any(overlays.iterdir()):
            raise ValueError(f"{overlays} is not empty; queries would be mixed, so name another folder")
        boxes = read_boxes(box or (), len(pictures))
        start, end = read_window(time_from, time_to)
        filters = Filters(
            cameras=camera or (),
            people=person or (),
            exclude_cameras=exclude_camera or (),
            exclude_people=exclude_person or (),
            time_from=start,
            time_to=end,
            metadata=read_metadata(metadata or ()),
        )
    except (OSError, ValueError) as error:
        fail(str(error), code=2)
    with connected(url) as client:
        answer = client.query(
            gallery,
            pictures,
            top_k=top_k,
            by=ranked_by,
            unify=unify,
            boxes=boxes,
            filters=filters,
            decisions=Decisions(match_rate, uncertain_rate, prior),
            rerank=rerank,
            overlays=overlays is not None,
            evidence=evidence,
        )
    if overlays is not None:
        try:
            _write_overlays(answer, overlays)
        except OSError as error:
            fail(f"the overlays cannot be written: {error}")
    if as_json:
        print_json(answer.model_dump(mode="json", exclude=_OVERLAYS))
    else:
        _show_answer(answer)


def _write_overlays(answer: QueryAnswer, folder: Path) -> None:
    """Write ``query-hidden.png``, and ``01-query.png``, ``01-gallery.png``, ``01-attention.png`` by rank."""
    drawn: dict[str, bytes | None] = {}
    if (over := answer.query.overlay) is not None:
        drawn |= {"query-hidden": over.hidden, "query-attention": over.attention}
    for result in answer.results:
        if (of := result.overlay) is not None:
            parts = {"query": of.query, "gallery": of.gallery, "attention": of.attention}
            drawn |= {f"{result.rank:02d}-{name}": content for name, content in parts.items()}
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in drawn.items():
        if content is not None:
            (folder / f"{name}.png").write_bytes(content)


def _show_answer(answer: QueryAnswer) -> None:
    from service.terminal import show_table, tables

    console = tables()
    console.print(f"hidden in the query: {said_grade(answer.query.occlusion)}")
    rows: list[tuple[str, ...]] = []
    for result in answer.results:
        rows.append(
            (
                str(result.rank),
                result.person,
                f"{result.score:.4f}",
                "-" if result.probability is None else f"{result.probability:.4f}",
                result.decision or "-",
                *_shown_picture(result),
            )
        )
        rows += [("", "", f"{other.score:.4f}", "", "", *_shown_picture(other)) for other in result.evidence]
    show_table(
        ("rank", "person", "score", "probability", "decision", "hidden", "picture", "camera"),
        rows,
        numbers=("rank", "score", "probability"),
        whole=("decision", "hidden", "camera"),
        none="nobody was found",
    )
    if answer.query.compared_images is not None:
        console.print(f"ranked among {answer.query.compared_images:,} pictures of the gallery")
    if answer.pending:
        console.print(f"{answer.pending:,} pictures of the gallery were not compared: they await this model")
    console.print(", ".join(f"{stage} {spent:.1f} ms" for stage, spent in answer.timings.items()))


def _shown_picture(shown: QueryResult | Evidence) -> tuple[str, str, str]:
    return (
        shown.compared,
        shown.image.id,
        shown.image.camera or "-",
    )


def query_batch(
    file: Annotated[
        Path,
        typer.Argument(
            help="One JSON object a line: pictures (paths, from where the file is), id, options. - for "
            "standard input, whose paths start from here.",
            exists=True,
            dir_okay=False,
            allow_dash=True,
        ),
    ],
    gallery: GalleryName,
    url: Url = SERVICE_URL,
) -> None:
    """Ask many queries, and print one JSON object a line: line, id, and answer or problem, in order.

    A line has pictures and, if wanted, id, top_k, by, unify, boxes, rerank, overlays, evidence, cameras,
    people, exclude_cameras, exclude_people, time_from, time_to, metadata, match_rate, uncertain_rate and
    prior, as `penumbra query` has them, e.g. {"id": "a", "pictures": ["a.jpg"], "top_k": 3,
    "cameras": ["entrance"], "metadata": {"shift": "night"}}. Lines are asked as they come, up to 64 in a
    call. One that cannot be asked gets its problem, and the others go on. Ends with 1 if a query failed.

    [bold]Examples[/]

      penumbra query-batch queries.ndjson --gallery shop > answers.ndjson

      tracker | penumbra query-batch - --gallery shop \\
        | jq -c '[.id, .answer.results[0].person]'
    """
    from service.query_file import answers_in_order, lines_as_they_come, read_queries
    from service.terminal import picture_progress

    count = failed = 0
    with (
        _opened(file) as lines,
        connected(url) as client,
        picture_progress(shown=not sys.stdout.isatty()) as progress,  # else the answers are what one sees
    ):
        task = progress.add_task(f"asking {gallery}", total=_count(file))
        first = 1
        for together in lines_as_they_come(lines):
            asked = read_queries(together, Path() if file == STDIN else file.parent, first)
            first += len(together)
            for answer in answers_in_order(asked, partial(client.query_batch, gallery)):
                sys.stdout.write(as_written(answer.model_dump_json()) + "\n")
                sys.stdout.flush()
                count += 1
                failed += answer.problem is not None
                progress.advance(task)
    if failed:
        fail(f"{failed:,} of {count:,} queries failed")


@contextmanager
def _opened(file: Path) -> Iterator[BufferedReader]:
    """The lines of a file, or of standard input."""
    if file == STDIN:
        yield cast("BufferedReader", sys.stdin.buffer)  # which typing knows as less
        return
    try:
        lines = file.open("rb")
    except OSError as error:
        fail(f"{file} cannot be read: {error}", code=2)
    with lines:
        yield lines


def _count(file: Path) -> int | None:
    """How many queries there are; None where nobody can tell before they have come, as from a pipe."""
    if not file.is_file():
        return None
    with file.open("rb") as lines:
        return sum(1 for line in lines if line.strip())
