"""`penumbra bench accuracy`: a data set's protocol through REST, held against the offline evaluation.

The lists come from ``penumbra-train datasets manifest``, the offline figures from ``penumbra-train
evaluate``; both run as subprocesses, since the service does not import the training code.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, ValidationError
from rich.progress import Progress

import models
from service.background import ServiceDied, start_service
from service.bench.measures import Candidate, Figures, Outcome, figures, judge
from service.client import AsyncClient, Client, EnrolledPicture, Model, NewPicture

__all__ = [
    "UNIFY",
    "BenchError",
    "Comparison",
    "Manifest",
    "compare",
    "measure",
    "offline_figures",
    "read_manifest",
    "serve_bundle",
    "shipped_bundle",
]

Unify = Literal["off", "auto", "fuse"]

UNIFY: Final[tuple[Unify, ...]] = ("off", "auto")
"""What is measured unless something else is asked for; ``auto`` only of a model with a grader."""

TOLERANCE: Final = 0.1
"""Points by which a figure through REST may differ from the offline one and still be called equal."""

_CONCURRENT_QUERIES: Final = 8


class BenchError(RuntimeError):
    """The benchmark cannot be run. The message says why and what to do."""


class ManifestPicture(BaseModel):
    """A picture of a protocol."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    path: Path
    person: int
    camera: int


class Manifest(BaseModel):
    """A protocol's two sides, as ``penumbra-train datasets manifest --json`` prints them.

    Attributes:
        name: as it was asked for, the place behind ``manifest:`` included.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    name: str
    camera_rule: bool
    note: str = ""
    query: list[ManifestPicture]
    gallery: list[ManifestPicture]


@dataclass(frozen=True, slots=True)
class Comparison:
    """One line of the table.

    Attributes:
        bundle: the model's name.
        fingerprint: the model's.
        dataset: the protocol's name.
        unify: ``"off"``, ``"auto"`` or ``"fuse"``.
        rest: measured through REST.
        offline: the offline evaluation of the same bundle; None where there was no bundle file to evaluate.
        gallery: pictures in the gallery.
    """

    bundle: str
    fingerprint: str
    dataset: str
    unify: Unify
    rest: Figures
    offline: Figures | None
    gallery: int

    @property
    def difference(self) -> float | None:
        """Largest difference of any figure, in points; None without offline figures."""
        if self.offline is None:
            return None
        pairs = (
            (self.rest.rank1, self.offline.rank1),
            (self.rest.rank5, self.offline.rank5),
            (self.rest.rank10, self.offline.rank10),
            (self.rest.map, self.offline.map),
        )
        return max(abs(ours - theirs) for ours, theirs in pairs)

    @property
    def equal(self) -> bool | None:
        """Whether both agree to :data:`TOLERANCE` points on as many queries; None without offline figures."""
        if self.offline is None or self.difference is None:
            return None
        return self.difference <= TOLERANCE and self.rest.queries == self.offline.queries


def read_manifest(dataset: str, root: Path, rendered: Path) -> Manifest:
    """The protocol's pictures.

    Args:
        dataset: name of a protocol, e.g. ``"partial-ilids"``.
        root: where the data set lies.
        rendered: a folder for query pictures that are drawn (occluded ones), written there as PNG.

    Raises:
        BenchError: no such protocol, or the data set is not there.
    """
    arguments = ["datasets", "manifest", dataset, "--root", str(root), "--render", str(rendered), "--json"]
    document = _training(arguments)
    try:
        return Manifest.model_validate({**document, "name": dataset})
    except ValidationError as error:
        raise BenchError(f"the manifest of {dataset} is not what was expected: {error}") from error


def offline_figures(bundle: Path, dataset: str, root: Path, ways: Sequence[Unify]) -> dict[Unify, Figures]:
    """What ``penumbra-train evaluate`` measures on the same bundle, as far as the model can.

    Raises:
        BenchError: the evaluation failed, or printed something else than its figures.
    """
    wanted = ways[0] if len(ways) == 1 else "all" if "fuse" in ways else "both"
    document = _training(
        ["evaluate", str(bundle), "--dataset", dataset, "--root", str(root), "--unify", wanted, "--json"]
    )
    try:
        lines = {line["unify"]: line for line in document["results"]}
        return {
            unify: Figures(*(lines[unify][name] for name in ("rank1", "rank5", "rank10", "map", "queries")))
            for unify in ways
            if unify in lines
        }
    except (KeyError, TypeError) as error:
        raise BenchError(f"the offline evaluation printed no figures for {dataset}: {error!r}") from error


def _training(arguments: Sequence[str]) -> Any:
    """Run a ``penumbra-train`` command and read the JSON it prints."""
    command = [sys.executable, "-m", "training.cli", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchError(f"`penumbra-train {' '.join(arguments)}` failed:\n{done.stderr.strip()}")
    try:
        return json.loads(done.stdout)
    except json.JSONDecodeError as error:
        raise BenchError(f"`penumbra-train {' '.join(arguments)}` printed no JSON: {error}") from error


def shipped_bundle(fingerprint: str) -> Path | None:
    """The shipped bundle of that fingerprint, if it is one."""
    for path in sorted((Path(models.__file__).parent / "weights").glob("*.onnx")):
        if hashlib.sha256(path.read_bytes()).hexdigest() == fingerprint:
            return path
    return None


@contextmanager
def serve_bundle(bundle: Path, top_k: int) -> Iterator[str]:
    """A service of its own with that bundle, on an empty store that goes when it ends; yields its address.

    Args:
        bundle: the model.
        top_k: as many results as a query must be able to give.

    Raises:
        BenchError: the service did not come up.
    """
    with tempfile.TemporaryDirectory(prefix="penumbra-bench-") as folder:
        place = Path(folder)
        service = start_service(
            place / "data",
            place / "service.log",
            bundle=bundle,
            environment={"PENUMBRA_MAX_TOP_K": str(max(top_k, 1))},
        )
        try:
            service.wait_until_ready()
            yield service.url
        except ServiceDied as error:
            raise BenchError(str(error)) from error
        finally:
            service.stop()


def measure(
    url: str, manifest: Manifest, progress: Progress, ways: Sequence[Unify] = UNIFY
) -> dict[Unify, Figures]:
    """Enrol the gallery in the service at ``url``, ask every query in each way, and erase the gallery.

    Raises:
        BenchError: a picture could not be enrolled, or an answer does not rank the whole gallery.
        ClientError: the service refused or is gone.
    """
    gallery = f"bench-accuracy-{secrets.token_hex(4)}"
    with Client(url) as client:
        facts = client.model()
        client.create_gallery(gallery)
        try:
            positions = _enrol(client, gallery, manifest, progress, facts)
            return asyncio.run(_ask(url, gallery, manifest, positions, progress, facts, ways))
        finally:
            client.delete_gallery(gallery)


def _enrol(
    client: Client, gallery: str, manifest: Manifest, progress: Progress, facts: Model
) -> dict[str, int]:
    """Enrol the gallery; the service's picture ids, each with its place in the manifest."""
    task = progress.add_task(f"{facts.name}: enrolling", total=len(manifest.gallery))

    def count(answered: list[EnrolledPicture]) -> None:
        progress.advance(task, len(answered))

    pictures = (
        NewPicture(picture.path, str(picture.person), camera=str(picture.camera), client_id=str(position))
        for position, picture in enumerate(manifest.gallery)
    )
    enrolled = client.enrol(gallery, pictures, on_answer=count)
    positions: dict[str, int] = {}
    for position, outcome in enumerate(enrolled):
        if outcome.id is None:
            reason = outcome.problem.detail if outcome.problem else "no reason given"
            raise BenchError(f"{manifest.gallery[position].path} could not be enrolled: {reason}")
        positions[outcome.id] = position
    return positions


