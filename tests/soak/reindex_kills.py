"""SIGKILL at random moments under `reindex`: the old index serves, or the new one is whole."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx

from models.bundle import read_bundle
from tests.drawings import encoded, person
from tests.handmade_bundle import write_handmade_bundle
from tests.soak.mortal import Enrolling, Mortal, halves_of, listed
from tests.soak.rounds import Count
from tests.soak.watched_load import PATIENCE_S

__all__ = ["ReindexKills", "reindex_kills"]

_AT_FIRST: Final = 300
_ASKED: Final = 12
"""Pictures, drawn anew in each round, that are asked for after a start; at the end all are."""


@dataclass(frozen=True)
class ReindexKills:
    """What became of it.

    Attributes:
        rounds: kills.
        interrupted: kills while pictures were being embedded again.
        finished: times that the present model took over; the two models then change places.
        acknowledged: pictures answered with 201, most of them while a reindexing went on.
        stored: pictures in the gallery at the end.
        lost: acknowledged pictures that are not listed, at any start.
        halves: pictures that a query with them does not find first, or whose file is not there.
        queries: asked while reindexing; wrong: of all, those answered by a model that does not answer for the
            gallery, or that did not find who was asked for.
        faults: requests answered in any other way.
        restart_s: longest time from start to ready, seconds.
    """

    rounds: int
    interrupted: int
    finished: int
    acknowledged: int
    stored: int
    lost: int
    halves: int
    queries: int
    wrong: int
    faults: int
    restart_s: float

    @property
    def held(self) -> bool:
        """Whether the promise was kept."""
        return self.interrupted > 0 and not (self.lost or self.halves or self.wrong or self.faults)


def reindex_kills(
    folder: Path, rounds: int, seed: int = 1, pictures: int = _AT_FIRST, count: Count = range
) -> ReindexKills:
    """Run the rounds on one data folder.

    Args:
        pictures: that are there before the first.

    Raises:
        ServiceDied: the service did not come back.
    """
    chance = random.Random(seed)
    folder.mkdir(parents=True, exist_ok=True)
    before = write_handmade_bundle(folder / "one.onnx")
    present = write_handmade_bundle(folder / "other.onnx", dimension=50)
    mortal = Mortal(folder / "data", before)
    enrolling = Enrolling(writers=1)
    mortal.start()
    with httpx.Client(base_url=mortal.url, timeout=PATIENCE_S, trust_env=False) as http:
        http.post("/v1/galleries", json={"name": "g", "keep_pictures": True}).raise_for_status()
    enrolling.start(mortal.url)
    enrolling.until_some(pictures)
    enrolling.end()
    mortal.stop()
    asking = _Asking(seed)
    interrupted = finished = lost = halves = 0
    for _ in count(rounds):
        while True:
            mortal.bundle, mortal.environment = present, {"PENUMBRA_PREVIOUS_BUNDLE": str(before)}
            mortal.start()
            with httpx.Client(base_url=mortal.url, timeout=PATIENCE_S, trust_env=False) as http:
                there = listed(http)
                lost += sum(id not in there for id in enrolling.acknowledged)
                some = dict(chance.sample(sorted(there.items()), _ASKED))
                halves += len(halves_of(http, some))
                state = _state(http)
                whole = state["answers"] == read_bundle(present).fingerprint
                if not whole:
                    http.post("/v1/galleries/g/reindex").raise_for_status()
            if not whole:
                break
            finished += 1
            halves += state["done"] != state["images"]
            mortal.stop()
            present, before = before, present
        enrolling.start(mortal.url)
        asking.start(mortal.url, sorted(there.values()), [present, before])
        time.sleep(chance.uniform(0.0, 1.0))
        with httpx.Client(base_url=mortal.url, timeout=PATIENCE_S, trust_env=False) as http:
            interrupted += bool(_state(http)["running"])
        mortal.kill()
        enrolling.end()
        asking.end()
    mortal.start()
    try:
        with httpx.Client(base_url=mortal.url, timeout=PATIENCE_S, trust_env=False) as http:
            http.post("/v1/galleries/g/reindex").raise_for_status()
            give_up = time.monotonic() + PATIENCE_S
            while (state := _state(http))["running"] and time.monotonic() < give_up:
                time.sleep(0.05)
            whole = state["answers"] == read_bundle(present).fingerprint
            finished += whole
            there = listed(http)
            lost += sum(id not in there for id in enrolling.acknowledged)
            halves += len(halves_of(http, there)) + (not whole or state["done"] != len(there))
    finally:
        mortal.stop()
    return ReindexKills(
        rounds=rounds,
        interrupted=interrupted,
        finished=finished,
        acknowledged=len(enrolling.acknowledged),
        stored=len(there),
        lost=lost,
        halves=halves,
        queries=asking.answered,
        wrong=len(asking.wrong),
        faults=enrolling.refused + len(enrolling.faults) + len(asking.faults),
        restart_s=round(mortal.restart_s, 2),
    )


def _state(http: httpx.Client) -> dict[str, Any]:
    state: dict[str, Any] = http.get("/v1/galleries/g/reindex").raise_for_status().json()
    return state


class _Asking:
    """A thread that asks for one enrolled person after another until the service is gone.

    From an answer of the present model on, none may come of the one before.
    """

    def __init__(self, seed: int) -> None:
        self.answered = 0
        self.wrong: list[str] = []
        self.faults: list[str] = []
        self._chance = random.Random(seed)

    def start(self, url: str, people: Sequence[int], bundles: Sequence[Path]) -> None:
        models = [read_bundle(bundle).fingerprint for bundle in bundles]
        self._thread = threading.Thread(target=self._ask, args=(url, people, models))
        self._thread.start()

    def end(self) -> None:
        self._thread.join()

    def _ask(self, url: str, people: Sequence[int], models: list[str]) -> None:
        with httpx.Client(base_url=url, timeout=PATIENCE_S, trust_env=False) as http:
            while True:
                who = self._chance.choice(people)
                files = [("files", ("0", encoded(person(who, 1))))]
                try:
                    answer = http.post("/v1/galleries/g/query", files=files, data={"top_k": "1"})
                except httpx.TransportError:
                    return
                if answer.status_code != 200:
                    self.faults.append(f"{answer.status_code} {answer.text[:200]}")
                    continue
                self.answered += 1
                best, model = answer.json()["results"][0]["person"], answer.json()["model"]
                if best != f"p{who}" or model not in models:
                    self.wrong.append(f"{best} by {model} for p{who}")
                if model == models[0]:
                    models = models[:1]
