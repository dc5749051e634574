"""Mixed load for long: queries, enrolments and erasures at once, while memory is watched.

The gallery keeps its size: whoever is enrolled beyond it is made up for by somebody who is erased, of any
age. The feature cache is made so small that filling the gallery fills it. So nothing has a reason to grow.
"""

from __future__ import annotations

import json
import math
import random
import statistics
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import httpx
import numpy as np

from service.background import start_service
from tests.drawings import encoded, person
from tests.handmade_bundle import write_handmade_bundle
from tests.soak.rounds import Count
from tests.soak.watched_load import FRESH, PATIENCE_S, pictures_of

__all__ = ["Load", "mixed_load"]

_CACHE_BYTES = 2 * 1024 * 1024
_EVERY_S = 10.0
_SETTLES_S = 600.0
_KINDS = {"query", "enrol", "erase", "list"}
_MEDIAN_OF = 6  # samples: one is up to a garbage collection's chance


@dataclass(frozen=True)
class Load:
    """What became of it. Memory is the service's, MiB, each figure the median of a minute's samples.

    Attributes:
        minutes: how long.
        requests: by kind, without those that filled the gallery.
        faults: connections broken off, answers of any status but the right one, and clients that ended early.
        wrong: answers that name somebody whose erasure was acknowledged before they were asked.
        amiss: pictures lost, or there although they were erased, at the end.
        start: resident when the load began, the gallery filled.
        settled: resident after ten minutes, or the first sixth of less than an hour.
        end: resident at the end.
        peak: the most of any sample since it had settled.
        growth: from ``settled`` to ``end``, percent.
        slope: of a straight line through the samples since it had settled, MiB an hour.
        own_settled, own_end: of ``settled`` and ``end``, what is shared with no other process.
        examples: the first of what was amiss, in words.
    """

    minutes: float
    requests: dict[str, int]
    faults: int
    wrong: int
    amiss: int
    start: float
    settled: float
    end: float
    peak: float
    growth: float
    slope: float
    own_settled: float
    own_end: float
    examples: list[str]

    @property
    def held(self) -> bool:
        """Whether the promise was kept."""
        all_kinds = self.requests.keys() >= _KINDS
        return all_kinds and not (self.faults or self.wrong or self.amiss) and self.growth <= 5.0


