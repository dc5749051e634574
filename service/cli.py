"""The command `penumbra`. What takes long to import is imported by the command that needs it."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn

import typer

from service.keys_command import audit, keys_app

if TYPE_CHECKING:
    from service.bench.accuracy import Comparison
    from service.client import Client, EnrolledPicture, NewPicture, QueryAnswer

app = typer.Typer(
    name="penumbra",
    help="Find a person again, across cameras, when only part of the person can be seen.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_show_locals=False,
)
galleries_app = typer.Typer(help="List, create and delete galleries.", no_args_is_help=True)
people_app = typer.Typer(help="List, rename, merge and erase people of a gallery.", no_args_is_help=True)
bench_app = typer.Typer(help="Measure a running service.", no_args_is_help=True)
app.add_typer(galleries_app, name="galleries")
app.add_typer(people_app, name="people")
app.add_typer(bench_app, name="bench")
app.add_typer(keys_app, name="keys")
app.command()(audit)

Url = Annotated[
    str, typer.Option("--url", envvar="PENUMBRA_URL", help="Address of the service.", show_envvar=True)
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
RetentionDays = Annotated[
    int | None, typer.Option(min=1, help="Erase pictures that were enrolled more days ago.")
]
GalleryName = Annotated[str, typer.Option("--gallery", "-g", help="Name of the gallery.")]

MatchRate = Annotated[
    float | None, typer.Option(help="Share of strangers' queries that may get a match, up to 0.5.")
]
UncertainRate = Annotated[float | None, typer.Option(help="The same for uncertain or better.")]
Prior = Annotated[
    float | None, typer.Option(help="Probability beforehand that the person asked about is enrolled.")
]

SERVICE_URL = "http://127.0.0.1:8321"


def _fail(message: str, code: int = 1) -> NoReturn:
    """Say on standard error what is wrong, and end."""
    from service.terminal import messages

    messages().print(f"[bold red]penumbra:[/] {_plain(message)}", soft_wrap=True)
    raise typer.Exit(code)


def _plain(text: str) -> str:
    """Text that rich prints as it is."""
    from rich.markup import escape

    return escape(text)


@contextmanager
def _connected(url: str) -> Iterator[Client]:
    """A client, whose faults end the command with what went wrong."""
    from service.client import Client, ClientError

    with Client(url) as client:
        try:
            yield client
        except ClientError as error:
            _fail(str(error))


def _print_json(document: Any) -> None:
    json.dump(document, sys.stdout, indent=2, ensure_ascii=False)
    sys.stdout.write("\n")


# penumbra serve


@app.command()
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

      penumbra serve --bundle my-model.onnx --port 9000 --data-dir /var/lib/penumbra

      PENUMBRA_REDIS_URL=redis://localhost:6379/0 penumbra serve --provider cuda
    """
    from pydantic import ValidationError

    from service.background import free_port
    from service.settings import Settings

    given: dict[str, Any] = {
        "bundle": bundle,
        "host": host,
        "port": free_port() if port == 0 else port,
        "data_dir": data_dir,
        "provider": provider,
        "redis_url": redis_url,
        "log_level": log_level,
        "log_format": log_format,
        "allow_anonymous": allow_anonymous,
    }
    try:
        settings = Settings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()]
        _fail("a setting is not valid\n  " + "\n  ".join(faults), code=2)
    if not settings.bundle.is_file():
        _fail(f"there is no bundle at {settings.bundle}; name one with --bundle or PENUMBRA_BUNDLE", code=2)

    from service.api.serve import ServeRefused, StartFailed, run

    host_in_url = f"[{settings.host}]" if ":" in settings.host else settings.host
    address = f"http://{host_in_url}:{settings.port}"
    typer.echo(f"Penumbra at {address}, API page at {address}/docs; Ctrl-C stops it")
    try:
        status = run(settings)
    except ServeRefused as error:
        _fail(str(error), code=2)
    except StartFailed as error:
        _fail(str(error))
    raise typer.Exit(status)


# penumbra galleries


