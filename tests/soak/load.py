"""Mixed load for long: queries, enrolments and deletions at once, while memory is watched."""

from __future__ import annotations

import json
import random
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import httpx

from service.background import start_service
from tests.drawings import encoded, person
from tests.handmade_bundle import write_handmade_bundle

__all__ = ["Load", "mixed_load"]

_PEOPLE = 500


@dataclass(frozen=True)
class Load:
    """What became of it.

    Attributes:
        minutes: how long.
        requests: by kind.
        faults: answers of 500 and above, and connections broken off.
        memory_start, memory_end: of the service, MiB resident: after the first sixth, and at the end.
        growth: of memory between the two, percent.
    """

    minutes: float
    requests: dict[str, int]
    faults: int
    memory_start: float
    memory_end: float
    growth: float

    @property
    def held(self) -> bool:
        """Whether the promise was kept."""
        return self.faults == 0 and self.growth <= 5.0


def mixed_load(folder: Path, minutes: float, bundle: Path | None = None, workers: int = 4) -> Load:
    """Load a service of its own; a gallery of some hundred people, of whom some come and go all the time."""
    folder.mkdir(parents=True, exist_ok=True)
    if bundle is None:
        bundle = folder / "handmade.onnx"
        write_handmade_bundle(bundle)
    service = start_service(folder / "data", folder / "log.txt", bundle=bundle)
    try:
        service.wait_until_ready()
        with httpx.Client(base_url=service.url, timeout=60) as http:
            http.post("/v1/galleries", json={"name": "g", "keep_pictures": True})
            for who in range(0, _PEOPLE, 20):
                _enrol(http, list(range(who, who + 20)))
        stop, done, faults = threading.Event(), Counter[str](), Counter[str]()
        threads = [
            threading.Thread(target=_work, args=(service.url, number, stop, done, faults))
            for number in range(workers)
        ]
        for thread in threads:
            thread.start()
        time.sleep(minutes * 10)
        start = _resident(service.process.pid)
        time.sleep(minutes * 50)
        end = _resident(service.process.pid)
        stop.set()
        for thread in threads:
            thread.join()
    finally:
        service.stop()
    growth = round(100 * (end - start) / start, 1)
    return Load(minutes, dict(done), sum(faults.values()), round(start, 1), round(end, 1), growth)


def _work(url: str, number: int, stop: threading.Event, done: Counter[str], faults: Counter[str]) -> None:
    dice = random.Random(number)
    mine = _PEOPLE + number * 1_000_000
    with httpx.Client(base_url=url, timeout=60) as http:
        while not stop.is_set():
            kind = dice.choices(("query", "enrol", "erase", "list"), (6, 2, 2, 1))[0]
            try:
                if kind == "query":
                    content = encoded(
                        person(dice.randrange(_PEOPLE), dice.randrange(1000), dice.randrange(9))
                    )
                    files = [("files", ("0", content))]
                    answer = http.post("/v1/galleries/g/query", files=files, data={"top_k": "5"})
                elif kind == "enrol":
                    mine += 1
                    answer = _enrol(http, [mine])
                elif kind == "erase":
                    answer = http.delete(f"/v1/galleries/g/people/p{mine}")
                else:
                    answer = http.get("/v1/galleries/g/people", params={"limit": 100})
            except httpx.TransportError:
                faults[kind] += 1
                continue
            done[kind] += 1
            if answer.status_code >= 500:
                faults[kind] += 1


def _enrol(http: httpx.Client, people: list[int]) -> httpx.Response:
    return http.post(
        "/v1/galleries/g/images",
        files=[("files", (str(who), encoded(person(who)))) for who in people],
        data={"items": json.dumps([{"person": f"p{who}"} for who in people])},
    )


def _resident(pid: int) -> float:
    """Resident memory of a process, MiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"process {pid} does not tell its memory")
