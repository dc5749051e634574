"""A service in a process of its own that is killed at random moments, and started again where it was."""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from service.background import BackgroundService, start_service
from tests.drawings import encoded, person
from tests.soak.watched_load import PATIENCE_S

__all__ = ["Enrolling", "Mortal", "halves_of", "listed", "pictures_in"]


@dataclass
class Mortal:
    """The service of one data folder.

    Attributes:
        data: the folder; the log lies beside it.
        bundle: the model of the next start.
        environment: further settings of the next start.
        restart_s: longest time from start to ready so far, seconds.
    """

    data: Path
    bundle: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    restart_s: float = 0.0
    service: BackgroundService | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        assert self.service is not None
        return self.service.url

    @property
    def log(self) -> Path:
        """What it printed since its last start."""
        return self.data.with_suffix(".log")

    def start(self, until_ready: bool = True) -> None:
        """Start it.

        Raises:
            ServiceDied: it did not come back.
        """
        began = time.monotonic()
        self.service = start_service(self.data, self.log, bundle=self.bundle, environment=self.environment)
        if until_ready:
            self.until_ready()
            self.restart_s = max(self.restart_s, time.monotonic() - began)

    def until_ready(self) -> None:
        """Return once it takes work.

        Raises:
            ServiceDied: it ended.
        """
        assert self.service is not None
        self.service.wait_until_ready(PATIENCE_S)

    def until_ended(self) -> int:
        """Return its exit status once it has ended by itself."""
        assert self.service is not None
        return self.service.process.wait(PATIENCE_S)

    def kill(self) -> None:
        """End it by SIGKILL."""
        assert self.service is not None
        self.service.process.send_signal(signal.SIGKILL)
        self.service.process.wait()

    def stop(self) -> None:
        """Let it end in order."""
        if self.service is not None:
            self.service.stop()


class Enrolling:
    """Threads that enrol one new person after another in the gallery ``g``, until the service is gone.

    Attributes:
        acknowledged: picture id -> who, of all that were answered with 201.
        refused: answers of 503 that said when to come back.
        faults: anything else that was answered, in words.
    """

    def __init__(self, writers: int = 3) -> None:
        self.acknowledged: dict[str, int] = {}
        self.refused = 0
        self.faults: list[str] = []
        self._writers = writers
        self._next = 0
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self, url: str) -> None:
        """Begin, with people who were not enrolled before."""
        self._stop.clear()
        self._threads = []
        for _ in range(self._writers):
            thread = threading.Thread(target=self._enrol, args=(url, self._next))
            self._next += 10_000
            self._threads.append(thread)
            thread.start()

    def until_some(self, count: int = 1) -> None:
        """Return when so many were acknowledged, or nobody enrols any more."""
        give_up = time.monotonic() + PATIENCE_S
        while len(self.acknowledged) < count and any(thread.is_alive() for thread in self._threads):
            assert time.monotonic() < give_up
            time.sleep(0.01)

    def end(self) -> None:
        """End, when those who are waited for were answered."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _enrol(self, url: str, first: int) -> None:
        with httpx.Client(base_url=url, timeout=PATIENCE_S, trust_env=False) as http:
            for who in range(first, first + 10_000):
                if self._stop.is_set():
                    return
                item = {"person": f"p{who}", "client_id": f"p{who}"}
                try:
                    answer = http.post(
                        "/v1/galleries/g/images",
                        files=[("files", ("0", encoded(person(who))))],
                        data={"items": json.dumps([item])},
                    )
                except httpx.TransportError:
                    return
                if answer.status_code == 201:
                    self.acknowledged[answer.json()["items"][0]["id"]] = who
                elif answer.status_code == 503 and int(answer.headers.get("retry-after", 0)) > 0:
                    self.refused += 1
                else:
                    self.faults.append(f"{answer.status_code} {answer.text[:200]}")


def pictures_in(http: httpx.Client, **wanted: str) -> Iterator[tuple[str, str]]:
    """(id, person) of every picture in the gallery ``g`` that a listing gives."""
    params = {"limit": "1000", **wanted}
    while True:
        page = http.get("/v1/galleries/g/images", params=params).raise_for_status().json()
        yield from ((picture["id"], picture["person"]) for picture in page["items"])
        if page["next_cursor"] is None:
            return
        params["cursor"] = page["next_cursor"]


def listed(http: httpx.Client) -> dict[str, int]:
    """Picture id -> who, of what :class:`Enrolling` enrolled."""
    return {id: int(name[1:]) for id, name in pictures_in(http)}


def halves_of(http: httpx.Client, pictures: Mapping[str, int]) -> list[str]:
    """Those of some pictures that a query with them does not find first, or whose file is not there."""
    halves = []
    for id, who in pictures.items():
        content = encoded(person(who))
        asked = http.post("/v1/galleries/g/query", files=[("files", ("0", content))], data={"top_k": "1"})
        best = asked.json()["results"][0] if asked.status_code == 200 else {"person": None}
        kept = http.get(f"/v1/galleries/g/images/{id}/file")
        if best["person"] != f"p{who}" or kept.content != content:
            halves.append(id)
    return halves
