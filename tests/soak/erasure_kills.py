"""SIGKILL at random moments under erasure: who was erased is nowhere, others wholly there or wholly gone."""

from __future__ import annotations

import hashlib
import json
import random
import threading
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx

from models.bundle import read_bundle
from service.storage.catalog import Catalog
from tests.drawings import encoded, person
from tests.handmade_bundle import write_handmade_bundle
from tests.servers import PostgreSQLServer
from tests.soak.mortal import Mortal, pictures_in
from tests.soak.rounds import Count
from tests.soak.watched_load import PATIENCE_S

__all__ = ["ErasureKills", "erasure_kills"]

_A_ROUND: Final = 24
"""People who are erased in a round, as far as it comes."""
_ERASERS: Final = 3
_VIEWS: Final = 2
_FORGOTTEN_S: Final = 300.0
"""How long after a start something may be left in a file. SQLite's mender looks every 15 s at the latest; in
PostgreSQL tables are written anew in a tenth of the time, and what the cache has to forget goes last."""


@dataclass(frozen=True)
class ErasureKills:
    """What became of it.

    Attributes:
        rounds: kills.
        enrolled: people, each with two pictures, at the beginning.
        erased: erasures answered with 204.
        begun: erasures that were sent, and not answered before the kill.
        gone: people of those who were gone after it; the others were wholly there.
        back: erased people who are listed, found by a query, or whose pictures are given out.
        left: erased people, or such who were gone, of whom something is in a file: a name, an id, a digest, a
            part of a picture or of its thumbnail, or a feature.
        halves: people who are there in part: a picture, its file, or what a query finds is missing.
        faults: requests answered in any other way.
        forgotten_s: longest from a start until nothing was left in any file, seconds.
        restart_s: longest time from start to ready, seconds.
        examples: the first kinds of what was left in a file.
    """

    rounds: int
    enrolled: int
    erased: int
    begun: int
    gone: int
    back: int
    left: int
    halves: int
    faults: int
    forgotten_s: float
    restart_s: float
    examples: list[str]

    @property
    def held(self) -> bool:
        """Whether the promise was kept."""
        return self.erased > 0 and not (self.back or self.left or self.halves or self.faults)


def erasure_kills(
    folder: Path,
    rounds: int,
    seed: int = 1,
    a_round: int = _A_ROUND,
    postgresql: PostgreSQLServer | None = None,
    count: Count = range,
) -> ErasureKills:
    """Run the rounds on one data folder with kept pictures and snapshots.

    Args:
        a_round: people who are erased in each.
        postgresql: has the catalog, in a new database, and its files are searched too; else it is SQLite's.

    Raises:
        ServiceDied: the service did not come back.
    """
    chance = random.Random(seed)
    folder.mkdir(parents=True, exist_ok=True)
    bundle = write_handmade_bundle(folder / "handmade.onnx")
    catalog_url = f"sqlite:///{folder / 'data' / 'catalog.sqlite3'}"
    if postgresql is not None:
        catalog_url = postgresql.empty_database()
    environment = {"PENUMBRA_SNAPSHOTS": "true", "PENUMBRA_CATALOG_URL": catalog_url}
    mortal = Mortal(folder / "data", bundle, environment)
    everybody = range((rounds + 1) * a_round)  # the last ones stay
    traces = _enrol(mortal, everybody, catalog_url)

    kinds: set[str] = set()

    def left_of(people: Collection[int]) -> int:
        files = _files(mortal.data) + (b"" if postgresql is None else postgresql.held(catalog_url))
        found = {who: [kind for kind, trace in traces[who].found_by if trace in files] for who in people}
        kinds.update(kind for some in found.values() for kind in some)
        return sum(bool(some) for some in found.values())

    assert left_of(everybody[:3]) == 3, "who is there is found by the same search"
    assert kinds == {"name", "id", "digest", "picture", "thumbnail", "feature"}
    kinds.clear()
    erasing = _Erasing()
    gone: set[int] = set()
    begun = back = left = halves = 0
    forgotten_s = 0.0
    mortal.start()
    for turn in count(rounds):
        people = everybody[turn * a_round : (turn + 1) * a_round]
        erasing.start(mortal.url, people)
        until = time.monotonic() + PATIENCE_S
        while not any(who in erasing.erased for who in people) and time.monotonic() < until:
            time.sleep(0.001)
        time.sleep(chance.uniform(0.0, 0.5))
        mortal.kill()
        erasing.end()
        started = time.monotonic()
        mortal.start()
        unanswered = (erasing.begun - erasing.erased) & set(people)
        begun += len(unanswered)
        with httpx.Client(base_url=mortal.url, timeout=PATIENCE_S, trust_env=False) as http:
            for who in people:
                there = _there(http, who, traces[who].ids)
                if who in erasing.erased:
                    back += there > 0
                elif there == 0 and who in unanswered:
                    gone.add(who)
                else:
                    halves += there < 1
        absent = [who for who in people if who in erasing.erased | gone]
        while (still := left_of(absent)) and time.monotonic() < started + _FORGOTTEN_S:
            kinds.clear()
            time.sleep(0.1)
        left += still
        forgotten_s = max(forgotten_s, time.monotonic() - started)
    try:
        with httpx.Client(base_url=mortal.url, timeout=PATIENCE_S, trust_env=False) as http:
            names = {name for _, name in pictures_in(http)}
            absentees = erasing.erased | gone
            back += sum(_name(who) in names for who in absentees)
            halves += sum(_there(http, who, traces[who].ids) < 1 for who in everybody if who not in absentees)
    finally:
        mortal.stop()
    left += left_of(absentees)
    return ErasureKills(
        rounds=rounds,
        enrolled=len(everybody),
        erased=len(erasing.erased),
        begun=begun,
        gone=len(gone),
        back=back,
        left=left,
        halves=halves,
        faults=len(erasing.faults),
        forgotten_s=round(forgotten_s, 2),
        restart_s=round(mortal.restart_s, 2),
        examples=sorted(kinds),
    )


