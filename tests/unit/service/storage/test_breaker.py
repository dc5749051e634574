from __future__ import annotations

from service.storage.breaker import CircuitBreaker


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_fault_stops_calls_until_one_trial_succeeds() -> None:
    clock = Clock()
    breaker = CircuitBreaker(pause_s=1.0, longest_s=4.0, clock=clock)
    assert breaker.allows()
    assert breaker.failed()
    assert not breaker.failed(), "only the first of a row of faults opens it"
    assert not breaker.allows()
    clock.now = 10.0
    assert breaker.allows()
    assert not breaker.allows(), "one trial at a time"
    assert breaker.succeeded()
    assert breaker.allows()
    assert not breaker.succeeded()


def test_the_pause_doubles_up_to_the_longest() -> None:
    clock = Clock()
    breaker = CircuitBreaker(pause_s=1.0, longest_s=4.0, clock=clock)
    breaker.failed()
    for pause in (1.0, 2.0, 4.0, 4.0):
        clock.now += pause - 0.01
        assert not breaker.allows()
        clock.now += 0.01
        assert breaker.allows()
        breaker.failed()


def test_a_trial_that_never_tells_does_not_close_the_way_for_ever() -> None:
    clock = Clock()
    breaker = CircuitBreaker(pause_s=1.0, clock=clock)
    breaker.failed()
    clock.now = 1.0
    assert breaker.allows()
    clock.now = 2.0
    assert breaker.allows()