@galleries_app.command("list")
def list_galleries(url: Url = SERVICE_URL, as_json: AsJson = False) -> None:
    """Show all galleries.

    [bold]Example[/]

      penumbra galleries list --json
    """
    with _connected(url) as client:
        found = list(client.galleries())
    if as_json:
        _print_json([gallery.model_dump(mode="json") for gallery in found])
        return
    from rich.table import Table

    from service.terminal import tables

    table = Table("gallery", "pictures", "of another model", "people", "keeps pictures", "created")
    for gallery in found:
        table.add_row(
            gallery.name,
            f"{gallery.images:,}",
            f"{gallery.pending:,}",  # not found until they are enrolled again
            f"{gallery.people:,}",
            "yes" if gallery.keep_pictures else "no",
            f"{gallery.created_at.astimezone():%Y-%m-%d %H:%M}",
        )
    tables().print(table)


@galleries_app.command("create")
def create_gallery(
    name: Annotated[str, typer.Argument(help="Small letters, digits, . _ and -.")],
    keep_pictures: Annotated[
        bool, typer.Option("--keep-pictures", help="Store the pictures too, not only their features.")
    ] = False,
    retention_days: RetentionDays = None,
    url: Url = SERVICE_URL,
    as_json: AsJson = False,
) -> None:
    """Make a gallery.

    [bold]Example[/]

      penumbra galleries create station-north --retention-days 30
    """
    with _connected(url) as client:
        gallery = client.create_gallery(name, keep_pictures=keep_pictures, retention_days=retention_days)
    if as_json:
        _print_json(gallery.model_dump(mode="json"))
    else:
        typer.echo(f"created {gallery.name}")


@galleries_app.command("change")
def change_gallery(
    name: Annotated[str, typer.Argument(help="The gallery.")],
    match_rate: MatchRate = None,
    uncertain_rate: UncertainRate = None,
    prior: Prior = None,
    retention_days: RetentionDays = None,
    url: Url = SERVICE_URL,
    as_json: AsJson = False,
) -> None:
    """Say how a gallery decides, where a query does not say so itself, and how long it keeps pictures.

    [bold]Examples[/]

      penumbra galleries change station-north --match-rate 0.001 --prior 0.05

      penumbra galleries change station-north --retention-days 30
    """
    given = {
        "match_rate": match_rate,
        "uncertain_rate": uncertain_rate,
        "prior": prior,
        "retention_days": retention_days,
    }
    changes = {name: value for name, value in given.items() if value is not None}
    with _connected(url) as client:
        gallery = client.change_gallery(name, **changes)
    if as_json:
        _print_json(gallery.model_dump(mode="json"))
        return
    said = [f"{option} {value:g}" for option in given if (value := getattr(gallery, option)) is not None]
    typer.echo(f"{gallery.name}: {', '.join(said) or 'decides as the calibration says'}")


@galleries_app.command("statistics")
def gallery_statistics(
    name: Annotated[str, typer.Argument(help="The gallery.")],
    url: Url = SERVICE_URL,
    as_json: AsJson = False,
) -> None:
    """Show what is in a gallery: pictures by graded occlusion, people, bytes.

    [bold]Example[/]

      penumbra galleries statistics station-north
    """
    with _connected(url) as client:
        found = client.statistics(name)
    if as_json:
        _print_json(found.model_dump(mode="json"))
        return
    typer.echo(f"{found.images:,} pictures of {found.people:,} people, {found.pending:,} pending")
    for kind, count in found.by_occlusion.items():
        typer.echo(f"  {kind}: {count:,}")
    typer.echo(f"features: {found.feature_bytes / 1e6:,.1f} MB")