@dataclass(frozen=True)
class _Traces:
    """All by which somebody could be told in a file, and the ids of their pictures."""

    ids: tuple[str, ...]
    found_by: tuple[tuple[str, bytes], ...]


def _name(who: int) -> str:
    return f"Nobody {who:05d} In Particular"


def _content(who: int, view: int) -> bytes:
    return encoded(person(who, view))


def _enrol(mortal: Mortal, everybody: Sequence[int], catalog_url: str) -> dict[int, _Traces]:
    """Enrol them all, let the service end in order, which writes its snapshots, and look what it stored."""
    ids: dict[int, list[str]] = {who: [] for who in everybody}
    found_by: dict[int, list[tuple[str, bytes]]] = {who: [("name", _name(who).encode())] for who in everybody}
    mortal.start()
    with httpx.Client(base_url=mortal.url, timeout=PATIENCE_S, trust_env=False) as http:
        http.post("/v1/galleries", json={"name": "g", "keep_pictures": True}).raise_for_status()
        for start in range(0, len(everybody), 16):
            some = [(who, view) for who in everybody[start : start + 16] for view in range(_VIEWS)]
            contents = [_content(who, view) for who, view in some]
            items = [{"person": _name(who), "client_id": f"of {_name(who)}: {view}"} for who, view in some]
            answer = http.post(
                "/v1/galleries/g/images",
                files=[("files", (str(number), content)) for number, content in enumerate(contents)],
                data={"items": json.dumps(items)},
            )
            for (who, _), content, item in zip(
                some, contents, answer.raise_for_status().json()["items"], strict=True
            ):
                id = item["id"]
                thumbnail = http.get(f"/v1/galleries/g/images/{id}/thumbnail").raise_for_status().content
                ids[who].append(id)
                digest = hashlib.sha256(content).hexdigest()
                found_by[who] += [
                    ("id", id.encode()),
                    ("digest", digest.encode()),
                    ("picture", _middle(content)),
                    ("thumbnail", _middle(thumbnail)),
                ]
    mortal.stop()
    catalog = Catalog(catalog_url)
    numbers = {picture.number: picture.id for picture in catalog.pictures.page(1, _VIEWS * len(everybody))}
    owners = {id: who for who, some_ids in ids.items() for id in some_ids}
    for stored in catalog.features.batches(read_bundle(mortal.bundle).fingerprint):
        for number, nine in zip(stored.ids.tolist(), stored.features, strict=True):
            found_by[owners[numbers[number]]].append(("feature", nine[0].tobytes()))
    catalog.close()
    made = {who: _Traces(tuple(ids[who]), tuple(found_by[who])) for who in everybody}
    assert all(len(one.found_by) == 1 + 5 * _VIEWS for one in made.values())
    return made


def _middle(content: bytes) -> bytes:
    """A piece of a file that no other file of its kind begins or ends with."""
    return content[len(content) // 2 :][:64]


class _Erasing:
    """Threads that erase people until the service is gone."""

    def __init__(self) -> None:
        self.begun: set[int] = set()
        self.erased: set[int] = set()
        self.faults: list[str] = []
        self._threads: list[threading.Thread] = []

    def start(self, url: str, people: Sequence[int]) -> None:
        self._threads = [
            threading.Thread(target=self._erase, args=(url, people[number::_ERASERS]))
            for number in range(_ERASERS)
        ]
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        for thread in self._threads:
            thread.join()

    def _erase(self, url: str, people: Sequence[int]) -> None:
        with httpx.Client(base_url=url, timeout=PATIENCE_S, trust_env=False) as http:
            for who in people:
                self.begun.add(who)
                try:
                    answer = http.delete(f"/v1/galleries/g/people/{_name(who)}")
                except httpx.TransportError:
                    return
                if answer.status_code == 204:
                    self.erased.add(who)
                else:
                    self.faults.append(f"{answer.status_code} {answer.text[:200]}")


def _there(http: httpx.Client, who: int, ids: Collection[str]) -> float:
    """Which part of a person is there: 1.0, all; 0.0, nothing."""
    seen = {id for id, _ in pictures_in(http, person=_name(who))}
    signs = [id in seen for id in ids]
    signs.append(http.get(f"/v1/galleries/g/people/{_name(who)}").status_code == 200)
    for view, id in enumerate(ids):
        content = _content(who, view)
        file = http.get(f"/v1/galleries/g/images/{id}/file")
        signs.append(file.status_code == 200 and file.content == content)
        asked = http.post("/v1/galleries/g/query", files=[("files", ("0", content))], data={"top_k": "1"})
        results = asked.raise_for_status().json()["results"]
        signs.append(bool(results) and results[0]["person"] == _name(who))
    return sum(signs) / len(signs)


def _files(data: Path) -> bytes:
    """All names and bytes of a folder's files."""
    held = []
    for path in sorted(data.rglob("*")):
        held.append(bytes(path))
        try:
            held.append(path.read_bytes())
        except (FileNotFoundError, IsADirectoryError):
            continue
    return b"\n".join(held)
