"""A service's lock on its PostgreSQL catalog is cut under enrolment, and another one takes the catalog over.

Each has its own data folder, and they share the catalog and the kept pictures, as on two machines.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from pathlib import Path

import httpx
from sqlalchemy import create_engine, text

from service.storage.fence import advisory_key
from tests.handmade_bundle import write_handmade_bundle
from tests.soak.mortal import Enrolling, Mortal, halves_of, listed
from tests.soak.rounds import Count
from tests.soak.watched_load import PATIENCE_S

__all__ = ["Takeovers", "takeovers"]


@dataclass(frozen=True)
class Takeovers:
    """What became of it.

    Attributes:
        rounds: takeovers.
        cuts: of the lock's connection; more than rounds where the service took its lock again.
        acknowledged: pictures answered with 201, by whichever service.
        refused: writers that were sent to the other service.
        faults: requests answered in any other way, and services that ended otherwise than they should.
        stored: pictures in the gallery at the end.
        lost: acknowledged pictures that the last service does not have.
        halves: listed pictures that it does not find by themselves, or whose file is not there.
        left_over: files of pictures that no catalog row speaks of, at the end; below 0: missing.
        ended_s: longest from the cut that lost the catalog until its service had ended, seconds.
    """

    rounds: int
    cuts: int
    acknowledged: int
    refused: int
    faults: int
    stored: int
    lost: int
    halves: int
    left_over: int
    ended_s: float

    @property
    def held(self) -> bool:
        """Whether the promise was kept."""
        return self.acknowledged > 0 and not (self.faults or self.lost or self.halves or self.left_over)


def takeovers(
    folder: Path, rounds: int, catalog_url: str, seed: int = 1, writers: int = 3, count: Count = range
) -> Takeovers:
    """Run the rounds on a new database; who took over in one is taken over from in the next.

    Args:
        writers: who enrol at a time.

    Raises:
        ServiceDied: a service did not start.
    """
    chance = random.Random(seed)
    folder.mkdir(parents=True, exist_ok=True)
    bundle = write_handmade_bundle(folder / "handmade.onnx")
    pictures = folder / "pictures"
    environment = {"PENUMBRA_CATALOG_URL": catalog_url, "PENUMBRA_PICTURES_URL": pictures.as_uri()}
    present, other = (Mortal(folder / name, bundle, environment) for name in ("one", "two"))
    enrolling = Enrolling(writers)
    cuts, longest_s, faults = 0, 0.0, 0
    present.start()
    try:
        gallery = {"name": "g", "keep_pictures": True}
        httpx.post(f"{present.url}/v1/galleries", json=gallery, trust_env=False).raise_for_status()
        for _ in count(rounds):
            other.start(until_ready=False)
            enrolling.start(present.url)
            enrolling.until_some(len(enrolling.acknowledged) + 1)
            time.sleep(chance.uniform(0.5, 3.0))
            made, ended_s = _cut_until_ended(catalog_url, present)
            enrolling.end()
            cuts, longest_s = cuts + made, max(longest_s, ended_s)
            other.until_ready()
            said = present.log.read_text()
            told = "another service has taken the catalog over" in said and "Traceback" not in said
            faults += not told or present.until_ended() != 1
            present, other = other, present
        with httpx.Client(base_url=present.url, timeout=PATIENCE_S, trust_env=False) as http:
            stored = listed(http)
            halves = halves_of(http, stored)
        left_over = sum(1 for _ in pictures.rglob("*.picture*")) - len(stored)
    finally:
        present.stop()
        other.stop()
    return Takeovers(
        rounds=rounds,
        cuts=cuts,
        acknowledged=len(enrolling.acknowledged),
        refused=enrolling.refused,
        faults=faults + len(enrolling.faults),
        stored=len(stored),
        lost=sum(id not in stored for id in enrolling.acknowledged),
        halves=len(halves),
        left_over=left_over,
        ended_s=round(longest_s, 2),
    )


def _cut_until_ended(url: str, present: Mortal) -> tuple[int, float]:
    """Cut the connection that has the lock until its service ends: how often, and seconds from the last."""
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    statement = text(
        "SELECT pg_terminate_backend(pid) FROM pg_locks JOIN pg_database d ON d.oid = database "
        "WHERE locktype = 'advisory' AND granted AND datname = current_database() "
        "AND (classid::bigint << 32 | objid::bigint) = :key"
    )
    give_up = time.monotonic() + PATIENCE_S
    cuts = 0
    with engine.connect() as connection:
        owner = text("SELECT value FROM about WHERE key = 'owner'")
        id = connection.execute(text("SELECT value FROM about WHERE key = 'id'")).scalar_one()
        before = connection.execute(owner).scalar_one()
        while connection.execute(owner).scalar_one() == before:
            assert time.monotonic() < give_up
            cuts += len(connection.execute(statement, {"key": advisory_key("penumbra", id)}).all())
            cut_at = time.monotonic()
            # the other one looks ten times a second, this one once: whose it is then, it is for good
            while connection.execute(owner).scalar_one() == before and time.monotonic() < cut_at + 1.5:
                time.sleep(0.05)
    engine.dispose()
    present.until_ended()
    return cuts, time.monotonic() - cut_at