@galleries_app.command("reindex")
def reindex_gallery(
    name: Annotated[str, typer.Argument(help="The gallery.")],
    wait: Annotated[bool, typer.Option(help="Wait until it is done; it goes on either way.")] = True,
    url: Url = SERVICE_URL,
    as_json: AsJson = False,
) -> None:
    """Bring a gallery's kept pictures to the present model, after the model was replaced.

    The service embeds them in the background, and finds each as soon as it is done.

    [bold]Examples[/]

      penumbra galleries reindex station-north

      penumbra galleries reindex station-north --no-wait --json
    """
    from service.terminal import picture_progress

    with _connected(url) as client:
        found = client.reindex(name)
        if wait:
            with picture_progress() as progress:
                task = progress.add_task(f"embedding {name} again", total=found.images)
                while found.running:
                    progress.update(task, completed=found.done, total=found.done + found.waiting)
                    time.sleep(0.5)
                    found = client.reindexing(name)
                progress.update(task, completed=found.done, total=found.done + found.waiting)
    if as_json:
        _print_json(found.model_dump(mode="json"))
    else:
        typer.echo(f"{found.done:,} of {found.images:,} pictures are of the present model")
        if found.waiting:
            typer.echo(f"{found.waiting:,} wait to be embedded")
        if found.not_kept:
            typer.echo(f"{found.not_kept:,} were not kept: enrol them again")
    if found.failed:
        _fail(f"{found.failed:,} pictures could not be embedded, the last: {found.problem}")