async def _ask(
    url: str,
    gallery: str,
    manifest: Manifest,
    positions: dict[str, int],
    progress: Progress,
    facts: Model,
    ways: Sequence[Unify],
) -> dict[Unify, Figures]:
    """Ask every query in each way that the model can, some at a time."""
    answered: dict[Unify, Figures] = {}
    async with AsyncClient(url) as client:
        for unify in ways:
            if unify == "auto" and not facts.has_grader:
                continue
            task = progress.add_task(f"{facts.name}: querying, unify={unify}", total=len(manifest.query))
            answered[unify] = await _ask_one_way(
                client, gallery, manifest, positions, unify, partial(progress.advance, task)
            )
    return answered


async def _ask_one_way(
    client: AsyncClient,
    gallery: str,
    manifest: Manifest,
    positions: dict[str, int],
    unify: Unify,
    advance: Callable[[], None],
) -> Figures:
    places = asyncio.Semaphore(_CONCURRENT_QUERIES)

    async def ask(query: ManifestPicture) -> Outcome | None:
        async with places:
            answer = await client.query(
                gallery, [query.path], top_k=len(manifest.gallery), by="image", unify=unify
            )
        ranked = [(positions[result.image.id], result.score) for result in answer.results]
        if len({position for position, _ in ranked}) != len(manifest.gallery):
            raise BenchError(
                f"the answer for {query.path} ranks {len(ranked)} of {len(manifest.gallery)} pictures"
            )
        candidates = [
            Candidate(position, score, manifest.gallery[position].person, manifest.gallery[position].camera)
            for position, score in ranked
        ]
        advance()
        return judge(candidates, query.person, query.camera, camera_rule=manifest.camera_rule)

    return figures(await asyncio.gather(*(ask(query) for query in manifest.query)))


def compare(
    url: str,
    bundle: Path | None,
    manifest: Manifest,
    root: Path,
    progress: Progress,
    ways: Sequence[Unify] = UNIFY,
) -> list[Comparison]:
    """Measure the service at ``url``, and its bundle offline.

    Args:
        bundle: the served file; None where only the service has it.
        ways: what to measure, in order.

    Raises:
        BenchError: ``bundle`` is not what the service serves, or one of the two could not be measured.
        ClientError: the service refused or is gone.
    """
    with Client(url) as client:
        facts = client.model()
    if bundle is not None and hashlib.sha256(bundle.read_bytes()).hexdigest() != facts.fingerprint:
        raise BenchError(
            f"the service at {url} serves {facts.name} ({facts.fingerprint[:12]}), which is not {bundle}"
        )
    measured = measure(url, manifest, progress, ways)
    offline: dict[Unify, Figures] = {}
    if bundle is not None:
        task = progress.add_task(f"{facts.name}: evaluating offline", total=None)
        offline = offline_figures(bundle, manifest.name, root, ways)
        progress.update(task, total=1, completed=1)
        if missing := measured.keys() - offline.keys():
            raise BenchError(
                f"the offline evaluation of {bundle} has no figures for unify={', '.join(missing)}"
            )
    return [
        Comparison(
            facts.name,
            facts.fingerprint,
            manifest.name,
            unify,
            found,
            offline.get(unify),
            len(manifest.gallery),
        )
        for unify, found in measured.items()
    ]
