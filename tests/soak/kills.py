"""SIGKILL at random moments under enrolment: what was acknowledged is found, nothing is half there."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.handmade_bundle import write_handmade_bundle
from tests.soak.mortal import Enrolling, Mortal, halves_of, listed
from tests.soak.rounds import Count
from tests.soak.watched_load import PATIENCE_S

__all__ = ["Kills", "kill_rounds"]


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
        faults: requests answered in any other way than with 201.
        restart_s: longest time from start to ready, seconds.
    """

    rounds: int
    acknowledged: int
    stored: int
    lost: int
    halves: int
    faults: int
    restart_s: float

    @property
    def held(self) -> bool:
        """Whether the promise was kept."""
        return self.acknowledged > 0 and not (self.lost or self.halves or self.faults)


def kill_rounds(
    folder: Path, rounds: int, seed: int = 1, catalog_url: str | None = None, count: Count = range
) -> Kills:
    """Run the rounds on one data folder, each with the pictures of those before.

    Args:
        catalog_url: of an empty database; a file of SQLite in the folder unless given.

    Raises:
        ServiceDied: the service did not come back.
    """
    chance = random.Random(seed)
    folder.mkdir(parents=True, exist_ok=True)
    environment = {} if catalog_url is None else {"PENUMBRA_CATALOG_URL": catalog_url}
    mortal = Mortal(folder / "data", write_handmade_bundle(folder / "handmade.onnx"), environment)
    enrolling = Enrolling()
    for turn in count(rounds):
        mortal.start()
        if turn == 0:
            gallery = {"name": "g", "keep_pictures": True}
            httpx.post(f"{mortal.url}/v1/galleries", json=gallery, trust_env=False).raise_for_status()
        enrolling.start(mortal.url)
        if turn == 0:  # so that there is something to lose
            enrolling.until_some()
        time.sleep(chance.uniform(0.05, 1.0))
        mortal.kill()
        enrolling.end()
    mortal.start()
    try:
        with httpx.Client(base_url=mortal.url, timeout=PATIENCE_S, trust_env=False) as http:
            stored = listed(http)
            halves = halves_of(http, stored)
    finally:
        mortal.stop()
    return Kills(
        rounds=rounds,
        acknowledged=len(enrolling.acknowledged),
        stored=len(stored),
        lost=sum(id not in stored for id in enrolling.acknowledged),
        halves=len(halves),
        faults=enrolling.refused + len(enrolling.faults),
        restart_s=round(mortal.restart_s, 2),
    )
