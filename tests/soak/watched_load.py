"""Load whose right answers are known: whatever comes back is checked, while something is being broken.

A gallery ``fixed`` stays as it is, and its queries must be answered as an undisturbed service answered them.
In a gallery ``moving`` people are enrolled and erased all the time. A refusal is defined if it is one of the
statuses that the scenario allows, a problem document, and says when to come back; the writer then comes back
with the same request until it is done, as a client that keeps its promises would.
"""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import httpx

from service.background import start_service
from service.settings import Settings
from tests.drawings import encoded, person

__all__ = [
    "FRESH",
    "PATIENCE_S",
    "Probe",
    "Serve",
    "Service",
    "WatchedLoad",
    "in_a_process",
    "pictures_of",
    "prepare",
    "right_answers",
]

_PEOPLE = 16
_PROBES = 8
_TOLERANCE = 1e-4  # of scores: the model's last bits depend on how a batch is filled

PATIENCE_S = 600.0
"""How long anything may take: these are proofs and no speed tests, on machines with other work too."""

FRESH = httpx.Limits(max_keepalive_connections=0)
"""One kept open may be closed by the service, which has waited long enough, just as it is used again."""


class Service(Protocol):
    """A running service."""

    @property
    def url(self) -> str: ...


Serve = Callable[[Settings], AbstractContextManager[Service]]
"""Starts a service: in a process of its own (:func:`in_a_process`), or in the test's."""


@contextmanager
def in_a_process(settings: Settings) -> Iterator[Service]:
    """A service of its own process; its log lies beside its data."""
    said = settings.model_dump(mode="json", exclude_unset=True, exclude={"bundle", "data_dir"})
    service = start_service(
        settings.data_dir,
        settings.data_dir.with_suffix(".log"),
        bundle=settings.bundle,
        environment={f"PENUMBRA_{name.upper()}": str(value) for name, value in said.items()},
    )
    try:
        service.wait_until_ready(PATIENCE_S)
        yield service
    finally:
        service.stop()


@dataclass(frozen=True)
class Probe:
    """A query and what an undisturbed service answered: people and scores, best first."""

    content: bytes
    people: tuple[str, ...]
    scores: tuple[float, ...]


def prepare(url: str) -> None:
    """Make the two galleries, and enrol who stays."""
    with httpx.Client(base_url=url, timeout=PATIENCE_S, trust_env=False) as http:
        for name in ("fixed", "moving"):
            made = http.post("/v1/galleries", json={"name": name, "keep_pictures": True})
            made.raise_for_status()
        for start in range(0, _PEOPLE, 8):
            who = range(start, start + 8)
            answer = http.post(
                "/v1/galleries/fixed/images",
                files=[("files", (str(one), encoded(person(one)))) for one in who],
                data={"items": json.dumps([{"person": f"p{one}"} for one in who])},
            )
            answer.raise_for_status()


def right_answers(url: str) -> list[Probe]:
    """What a service that :func:`prepare` filled answers while nothing is broken."""
    probes = []
    with httpx.Client(base_url=url, timeout=PATIENCE_S, trust_env=False) as http:
        for number in range(_PROBES):
            content = encoded(person(number % _PEOPLE, 50 + number, number % 9))
            answer = _query(http, content).raise_for_status()
            probes.append(Probe(content, *_ranking(answer)))
    return probes


