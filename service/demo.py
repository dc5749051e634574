"""`penumbra demo`: drawn people are enrolled, and found again by pictures in which a part of them is hidden.

Everything goes the way a user's pictures would: files, then REST. The people are drawn by
``penumbra-train synth`` in a subprocess, since the service does not import the training code.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Final, Literal

from PIL import Image
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from service.background import BackgroundService, free_port, port_is_free, start_service
from service.client import Client, ClientError, EnrolledPicture, NewPicture, QueryAnswer, Retries
from service.rank_list import RankedTile, RankRow, draw_rank_list
from service.settings import Settings
from service.terminal import messages, picture_progress, tables

__all__ = ["DemoError", "run_demo"]

Unify = Literal["auto", "off"]

GALLERY: Final = "demo"
CAMERAS: Final = 4
SHOWN_QUERIES: Final = 8
SHOWN_MATCHES: Final = 6

_MARKER: Final = ".penumbra-demo"
_RUNNING: Final = "service.json"


class DemoError(RuntimeError):
    """The demo cannot go on. The message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """A drawn picture.

    Attributes:
        path: its file.
        person, camera: whom it shows, from where.
        occlusion: name of the type that is hidden.
    """

    path: Path
    person: str
    camera: str
    occlusion: str


@dataclass(frozen=True, slots=True)
class Asked:
    """A query and what came back."""

    picture: Drawn
    answer: QueryAnswer

    @property
    def found(self) -> bool:
        """Whether the person asked for ranks first."""
        return bool(self.answer.results) and self.answer.results[0].person == self.picture.person

    @property
    def graded(self) -> str | None:
        """Name of the graded occlusion type; None where the model has no grader."""
        grade = self.answer.query.occlusion
        return None if grade.scores is None else grade.type


def run_demo(
    output: Path, *, people: int, bundle: Path | None, port: int, seed: int, keep_running: bool
) -> None:
    """Run the demo.

    Args:
        output: a folder of the demo's own; emptied of what an earlier demo left.
        people: how many are enrolled.
        bundle: the model; the one that settings name, or else the shipped one, unless given.
        port: wanted; if it is taken, another one.
        seed: of the drawing.
        keep_running: leave the service running at the end.

    Raises:
        DemoError: there is no model, or the people cannot be drawn.
        ServiceDied: the service does not come up.
        ClientError: the service refused something.
    """
    console = tables()
    model = bundle or Settings().bundle
    if not model.is_file():
        raise DemoError(f"there is no model at {model}; name one with --bundle")
    _prepare(output)
    gallery, queries = _draw(output / "pictures", people, seed)
    if not port_is_free(port):
        taken, port = port, free_port()
        messages().print(
            f"port {taken} is taken by another program, so the service gets {port}", soft_wrap=True
        )
    before = signal.signal(signal.SIGTERM, _leave)
    service = start_service(output / "data", output / "service.log", bundle=model, port=port)
    done = False
    try:
        service.wait_until_ready()
        with Client(service.url) as client:
            facts = client.model()
            known_by = f"{escape(facts.name)} ({facts.fingerprint[:12]})"
            console.print(f"service      {known_by} on {facts.provider} at {service.url}", soft_wrap=True)
            ids = _enrol(client, gallery)
            # Whatever is asked second is faster than it should be: the features are in the cache.
            ways: tuple[Unify, ...] = ("auto", "off") if facts.has_grader else ("off",)
            asked = {way: _ask(client, queries, way) for way in ways}
        _tell(console, asked, gallery)
        picture = output / "rank-list.png"
        _draw_rank_list(asked[ways[0]], ids, f"{facts.name}, unify={ways[0]}").save(picture)
        console.print(f"rank list    {escape(str(picture))}", soft_wrap=True)
        done = True
    finally:
        if not (done and keep_running):
            service.stop()
        signal.signal(signal.SIGTERM, before)
    if keep_running:
        _leave_running(console, output, service)


def _leave(number: int, _: FrameType | None) -> None:
    """Told to end: unwind, so that the service is stopped too."""
    raise SystemExit(128 + number)


# The folder


def _prepare(output: Path) -> None:
    """Make the output folder, and clear away what an earlier demo left there."""
    if output.is_dir() and any(output.iterdir()) and not (output / _MARKER).exists():
        raise DemoError(f"{output} has other things in it; name an empty or a new folder with --output")
    output.mkdir(parents=True, exist_ok=True)
    (output / _MARKER).write_text("`penumbra demo` empties this folder when it runs again.\n")
    _stop_earlier(output / _RUNNING)
    for folder in ("pictures", "data"):
        shutil.rmtree(output / folder, ignore_errors=True)


def _stop_earlier(record: Path) -> None:
    """Stop the service that an earlier demo left running, if it still does."""
    if not record.exists():
        return
    earlier = json.loads(record.read_text())
    pid, url = int(earlier["pid"]), str(earlier["url"])
    if _answers(url) and _alive(pid):
        messages().print(f"stopping the service of an earlier demo (process {pid}, {url})", soft_wrap=True)
        os.kill(pid, signal.SIGTERM)
        until = time.monotonic() + 30
        while (still := _answers(url)) and time.monotonic() < until:
            time.sleep(0.2)
        if still:
            raise DemoError(f"process {pid} at {url} does not end; stop it with `kill -9 {pid}`")
    record.unlink()


def _answers(url: str) -> bool:
    """Whether a service takes work at ``url``."""
    with Client(url, timeout=2.0, retries=Retries(attempts=1)) as client:
        try:
            return client.ready()
        except ClientError:
            return False


