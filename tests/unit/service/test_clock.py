"""The clock: small corrections are followed, jumps only when they have lasted."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import service
from service.clock import SteadyClock

PAST_THE_CLOCK = (
    r"\btime\.(time|time_ns|ctime|gmtime|localtime|strftime)\b|\bfrom time import\b|\bCLOCK_REALTIME\b"
    r"|\bdate(time)?\.(now|utcnow|today)\b"
    r"|\bfunc\.(now|current_\w+)\b|\bCURRENT_(DATE|TIME|TIMESTAMP)\b"  # the database's
)
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


class Machine:
    """A machine whose clocks the test moves."""

    def __init__(self) -> None:
        self.wall = NOON.timestamp()
        self.steady = 5.0
        self.clock = SteadyClock(lambda: self.wall, lambda: self.steady, believed_after_s=3600, small_s=60)

    def passes(self, seconds: float) -> None:
        self.wall += seconds
        self.steady += seconds

    def tells(self) -> float:
        """Seconds since noon by its clock."""
        return (self.clock.now() - NOON).total_seconds()


@pytest.fixture
def machine() -> Machine:
    return Machine()


@pytest.mark.parametrize("jump", [timedelta(days=400), -timedelta(days=400), timedelta(seconds=61)])
def test_a_jump_is_not_believed_before_it_has_lasted(machine: Machine, jump: timedelta) -> None:
    machine.wall += jump.total_seconds()
    for passed in range(0, 3600, 600):
        assert machine.tells() == pytest.approx(passed)
        machine.passes(600)
    assert machine.tells() == pytest.approx(3600 + jump.total_seconds())
    assert machine.clock.jumps == 1


def test_a_jump_that_is_taken_back_has_not_been(machine: Machine) -> None:
    machine.wall += 86400
    assert machine.tells() == pytest.approx(0)
    machine.passes(3000)
    machine.wall -= 86400
    assert machine.tells() == pytest.approx(3000)
    machine.passes(3600)
    assert machine.tells() == pytest.approx(6600)
    assert machine.clock.jumps == 2


def test_a_second_jump_begins_to_be_believed_anew(machine: Machine) -> None:
    machine.wall += 86400
    machine.tells()
    machine.passes(3000)
    machine.wall += 86400
    machine.tells()
    machine.passes(3000)
    assert machine.tells() == pytest.approx(6000)
    assert machine.clock.jumps == 2


def test_a_jump_that_nobody_looked_at_is_held_against_nothing_but_the_time_since(machine: Machine) -> None:
    machine.passes(10_000)
    machine.wall += 86400
    machine.passes(10_000)  # an idle service: it is noticed now
    assert machine.tells() == pytest.approx(20_000)
    machine.passes(3600)
    assert machine.tells() == pytest.approx(23_600 + 86400)


def test_small_corrections_are_followed_at_once(machine: Machine) -> None:
    for _ in range(10):
        machine.passes(100)
        machine.wall -= 30
        assert machine.tells() == pytest.approx(machine.wall - NOON.timestamp())
    assert machine.clock.jumps == 0


@pytest.mark.parametrize(
    "code",
    [
        "time.time()",
        "default_factory=datetime.now)",
        "dt.datetime.now(UTC)",
        "date.today()",
        "time.time_ns()",
        "time.localtime()",
        "from time import time",
        "time.clock_gettime(time.CLOCK_REALTIME)",
        "func.now()",
        "DEFAULT CURRENT_TIMESTAMP",
    ],
)
def test_a_look_at_the_wall_clock_is_known_as_one(code: str) -> None:
    assert re.search(PAST_THE_CLOCK, code)


def test_nothing_that_the_service_stores_or_ends_reads_the_wall_clock_past_it() -> None:
    folder = Path(service.__file__).parent
    past = re.compile(PAST_THE_CLOCK)
    # The client lives in others' processes; spans are for a collector that has the machine's clock.
    allowed = ("clock.py", "client", "commands", "bench", "api/traces.py")
    found = [
        str(path.relative_to(folder))
        for path in folder.rglob("*.py")
        if past.search(path.read_text()) and not str(path.relative_to(folder)).startswith(allowed)
    ]
    assert found == []