@dataclass
class WatchedLoad:
    """Threads that ask and write, and what they saw. Leave the context to stop them.

    Attributes:
        url: of the service.
        probes: queries with their right answers.
        refusals: statuses that are a defined answer while something is broken.
        phase: a name of what is being done; :attr:`longest_s` is kept for each.
        done: requests answered well, by kind.
        refused: defined refusals, by status.
        faults: anything else that came back, in words.
        wrong: answers that an undisturbed service does not give, in words.
        longest_s: longest request in each phase, seconds.
        kept: person -> picture id, of those acknowledged and not erased.
        erased: people whose erasure was acknowledged.
    """

    url: str
    probes: Sequence[Probe]
    refusals: Collection[int] = ()
    askers: int = 2
    writers: int = 2
    phase: str = "calm"
    done: Counter[str] = field(default_factory=Counter)
    refused: Counter[int] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    longest_s: dict[str, float] = field(default_factory=dict)
    kept: dict[str, str] = field(default_factory=dict)
    erased: set[str] = field(default_factory=set)

    def __enter__(self) -> WatchedLoad:
        self._stop = threading.Event()
        self._unsure: set[str] = set()
        work = [self._ask] * self.askers + [self._write] * self.writers
        self._threads = [threading.Thread(target=one, args=(number,)) for number, one in enumerate(work)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def run(self, phase: str, at_least: int = 1, seconds: float = 0.0) -> None:
        """Go on in a phase for so long, and until so many requests of each kind were answered well in it."""
        self.phase = phase
        before = Counter(self.done)
        until = time.monotonic() + seconds
        give_up = until + PATIENCE_S
        while time.monotonic() < until or min(self._since(before).values()) < at_least:
            if time.monotonic() > give_up or not any(thread.is_alive() for thread in self._threads):
                raise AssertionError(
                    f"in the phase {phase!r} only {dict(self._since(before))} were answered well; "
                    f"refused: {dict(self.refused)}, faults: {self.faults[:3]}"
                )
            time.sleep(0.01)

    def suffer(self, phase: str, refusals: int = 1, seconds: float = 0.0) -> None:
        """Go on in a phase for so long, and until so many requests were refused in it."""
        self.phase = phase
        before = sum(self.refused.values())
        until = time.monotonic() + seconds
        give_up = until + PATIENCE_S
        while time.monotonic() < until or sum(self.refused.values()) - before < refusals:
            if time.monotonic() > give_up:
                raise AssertionError(f"in the phase {phase!r} nothing was refused")
            time.sleep(0.01)

    def check(self) -> list[str]:
        """Once the load has stopped: what was acknowledged and is not so, in words; nothing half there."""
        amiss: list[str] = []
        with httpx.Client(base_url=self.url, timeout=PATIENCE_S, trust_env=False) as http:
            listed = pictures_of(http)
            amiss += [f"{name} is lost" for name in self.kept if name not in listed]
            amiss += [f"{name} is there again" for name in self.erased if name in listed]
            known = self.kept.keys() | self._unsure
            amiss += [f"{name} was never enrolled" for name in listed if name not in known]
            for name, pictures in listed.items():
                content = encoded(person(_number(name)))
                if len(pictures) != 1 or pictures[0] != self.kept.get(name, pictures[0]):
                    amiss.append(
                        f"{name} has the pictures {pictures}, acknowledged was {self.kept.get(name)}"
                    )
                found = http.post(
                    "/v1/galleries/moving/query", files=[("files", ("0", content))], data={"top_k": "1"}
                )
                if found.status_code != 200 or found.json()["results"][0]["person"] != name:
                    amiss.append(f"{name} is listed and not found: {found.status_code}")
                file = http.get(f"/v1/galleries/moving/images/{pictures[0]}/file")
                if file.content != content:
                    amiss.append(f"{name}'s picture is not what was sent: {file.status_code}")
        return amiss

    def examples(self, amiss: Sequence[str]) -> list[str]:
        """The first of what was amiss, in words."""
        return [*self.faults[:2], *self.wrong[:2], *amiss[:2]]

    def left_over(self, folder: Path, limit_s: float = 120.0) -> int:
        """Kept pictures under ``folder`` that are nobody's, once there was time to mend; below 0: missing."""
        until = time.monotonic() + limit_s
        while True:
            with httpx.Client(base_url=self.url, timeout=PATIENCE_S, trust_env=False) as http:
                rightful = sum(
                    http.get(f"/v1/galleries/{name}").raise_for_status().json()["images"]
                    for name in ("fixed", "moving")
                )
            left = sum(1 for _ in folder.rglob("*.picture*")) - rightful
            if left == 0 or time.monotonic() > until:
                return left
            time.sleep(0.2)

    def _since(self, before: Counter[str]) -> dict[str, int]:
        kinds = (["query"] if self.askers else []) + (["enrol", "erase"] if self.writers else [])
        return {kind: self.done[kind] - before[kind] for kind in kinds}

    def _ask(self, number: int) -> None:
        with httpx.Client(base_url=self.url, timeout=PATIENCE_S, trust_env=False, limits=FRESH) as http:
            turn = number
            while not self._stop.is_set():
                probe = self.probes[turn % len(self.probes)]
                turn += 1
                answer = self._timed("query", lambda content=probe.content: _query(http, content))
                if answer is None or answer.status_code != 200:
                    continue
                people, scores = _ranking(answer)
                near = all(abs(a - b) <= _TOLERANCE for a, b in zip(scores, probe.scores, strict=False))
                if people != probe.people or not near:
                    self.wrong.append(f"{people} instead of {probe.people}")

    def _write(self, number: int) -> None:
        mine: list[str] = []
        next_one = number * 1_000_000
        with httpx.Client(base_url=self.url, timeout=PATIENCE_S, trust_env=False, limits=FRESH) as http:
            while not self._stop.is_set():
                next_one += 1
                self._enrol(http, next_one, mine)
                if len(mine) > 3 and not self._stop.is_set():
                    self._erase(http, mine.pop(0))

    def _enrol(self, http: httpx.Client, who: int, mine: list[str]) -> None:
        name = f"p{who}"
        self._unsure.add(name)
        item = {"person": name, "client_id": name}
        files = [("files", ("0", encoded(person(who))))]
        answer = self._until_done(
            "enrol",
            lambda: http.post("/v1/galleries/moving/images", files=files, data={"items": json.dumps([item])}),
        )
        if answer is not None and answer.status_code == 201:
            (made,) = answer.json()["items"]
            self.kept[name] = made["id"]
            mine.append(name)

    def _erase(self, http: httpx.Client, name: str) -> None:
        self.kept.pop(name)  # from here on nobody can say, until it is answered
        answer = self._until_done(
            "erase", lambda: http.delete(f"/v1/galleries/moving/people/{name}"), also_good=(404,)
        )
        if answer is not None and answer.status_code in (204, 404):
            self.erased.add(name)

    def _until_done(
        self, kind: str, send: Callable[[], httpx.Response], also_good: Collection[int] = ()
    ) -> httpx.Response | None:
        """Send again whatever was refused or broken off; None where the load was stopped before."""
        tries = 0
        while tries == 0 or not self._stop.is_set():
            # what was refused may have been done all the same: then there is nobody left to erase
            answer = self._timed(kind, send, also_good if tries else ())
            if answer is not None and (answer.status_code < 400 or answer.status_code in also_good):
                return answer
            tries += 1
            time.sleep(0.05)
        return None

    def _timed(
        self, kind: str, send: Callable[[], httpx.Response], also_good: Collection[int] = ()
    ) -> httpx.Response | None:
        phase, began = self.phase, time.monotonic()
        try:
            answer = send()
        except httpx.TransportError as error:
            self.faults.append(f"{phase}: {kind}: {error!r}")
            return None
        self.longest_s[phase] = max(self.longest_s.get(phase, 0.0), time.monotonic() - began)
        if answer.status_code < 400 or answer.status_code in also_good:
            self.done[kind] += 1
        elif answer.status_code in self.refusals and _is_defined(answer):
            self.refused[answer.status_code] += 1
        else:
            self.faults.append(f"{phase}: {kind}: {answer.status_code} {answer.text[:200]}")
        return answer


def _query(http: httpx.Client, content: bytes) -> httpx.Response:
    return http.post("/v1/galleries/fixed/query", files=[("files", ("0", content))], data={"top_k": "5"})


def _ranking(answer: httpx.Response) -> tuple[tuple[str, ...], tuple[float, ...]]:
    results = answer.json()["results"]
    return tuple(one["person"] for one in results), tuple(one["score"] for one in results)


def _is_defined(answer: httpx.Response) -> bool:
    """A problem document that says when to come back."""
    kind = answer.headers.get("content-type", "")
    return kind.startswith("application/problem+json") and int(answer.headers.get("retry-after", 0)) > 0


def pictures_of(http: httpx.Client) -> dict[str, list[str]]:
    """Picture ids of everybody in the moving gallery."""
    listed: dict[str, list[str]] = {}
    params: dict[str, str] = {"limit": "1000"}
    while True:
        page = http.get("/v1/galleries/moving/images", params=params).raise_for_status().json()
        for picture in page["items"]:
            listed.setdefault(picture["person"], []).append(picture["id"])
        if page["next_cursor"] is None:
            return listed
        params["cursor"] = page["next_cursor"]


def _number(name: str) -> int:
    return int(name[1:])