def _alive(pid: int) -> bool:
    """Whether there is a process of that id which this user may signal."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _leave_running(console: Console, output: Path, service: BackgroundService) -> None:
    (output / _RUNNING).write_text(json.dumps({"pid": service.process.pid, "url": service.url}))
    console.print(f"API page     {service.url}/docs", soft_wrap=True)
    console.print(f"stop it      kill {service.process.pid}")
    console.print(f"its log      {escape(str(service.log))}", soft_wrap=True)


# The people


def _draw(folder: Path, people: int, seed: int) -> tuple[list[Drawn], list[Drawn]]:
    """Draw the gallery's pictures and the queries', both in the order of their manifest."""
    command = [sys.executable, "-m", "training.cli", "synth", str(folder), "--json"]
    command += ["--people", str(people), "--queries", str(people), "--cameras", str(CAMERAS)]
    command += ["--seed", str(seed)]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, check=False)  # its progress bar is ours
    if done.returncode:
        raise DemoError("the people could not be drawn; `penumbra-train synth` said why above")
    gallery: list[Drawn] = []
    queries: list[Drawn] = []
    with (folder / "manifest.csv").open(newline="", encoding="utf-8") as lines:
        for row in csv.DictReader(lines):
            side = queries if row["role"] == "query" else gallery
            person = f"person-{int(row['person']):03d}"
            side.append(Drawn(folder / row["path"], person, f"camera-{row['camera']}", row["occlusion"]))
    return gallery, queries


# The service


def _enrol(client: Client, gallery: Sequence[Drawn]) -> dict[str, Drawn]:
    """Enrol the gallery; each picture by the id it got."""
    client.create_gallery(GALLERY)
    pictures = [
        NewPicture(drawn.path, drawn.person, camera=drawn.camera, client_id=drawn.path.name)
        for drawn in gallery
    ]
    with picture_progress() as progress:
        task = progress.add_task("enrolling", total=len(pictures))

        def count(answered: list[EnrolledPicture]) -> None:
            progress.advance(task, len(answered))

        outcomes = client.enrol(GALLERY, pictures, on_answer=count)
    ids: dict[str, Drawn] = {}
    for drawn, outcome in zip(gallery, outcomes, strict=True):
        if outcome.id is None:
            reason = outcome.problem.detail if outcome.problem else "no reason given"
            raise DemoError(f"{drawn.path} could not be enrolled: {reason}")
        ids[outcome.id] = drawn
    return ids


def _ask(client: Client, queries: Sequence[Drawn], unify: Unify) -> list[Asked]:
    with picture_progress() as progress:
        return [
            Asked(drawn, client.query(GALLERY, [drawn.path], top_k=SHOWN_MATCHES, unify=unify))
            for drawn in progress.track(queries, description=f"querying, unify={unify}")
        ]


# What is told


def _shown(asked: Sequence[Asked]) -> list[Asked]:
    """A few of the queries: of every hidden type one, then of every type another, and so on."""
    seen: Counter[str] = Counter()
    turns: list[tuple[int, int]] = []
    for position, one in enumerate(asked):
        turns.append((seen[one.picture.occlusion], position))
        seen[one.picture.occlusion] += 1
    chosen = sorted(position for _, position in sorted(turns)[:SHOWN_QUERIES])
    return [asked[position] for position in chosen]


def _tell(console: Console, asked: Mapping[Unify, Sequence[Asked]], gallery: Sequence[Drawn]) -> None:
    """Print some of the first way's answers, and how often either way was right."""
    way, first = next(iter(asked.items()))
    shown = _shown(first)
    table = Table("person", "hidden", "graded", "first", "second", "third", "ms", title=f"unify={way}")
    for one in shown:
        answer = one.answer
        matches = [_match(result.person, result.score, one.picture.person) for result in answer.results[:3]]
        table.add_row(
            escape(one.picture.person),
            one.picture.occlusion,
            one.graded or "-",
            *(matches + [""] * (3 - len(matches))),
            f"{answer.timings['total']:.1f}",
        )
    console.print(table)
    if len(shown) < len(first):
        console.print(f"             and {len(first) - len(shown)} queries more")
    people = len({drawn.person for drawn in gallery})
    console.print(
        f"occluded     {len(first)} queries against {people} people in {len(gallery)} pictures; each query "
        "from a camera that the gallery does not have of that person"
    )
    for way, answers in asked.items():
        right = sum(one.found for one in answers)
        console.print(
            f"unify={way:<5}  rank-1 [bold]{100 * right / len(answers):.1f} %[/], {right} of {len(answers)}"
        )
    spent = ", ".join(
        f"{stage} {sum(one.answer.timings[stage] for one in first) / len(first):.1f}"
        for stage in first[0].answer.timings
    )
    console.print(f"timings      {spent} (ms, mean of unify={next(iter(asked))})")


def _match(person: str, score: float, wanted: str) -> str:
    colour = "green" if person == wanted else "red"
    return f"[{colour}]{escape(person)}[/] {score:.2f}"


def _draw_rank_list(asked: Sequence[Asked], ids: dict[str, Drawn], subtitle: str) -> Image.Image:
    rows = [
        RankRow(
            one.picture.path,
            one.picture.person,
            one.graded,
            [
                RankedTile(
                    ids[result.image.id].path,
                    result.person,
                    result.score,
                    result.compared,
                    result.person == one.picture.person,
                )
                for result in one.answer.results
            ],
        )
        for one in _shown(asked)
    ]
    return draw_rank_list(rows, "Who is it? The people that come nearest to each query", subtitle)
