"""PostgreSQL stopped, killed and started, and its connections cut, under enrolments, queries and erasures."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from tests.servers import PostgreSQLServer
from tests.serving import handmade_settings
from tests.soak.rounds import Count
from tests.soak.watched_load import Serve, WatchedLoad, in_a_process, prepare, right_answers

__all__ = ["PostgreSQLFaults", "postgresql_faults"]

_CUTS = 5
_AWAY_S = 1.0


@dataclass(frozen=True)
class PostgreSQLFaults:
    """What became of it.

    Attributes:
        rounds: of cutting connections, stopping in order, and stopping as after a power cut.
        requests: answered well, by kind.
        refused: defined refusals (503 problems that say when to come back).
        faults: requests answered in any other way, or broken off.
        wrong: answers unlike those of an undisturbed service.
        kept: acknowledged pictures at the end; erased: acknowledged erasures.
        amiss: pictures lost, erased ones that are back, and half enrolled ones.
        left_over: files of pictures that no catalog row speaks of, at the end.
        away_s: longest request while PostgreSQL was away, seconds.
        back_s: longest from its start until every kind of request was answered well again, seconds.
        examples: the first of what was amiss, in words.
    """

    rounds: int
    requests: dict[str, int]
    refused: int
    faults: int
    wrong: int
    kept: int
    erased: int
    amiss: int
    left_over: int
    away_s: float
    back_s: float
    examples: list[str]

    @property
    def held(self) -> bool:
        """Whether the promise was kept."""
        return self.refused > 0 and not (self.faults or self.wrong or self.amiss or self.left_over)


def postgresql_faults(
    folder: Path,
    rounds: int,
    postgresql: PostgreSQLServer,
    serve: Serve = in_a_process,
    count: Count = range,
) -> PostgreSQLFaults:
    """Run the rounds on one service, with its catalog in a new database of a running server.

    Raises:
        AssertionError: requests were no longer answered.
    """
    folder.mkdir(parents=True, exist_ok=True)
    settings = handmade_settings(folder, catalog_url=postgresql.empty_database())
    with serve(settings) as service:
        prepare(service.url)
        probes = right_answers(service.url)
        longest = 0.0
        with WatchedLoad(service.url, probes, refusals={503}) as load:
            for _ in count(rounds):
                load.run("calm", at_least=3)
                for _ in range(_CUTS):
                    postgresql.cut_connections()
                    load.run("cut", at_least=1)
                for crash in (False, True):
                    postgresql.stop(crash)
                    load.suffer("away", refusals=5, seconds=_AWAY_S)
                    began = time.monotonic()
                    postgresql.start()
                    load.run("back", at_least=1)
                    longest = max(longest, time.monotonic() - began)
        amiss = load.check()
        return PostgreSQLFaults(
            rounds=rounds,
            requests=dict(load.done),
            refused=sum(load.refused.values()),
            faults=len(load.faults),
            wrong=len(load.wrong),
            kept=len(load.kept),
            erased=len(load.erased),
            amiss=len(amiss),
            left_over=load.left_over(settings.data_dir),
            away_s=round(load.longest_s["away"], 2),
            back_s=round(longest, 2),
            examples=load.examples(amiss),
        )