@galleries_app.command("delete")
def delete_gallery(
    name: Annotated[str, typer.Argument(help="The gallery to erase.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    url: Url = SERVICE_URL,
) -> None:
    """Erase a gallery with everything in it.

    [bold]Example[/]

      penumbra galleries delete station-north --yes
    """
    with _connected(url) as client:
        gallery = client.gallery(name)
        if not yes:
            typer.confirm(f"Erase {name} with its {gallery.images:,} pictures?", abort=True)
        client.delete_gallery(name)
    typer.echo(f"deleted {name}")


# penumbra people


@people_app.command("list")
def list_people(gallery: GalleryName, url: Url = SERVICE_URL, as_json: AsJson = False) -> None:
    """Show the people of a gallery, and how many pictures show each.

    [bold]Example[/]

      penumbra people list --gallery shop
    """
    with _connected(url) as client:
        found = list(client.people(gallery))
    if as_json:
        _print_json([person.model_dump(mode="json") for person in found])
        return
    from rich.table import Table

    from service.terminal import tables

    table = Table("person", "pictures")
    for person in found:
        table.add_row(_plain(person.name), f"{person.images:,}")
    tables().print(table)


@people_app.command("rename")
def rename_person(
    person: Annotated[str, typer.Argument(help="The present name.")],
    name: Annotated[str, typer.Argument(help="The new name.")],
    gallery: GalleryName,
    merge: Annotated[
        bool, typer.Option("--merge", help="If another person has that name: make the two one.")
    ] = False,
    url: Url = SERVICE_URL,
    as_json: AsJson = False,
) -> None:
    """Give a person another name, or merge two who turned out to be one.

    [bold]Examples[/]

      penumbra people rename unknown-17 anna --gallery shop

      penumbra people rename anna-2 anna --merge --gallery shop
    """
    with _connected(url) as client:
        changed = client.rename_person(gallery, person, name, merge=merge)
    if as_json:
        _print_json(changed.model_dump(mode="json"))
    else:
        typer.echo(f"{changed.name} has {changed.images:,} pictures")


@people_app.command("erase")
def erase_person(
    person: Annotated[str, typer.Argument(help="Whom to erase.")],
    gallery: GalleryName,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    url: Url = SERVICE_URL,
) -> None:
    """Erase a person with all that is stored of them.

    [bold]Example[/]

      penumbra people erase anna --gallery shop --yes
    """
    with _connected(url) as client:
        found = client.person(gallery, person)
        if not yes:
            typer.confirm(f"Erase {person} with {found.images:,} pictures?", abort=True)
        client.delete_person(gallery, person)
    typer.echo(f"erased {person}")


# penumbra enrol


@app.command()
def enrol(
    folder: Annotated[Path, typer.Argument(help="Folder of pictures.", exists=True, file_okay=False)],
    gallery: GalleryName,
    create: Annotated[bool, typer.Option("--create", help="Make the gallery if there is none.")] = False,
    pattern: Annotated[
        str | None,
        typer.Option(help="How files are named: {person}, {camera} and * for anything, without extension."),
    ] = None,
    manifest: Annotated[
        Path | None,
        typer.Option(
            help="CSV with path, person and, if wanted, camera, time, client_id; other columns are metadata.",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    url: Url = SERVICE_URL,
    as_json: AsJson = False,
) -> None:
    """Enrol a folder of pictures. Run again, it enrols only what is new.

    Each person has a folder of pictures; or files are named by a pattern; or a manifest lists them.
    A picture's path in the folder is its client id. Ends with 1 if a picture failed.

    [bold]Examples[/]

      penumbra enrol people/ --gallery shop --create

      penumbra enrol Market-1501/bounding_box_test/ -g market --pattern '{person}_c{camera}s*'

      penumbra enrol crops/ -g station --manifest crops.csv --json
    """
    from service.folder import FolderError, read_folder, read_manifest

    if pattern is not None and manifest is not None:
        _fail("give --pattern or --manifest, not both", code=2)
    try:
        pictures = read_manifest(manifest, folder) if manifest else read_folder(folder, pattern)
    except FolderError as error:
        _fail(str(error), code=2)
    with _connected(url) as client:
        if create:
            _create_if_missing(client, gallery)
        outcomes = _enrol_with_progress(client, gallery, pictures)
    failed = [
        (str(picture.client_id), _reason(outcome))
        for picture, outcome in zip(pictures, outcomes, strict=True)
        if outcome.status == "failed"
    ]
    counts = {
        status: sum(o.status == status for o in outcomes) for status in ("enrolled", "exists", "failed")
    }
    if as_json:
        faults = [{"client_id": client_id, "problem": reason} for client_id, reason in failed]
        _print_json({"gallery": gallery, **counts, "failures": faults})
    else:
        typer.echo(
            f"{counts['enrolled']:,} enrolled, {counts['exists']:,} were there already, "
            f"{counts['failed']:,} failed"
        )
        for client_id, reason in failed:
            typer.echo(f"  {client_id}: {reason}", err=True)
    if failed:
        raise typer.Exit(1)


def _create_if_missing(client: Client, gallery: str) -> None:
    from service.client import ProblemError

    try:
        client.create_gallery(gallery)
    except ProblemError as problem:
        if problem.slug != "gallery-exists":
            raise


def _reason(outcome: EnrolledPicture) -> str:
    if outcome.problem is None:
        return "no reason given"
    return outcome.problem.detail or outcome.problem.title


def _enrol_with_progress(client: Client, gallery: str, pictures: list[NewPicture]) -> list[EnrolledPicture]:
    from service.terminal import picture_progress

    with picture_progress() as progress:
        task = progress.add_task(f"enrolling into {gallery}", total=len(pictures))
        return client.enrol(
            gallery, pictures, on_answer=lambda answered: progress.advance(task, len(answered))
        )


# penumbra query


@app.command()
def query(
    pictures: Annotated[
        list[Path], typer.Argument(help="1 to 16 pictures of one person.", exists=True, dir_okay=False)
    ],
    gallery: GalleryName,
    top_k: Annotated[int, typer.Option("--top-k", "-k", min=1, help="How many to show.")] = 10,
    by: Annotated[
        str, typer.Option(help="Rank people by their best picture, or pictures: person, image.")
    ] = "person",
    unify: Annotated[
        str, typer.Option(help="auto, off, fuse, or what is hidden in the query, e.g. bottom_half.")
    ] = "auto",
    camera: Annotated[
        list[str] | None, typer.Option(help="Only pictures from this camera; may be given several times.")
    ] = None,
    exclude_camera: Annotated[list[str] | None, typer.Option(help="No picture from this camera.")] = None,
    person: Annotated[list[str] | None, typer.Option(help="Only this person.")] = None,
    exclude_person: Annotated[list[str] | None, typer.Option(help="Not this person.")] = None,
    rerank: Annotated[
        bool, typer.Option("--rerank", help="Put the 100 best pictures in k-reciprocal order.")
    ] = False,
    match_rate: MatchRate = None,
    uncertain_rate: UncertainRate = None,
    prior: Prior = None,
    url: Url = SERVICE_URL,
    as_json: AsJson = False,
) -> None:
    """Ask who in a gallery is the person in these pictures.

    Probabilities and decisions are there where the model is calibrated for this --unify.

    [bold]Examples[/]

      penumbra query who.jpg --gallery shop

      penumbra query who-1.jpg who-2.jpg -g shop --top-k 3 --by image

      penumbra query who.jpg -g shop --unify bottom_half --json

      penumbra query who.jpg -g shop --camera entrance --camera exit --exclude-person guard
    """
    from service.client import Decisions, Filters

    if by not in ("person", "image"):
        _fail(f"--by is person or image, not {by!r}", code=2)
    ranked_by: Literal["person", "image"] = "person" if by == "person" else "image"
    filters = Filters(
        cameras=camera or (),
        people=person or (),
        exclude_cameras=exclude_camera or (),
        exclude_people=exclude_person or (),
    )
    with _connected(url) as client:
        answer = client.query(
            gallery,
            pictures,
            top_k=top_k,
            by=ranked_by,
            unify=unify,
            filters=filters,
            decisions=Decisions(match_rate, uncertain_rate, prior),
            rerank=rerank,
        )
    if as_json:
        _print_json(answer.model_dump(mode="json"))
    else:
        _show_answer(answer)


def _show_answer(answer: QueryAnswer) -> None:
    from rich.table import Table

    from service.terminal import tables

    console = tables()
    grade = answer.query.occlusion
    scores = ", ".join(f"{place} {score:.2f}" for place, score in (grade.scores or {}).items())
    console.print(f"query graded [bold]{grade.type}[/] ({scores})" if scores else "query not graded")
    table = Table("rank", "person", "score", "probability", "decision", "compared", "picture", "camera")
    for result in answer.results:
        table.add_row(
            str(result.rank),
            _plain(result.person),
            f"{result.score:.4f}",
            "-" if result.probability is None else f"{result.probability:.4f}",
            result.decision or "-",
            "whole pictures" if result.compared == "none" else f"without {result.compared}",
            result.image.id,
            _plain(result.image.camera or "-"),
        )
    console.print(table)
    console.print(", ".join(f"{stage} {spent:.1f} ms" for stage, spent in answer.timings.items()))


# penumbra query-batch


@app.command("query-batch")
def query_batch(
    file: Annotated[
        Path,
        typer.Argument(
            help="One JSON object a line: pictures (paths, from where the file is), id, options.",
            exists=True,
            dir_okay=False,
        ),
    ],
    gallery: GalleryName,
    url: Url = SERVICE_URL,
) -> None:
    """Ask many queries, and print one JSON object a line: id, and answer or problem, in order.

    The options are those of `penumbra query`, e.g. {"id": "a", "pictures": ["a.jpg"], "top_k": 3,
    "cameras": ["entrance"]}. Ends with 1 if a query failed.

    [bold]Example[/]

      penumbra query-batch queries.ndjson --gallery shop > answers.ndjson
    """
    from service.query_file import QueryFileError, read_queries
    from service.terminal import picture_progress

    try:
        queries = read_queries(file)
    except QueryFileError as error:
        _fail(str(error), code=2)
    failed = 0
    with _connected(url) as client, picture_progress() as progress:
        task = progress.add_task(f"asking {gallery}", total=len(queries))
        try:
            for answer in client.query_batch(gallery, queries):
                sys.stdout.write(answer.model_dump_json() + "\n")
                failed += answer.problem is not None
                progress.advance(task)
        except OSError as error:
            _fail(f"a picture cannot be read: {error}")
    if failed:
        _fail(f"{failed:,} of {len(queries):,} queries failed")


# penumbra demo


@app.command()
def demo(
    output: Annotated[
        Path, typer.Option(help="Folder for the drawn pictures, the store, the log and the rank list.")
    ] = Path("demo-output"),
    people: Annotated[int, typer.Option(min=2, help="People in the gallery.")] = 40,
    bundle: Annotated[Path | None, typer.Option(help="The model; the shipped one unless given.")] = None,
    port: Annotated[
        int, typer.Option(help="Port of the service; another one is taken if it is busy.")
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

    try:
        run_demo(output, people=people, bundle=bundle, port=port, seed=seed, keep_running=keep_running)
    except (ClientError, DemoError, ServiceDied) as error:
        _fail(str(error))
    except KeyboardInterrupt:
        _fail("interrupted; nothing is left running", code=130)


# penumbra bench


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
        _fail(f"--unify is one of {', '.join(get_args(Unify))}, not {wrong.pop()!r}", code=2)
    ways = tuple(cast(Unify, way) for way in unify) if unify else UNIFY
    if url is None and not bundles:
        _fail("give --url, or --bundle once or more", code=2)
    if url is not None and len(bundles) > 1:
        _fail("a service at --url serves one bundle; give --bundle once at most", code=2)
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
        _fail(str(error))
    if as_json:
        _print_json([{**asdict(line), "difference": line.difference, "equal": line.equal} for line in lines])
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

    A query is asked of a gallery made for the run and erased after it. Client, service and bare session
    share this machine's cores; hold only figures of one run against each other.

    [bold]Examples[/]

      penumbra bench load

      penumbra bench load query --concurrency 4 --seconds 30 --bundle my-model.onnx --json
    """
    from dataclasses import asdict
    from typing import cast, get_args

    from service.bench.accuracy import BenchError, shipped_bundle
    from service.bench.load import measure_load, on_loopback
    from service.client import Client, ClientError
    from service.embedding.engine import ProviderError
    from service.settings import Provider, usable_cores

    if call not in ("embed", "query"):
        _fail(f"load can be put on embed or query, not {call!r}", code=2)
    if provider not in get_args(Provider):
        _fail(f"--provider is one of {', '.join(get_args(Provider))}, not {provider!r}", code=2)
    if not elsewhere and not on_loopback(url):
        _fail(f"{url} is on another machine; load it with --elsewhere if that is meant", code=2)
    asked: Literal["embed", "query"] = "embed" if call == "embed" else "query"
    try:
        with Client(url) as client:
            served = bundle or shipped_bundle(client.model().fingerprint)
        load = measure_load(
            url,
            asked,
            concurrency=concurrency,
            seconds=seconds,
            most=requests,
            bundle=served,
            provider=cast(Provider, provider),
            threads=threads or usable_cores(),
        )
    except (BenchError, ClientError, ProviderError) as error:
        _fail(str(error))
    if as_json:
        _print_json({**asdict(load), "rate": load.rate, "ratio": load.ratio})
        return
    typer.echo(
        f"{load.model}, {load.call}, {load.concurrency} clients: {load.requests:,} answered in "
        f"{load.seconds:.1f} s, {load.refused:,} turned away"
    )
    typer.echo(
        f"  {load.rate:,.1f} requests/s; latency p50 {load.p50_ms:.1f} ms, p95 {load.p95_ms:.1f} ms, "
        f"p99 {load.p99_ms:.1f} ms, slowest {load.slowest_ms:.1f} ms"
    )
    if load.bare is None or load.ratio is None:
        typer.echo("  bare session: not measured, the served file is not known here; give --bundle")
    else:
        typer.echo(f"  bare session {load.bare:,.1f} pictures/s: REST gives {100 * load.ratio:.0f} % of it")


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
        _print_json({**asdict(found), "ratio": found.ratio})
        return
    typer.echo(
        f"{found.pictures:,} pictures, D {found.dimension}: off {found.off_ms:.2f} ms, fuse "
        f"{found.fuse_ms:.2f} ms of processor time a search, {found.ratio:.2f} times as long "
        f"(medians of {found.queries}, in turn)"
    )


def _yes(value: bool | None) -> str:
    return "yes" if value else "no"


if __name__ == "__main__":
    app()
