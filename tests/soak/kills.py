"""SIGKILL at random moments under enrolment: what was acknowledged is found, nothing is half there."""

from __future__ import annotations

import json
import random
import signal
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import httpx

from service.background import start_service
from tests.drawings import encoded, person
from tests.handmade_bundle import write_handmade_bundle
from tests.soak.rounds import Count
from tests.soak.watched_load import PATIENCE_S

__all__ = ["Kills", "kill_rounds"]

_WRITERS = 3


@dataclass(frozen=True)
class Kills:
    """What became of it.

    Attributes:
        rounds: kills.
        acknowledged: pictures answered with 201.
        stored: pictures in the gallery at the end; more than acknowledged where an answer did not get out.
        lost: acknowledged pictures that were not found.
        halves: listed pictures that a query with the same picture does not find first, or whose file is
            not there.
        restart_s: longest time from start to ready, seconds.
    """

    rounds: int
    acknowledged: int
    stored: int
    lost: int
    halves: int
    restart_s: float

    @property
    def held(self) -> bool:
        """Whether the promise was kept."""
        return self.acknowledged > 0 and self.lost == 0 and self.halves == 0


def kill_rounds(folder: Path, rounds: int, seed: int = 1, count: Count = range) -> Kills:
    """Run the rounds on one data folder, each with the pictures of those before.

    Raises:
        ServiceDied: the service did not come back.
    """
    random.seed(seed)
    folder.mkdir(parents=True, exist_ok=True)
    bundle = folder / "handmade.onnx"
    write_handmade_bundle(bundle)
    acknowledged: dict[str, int] = {}
    longest, next_person = 0.0, 0
    for turn in count(rounds):
        service = start_service(folder / "data", folder / "log.txt", bundle=bundle)
        started = time.monotonic()
        service.wait_until_ready(PATIENCE_S)
        longest = max(longest, time.monotonic() - started)
        if turn == 0:
            httpx.post(f"{service.url}/v1/galleries", json={"name": "g", "keep_pictures": True})
        stop = threading.Event()
        writers = []
        for writer in range(_WRITERS):
            first = next_person + writer * 1000
            arguments = (service.url, first, acknowledged, stop)
            writers.append(threading.Thread(target=_enrol_until_killed, args=arguments))
        next_person += _WRITERS * 1000
        for thread in writers:
            thread.start()
        if turn == 0:  # so that there is something to lose
            _until_one_of(acknowledged, writers)
        time.sleep(random.uniform(0.05, 1.0))
        service.process.send_signal(signal.SIGKILL)
        service.process.wait()
        stop.set()
        for thread in writers:
            thread.join()
    service = start_service(folder / "data", folder / "log.txt", bundle=bundle)
    try:
        service.wait_until_ready(PATIENCE_S)
        return _count(service.url, rounds, acknowledged, longest)
    finally:
        service.stop()


def _until_one_of(acknowledged: dict[str, int], writers: list[threading.Thread]) -> None:
    give_up = time.monotonic() + PATIENCE_S
    while not acknowledged and any(thread.is_alive() for thread in writers) and time.monotonic() < give_up:
        time.sleep(0.01)


def _enrol_until_killed(url: str, first: int, acknowledged: dict[str, int], stop: threading.Event) -> None:
    with httpx.Client(base_url=url, timeout=PATIENCE_S) as http:
        for who in range(first, first + 1000):
            if stop.is_set():
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
                acknowledged[answer.json()["items"][0]["id"]] = who


def _count(url: str, rounds: int, acknowledged: dict[str, int], longest: float) -> Kills:
    stored: dict[str, int] = {}
    halves = 0
    with httpx.Client(base_url=url, timeout=PATIENCE_S) as http:
        params: dict[str, str] = {"limit": "1000"}
        while True:
            page = http.get("/v1/galleries/g/images", params=params).raise_for_status().json()
            for picture in page["items"]:
                stored[picture["id"]] = int(picture["person"][1:])
            if page["next_cursor"] is None:
                break
            params["cursor"] = page["next_cursor"]
        for id, who in stored.items():
            content = encoded(person(who))
            answer = http.post(
                "/v1/galleries/g/query", files=[("files", ("0", content))], data={"top_k": "1"}
            )
            best = answer.json()["results"][0]
            kept = http.get(f"/v1/galleries/g/images/{id}/file")
            if best["person"] != f"p{who}" or kept.content != content:
                halves += 1
    lost = sum(id not in stored for id in acknowledged)
    return Kills(rounds, len(acknowledged), len(stored), lost, halves, round(longest, 2))
