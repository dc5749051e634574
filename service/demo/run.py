"""The demo from drawing to telling."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Final

from rich.markup import escape

from service.background import free_port, port_is_free, start_service
from service.client import Client, EnrolledPicture, NewPicture
from service.demo.drawn import DemoError, Drawn, draw
from service.demo.folder import leave_running, prepare
from service.demo.telling import Asked, Unify, rank_list, tell
from service.settings import Settings
from service.terminal import messages, picture_progress, tables

__all__ = ["run_demo"]

GALLERY: Final = "demo"
SHOWN_MATCHES: Final = 6


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
    prepare(output)
    gallery, queries = draw(output / "pictures", people, seed)
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
        tell(console, asked, gallery)
        picture = output / "rank-list.png"
        rank_list(asked[ways[0]], ids, f"{facts.name}, unify={ways[0]}").save(picture)
        console.print(f"rank list    {escape(str(picture))}", soft_wrap=True)
        done = True
    finally:
        if not (done and keep_running):
            service.stop()
        signal.signal(signal.SIGTERM, before)
    if keep_running:
        leave_running(console, output, service)


def _leave(number: int, _: FrameType | None) -> None:
    """Told to end: unwind, so that the service is stopped too."""
    raise SystemExit(128 + number)


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