def mixed_load(
    folder: Path,
    minutes: float,
    bundle: Path | None = None,
    workers: int = 4,
    pictures: int = 600,
    count: Count = range,
) -> Load:
    """Load a service of its own.

    Args:
        folder: for its data and log.
        minutes: how long.
        bundle: a tiny handmade one unless given.
        workers: clients at a time.
        pictures: in the gallery, about.
        count: counts the samples of memory.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if bundle is None:
        bundle = folder / "handmade.onnx"
        write_handmade_bundle(bundle)
    environment = {"PENUMBRA_CACHE_BYTES": str(_CACHE_BYTES), "PENUMBRA_DEADLINE_S": str(PATIENCE_S)}
    service = start_service(folder / "data", folder / "log.txt", bundle=bundle, environment=environment)
    every_s = min(_EVERY_S, minutes)
    samples: list[_Memory] = []
    try:
        service.wait_until_ready(PATIENCE_S)
        crowd = _Crowd(service.url, pictures)
        crowd.fill()
        start = _memory(service.process.pid)
        threads = [threading.Thread(target=crowd.work, args=(number,)) for number in range(workers)]
        for thread in threads:
            thread.start()
        began = time.monotonic()
        for number in count(round(60 * minutes / every_s)):
            time.sleep(max(0.0, began + (number + 1) * every_s - time.monotonic()))
            samples.append(_memory(service.process.pid))
        crowd.until_all_kinds()
        crowd.stop.set()
        for thread in threads:
            thread.join()
        amiss = crowd.check()
    finally:
        service.stop()
    steady = samples[round(min(_SETTLES_S, 10 * minutes) / every_s) :]
    settled, end = _median(steady[:_MEDIAN_OF]), _median(steady[-_MEDIAN_OF:])
    hours = np.arange(len(steady)) * every_s / 3600
    return Load(
        minutes=minutes,
        requests=dict(crowd.done),
        faults=len(crowd.faults),
        wrong=len(crowd.wrong),
        amiss=len(amiss),
        start=round(start.resident, 1),
        settled=round(settled.resident, 1),
        end=round(end.resident, 1),
        peak=round(max(sample.resident for sample in steady), 1),
        growth=round(100 * (end.resident / settled.resident - 1), 1),
        slope=round(float(np.polyfit(hours, [sample.resident for sample in steady], 1)[0]), 2),
        own_settled=round(settled.own, 1),
        own_end=round(end.own, 1),
        examples=[*crowd.faults[:2], *crowd.wrong[:2], *amiss[:2]],
    )


@dataclass
class _Crowd:
    """Who is in the gallery, and the clients that come, ask and go."""

    url: str
    size: int
    stop: threading.Event = field(default_factory=threading.Event)
    done: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._there: list[tuple[int, list[str]]] = []  # who, and their pictures' ids
        self._pictures = 0
        self._came = 0
        self._erased: dict[str, float] = {}  # when that was acknowledged

    def fill(self) -> None:
        """Make the gallery, and enrol as many as it will have."""
        with self._client() as http:
            http.post("/v1/galleries", json={"name": "moving", "keep_pictures": True}).raise_for_status()
            while self._pictures < self.size:
                self._enrol(http, random.Random(self._pictures), people=10)
        if self.faults:
            raise AssertionError(f"the gallery could not be filled: {self.faults[0]}")
        self.done.clear()

    def work(self, number: int) -> None:
        """Be a client until all are stopped."""
        try:
            self._work(random.Random(number))
        except BaseException as error:
            self.faults.append(f"client {number} ended: {error!r}")
            raise

    def _work(self, dice: random.Random) -> None:
        with self._client() as http:
            while not self.stop.is_set():
                kind = dice.choices(("query", "change", "list"), (6, 4, 1))[0]
                if kind == "query":
                    self._query(http, dice)
                elif kind == "list":
                    self._ask(http, kind, "GET", "/v1/galleries/moving/people", 200, params={"limit": 100})
                elif self._pictures < self.size:
                    self._enrol(http, dice)
                else:
                    self._erase(http, dice)

    def until_all_kinds(self) -> None:
        """Return once each kind of request was made; a machine with other work may not come to it at once.

        After a fault there is nothing to wait for: the promise is broken, and clients may have ended.
        """
        give_up = time.monotonic() + PATIENCE_S
        while not (self.faults or self.done.keys() >= _KINDS) and time.monotonic() < give_up:
            time.sleep(0.05)

    def check(self) -> list[str]:
        """Once all have stopped: what the gallery should have and has not, or the other way round."""
        should = {f"p{who}": sorted(ids) for who, ids in self._there}
        with self._client() as http:
            has = {name: sorted(ids) for name, ids in pictures_of(http).items()}
        amiss = [name for name in should.keys() | has.keys() if should.get(name) != has.get(name)]
        return [f"{name}: {has.get(name)} instead of {should.get(name)}" for name in amiss]

    def _query(self, http: httpx.Client, dice: random.Random) -> None:
        with self._lock:
            who, _ = dice.choice(self._there)
        content = encoded(person(who, dice.randrange(1000), dice.randrange(9)))
        files = [("files", ("0", content))]
        began = time.monotonic()
        answer = self._ask(
            http, "query", "POST", "/v1/galleries/moving/query", 200, files=files, data={"top_k": "5"}
        )
        if answer is not None:
            found = {result["person"] for result in answer.json()["results"]}
            gone = [name for name in found if self._erased.get(name, math.inf) < began]
            self.wrong += [f"{name} is found, and was erased" for name in gone]

    def _enrol(self, http: httpx.Client, dice: random.Random, people: int = 1) -> None:
        with self._lock:
            new = [self._came + number for number in range(people)]
            self._came += people
            shown = [who for who in new for _ in range(dice.choice((1, 1, 2)))]
            self._pictures += len(shown)
        files = [
            ("files", (str(place), encoded(person(who, 5000 + place)))) for place, who in enumerate(shown)
        ]
        items = [{"person": f"p{who}", "client_id": f"{who}-{place}"} for place, who in enumerate(shown)]
        answer = self._ask(
            http,
            "enrol",
            "POST",
            "/v1/galleries/moving/images",
            201,
            files=files,
            data={"items": json.dumps(items)},
        )
        if answer is None:
            return
        ids = [item["id"] for item in answer.json()["items"]]
        with self._lock:
            for who in new:
                mine = [id for id, shows in zip(ids, shown, strict=True) if shows == who]
                self._there.append((who, mine))

    def _erase(self, http: httpx.Client, dice: random.Random) -> None:
        """Somebody, or one of their two pictures; nobody else touches them meanwhile."""
        with self._lock:
            who, ids = self._there.pop(dice.randrange(len(self._there)))
        one = len(ids) > 1 and dice.random() < 0.5
        path = f"images/{ids[0]}" if one else f"people/p{who}"
        answer = self._ask(http, "erase", "DELETE", f"/v1/galleries/moving/{path}", 204)
        if answer is None:
            return
        with self._lock:
            self._pictures -= 1 if one else len(ids)
            if one:
                self._there.append((who, ids[1:]))
            else:
                self._erased[f"p{who}"] = time.monotonic()

    def _ask(
        self, http: httpx.Client, kind: str, method: str, path: str, status: int, **more: object
    ) -> httpx.Response | None:
        """The answer, if it is of the right status."""
        try:
            answer = http.request(method, path, **more)  # type: ignore[arg-type]
        except httpx.TransportError as error:
            self.faults.append(f"{kind}: {error!r}")
            return None
        self.done[kind] += 1
        if answer.status_code != status:
            self.faults.append(f"{kind}: {answer.status_code} {answer.text[:200]}")
            return None
        return answer

    def _client(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=PATIENCE_S, trust_env=False, limits=FRESH)


class _Memory(NamedTuple):
    """Of a process, MiB: resident, and of that what is shared with no other process."""

    resident: float
    own: float


def _median(samples: list[_Memory]) -> _Memory:
    return _Memory(*(statistics.median(figures) for figures in zip(*samples, strict=True)))


def _memory(pid: int) -> _Memory:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    kibibytes = {line.split(":")[0]: int(line.split()[1]) for line in lines}
    own = kibibytes["Private_Clean"] + kibibytes["Private_Dirty"]
    return _Memory(kibibytes["Rss"] / 1024, own / 1024)
