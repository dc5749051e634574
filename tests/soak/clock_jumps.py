"""The wall clock set forward and back under load: nothing ends early, nobody is locked out, nothing breaks.

The clock is this process's `time.time`, which the service and its libraries read; so the service runs here.
(libfaketime would set it for another process, but breaks `time.sleep` where it leaves the monotonic clock
alone, as a real jump does.)
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from service.retention import Sweeper
from service.storage.keys import Keys
from tests.serving import handmade_settings, serving
from tests.soak.rounds import Count
from tests.soak.watched_load import PATIENCE_S, WatchedLoad, prepare, right_answers

__all__ = ["ClockJumps", "clock_jumps"]

_RETENTION_DAYS = 30
_WINDOW_S = 10


@dataclass(frozen=True)
class ClockJumps:
    """What became of it.

    Attributes:
        rounds: of jumps, each taken back after a while; unless said, by a day and by 400 days, either way.
        requests: answered well, by kind.
        faults: requests that were refused, failed or broken off.
        wrong: answers unlike those before the first jump.
        erased_early: pictures that a sweep erased, long before their gallery's retention has ended.
        locked_out: jumps after which a key was refused for many times as long as its rate's window.
        amiss: what was acknowledged and is not so at the end.
        longest_s: longest request, seconds; a deadline on the wall clock would have passed or never come.
        examples: the first of what was amiss, in words.
    """

    rounds: int
    requests: dict[str, int]
    faults: int
    wrong: int
    erased_early: int
    locked_out: int
    amiss: int
    longest_s: float
    examples: list[str]

    @property
    def held(self) -> bool:
        """Whether the promise was kept."""
        return not (self.faults or self.wrong or self.erased_early or self.locked_out or self.amiss)


def clock_jumps(
    folder: Path, rounds: int, days: Sequence[int] = (1, -1, 400, -400), count: Count = range
) -> ClockJumps:
    """Run the rounds on one service.

    Args:
        days: how far each jump goes.

    Raises:
        AssertionError: requests were no longer answered.
    """
    for one in (folder / "open", folder / "locked"):
        one.mkdir(parents=True)
    erased = locked_out = 0
    with _settable_clock() as jump, serving(handmade_settings(folder / "open")) as service:
        prepare(service.url)
        for name in ("fixed", "moving"):
            changed = {"retention_days": _RETENTION_DAYS}
            httpx.patch(
                f"{service.url}/v1/galleries/{name}", json=changed, trust_env=False
            ).raise_for_status()
        probes = right_answers(service.url)
        with WatchedLoad(service.url, probes) as load, _locked(folder / "locked") as asks:
            for _ in count(rounds):
                for far in days:
                    load.run("calm", at_least=1)
                    for ahead in (far, 0):
                        asks.use_up()
                        jump(timedelta(days=ahead))
                        load.run("jumped", at_least=2)
                        erased += _sweep(service.app.state.assembly)
                        locked_out += not asks.answered_again()
        amiss = load.check()
    return ClockJumps(
        rounds=rounds,
        requests=dict(load.done),
        faults=len(load.faults),
        wrong=len(load.wrong),
        erased_early=erased,
        locked_out=locked_out,
        amiss=len(amiss),
        longest_s=round(max(load.longest_s.values()), 2),
        examples=load.examples(amiss),
    )


@dataclass
class _Asking:
    """Somebody with a key that expires in a week, at a service that counts how often they ask."""

    url: str
    token: str

    def use_up(self) -> None:
        """Ask until it is too often."""
        for _ in range(20):
            if self._ask() == 429:
                return
        raise AssertionError("the rate is not limited")

    def answered_again(self) -> bool:
        """Whether an answer comes once the window has passed."""
        until = time.monotonic() + 12 * _WINDOW_S
        while time.monotonic() < until:
            if self._ask() == 200:
                return True
            time.sleep(0.5)
        return False

    def _ask(self) -> int:
        headers = {"Authorization": f"Bearer {self.token}"}
        url = f"{self.url}/v1/galleries"
        return httpx.get(url, headers=headers, timeout=PATIENCE_S, trust_env=False).status_code


@contextmanager
def _locked(folder: Path) -> Iterator[_Asking]:
    settings = handmade_settings(folder, rate_limit=f"2/{_WINDOW_S} second")
    with serving(settings) as service:
        keys = Keys(service.app.state.assembly.galleries._parts.catalog.database)
        made = keys.create("who asks", "admin", expires_at=datetime.now(UTC) + timedelta(days=7))
        yield _Asking(service.url, made.token)


def _sweep(assembly: Any) -> int:
    """What retention has ended for by now is erased."""
    sweeper = Sweeper(assembly.galleries._parts.catalog, assembly.galleries, assembly.audit, audit_days=365)
    return asyncio.run(sweeper.sweep()).erased


class _Jump:
    """`time.time` and what it is ahead of the machine's, seconds."""

    def __init__(self) -> None:
        self._machine = time.time
        self._lock = threading.Lock()
        self._ahead = 0.0

    def __call__(self, by: timedelta) -> None:
        """Set the clock so far from the machine's."""
        with self._lock:
            self._ahead = by.total_seconds()

    def time(self) -> float:
        """What the clock shows."""
        with self._lock:
            return self._machine() + self._ahead


@contextmanager
def _settable_clock() -> Iterator[_Jump]:
    machine, jump = time.time, _Jump()
    time.time = jump.time
    try:
        yield jump
    finally:
        time.time = machine
