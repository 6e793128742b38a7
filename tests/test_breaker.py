"""The circuit breaker: when it opens, when it probes, when it closes, and what it says."""

from __future__ import annotations

import logging

import pytest

from hitrate.breaker import Breaker
from hitrate.testing import Clock

DOWN = ConnectionError("refused")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    return Breaker("a server", failures=3, wait=1.0, longest_wait=4.0, clock=clock)


def opened(breaker: Breaker) -> Breaker:
    for _ in range(3):
        breaker.failed(DOWN)
    return breaker


def test_is_closed_at_first(breaker: Breaker) -> None:
    assert breaker.state == "closed"
    assert breaker.closed
    assert breaker.allows()


def test_opens_after_failures_in_a_row(breaker: Breaker) -> None:
    breaker.failed(DOWN)
    breaker.failed(DOWN)
    assert breaker.allows()
    breaker.failed(DOWN)
    assert breaker.state == "open"
    assert not breaker.allows()


def test_a_success_between_failures_keeps_it_closed(breaker: Breaker) -> None:
    for _ in range(10):
        breaker.failed(DOWN)
        breaker.failed(DOWN)
        breaker.succeeded()
    assert breaker.state == "closed"


def test_one_call_probes_when_the_wait_is_over(breaker: Breaker, clock: Clock) -> None:
    opened(breaker)
    clock.advance(0.9)
    assert not breaker.allows()
    clock.advance(0.2)
    assert breaker.allows()
    assert breaker.state == "half-open"
    assert not breaker.allows()


def test_a_probe_that_succeeds_closes_it(breaker: Breaker, clock: Clock) -> None:
    opened(breaker)
    clock.advance(1.1)
    assert breaker.allows()
    breaker.succeeded()
    assert breaker.state == "closed"
    breaker.failed(DOWN)
    assert breaker.allows()


def test_a_probe_that_fails_opens_it_for_twice_the_wait(breaker: Breaker, clock: Clock) -> None:
    opened(breaker)
    for wait in (2.0, 4.0, 4.0):
        clock.advance(4.1)
        assert breaker.allows()
        breaker.failed(DOWN)
        assert breaker.state == "open"
        clock.advance(wait - 0.1)
        assert not breaker.allows()


def test_after_closing_the_wait_is_the_first_one_again(breaker: Breaker, clock: Clock) -> None:
    opened(breaker)
    clock.advance(1.1)
    assert breaker.allows()
    breaker.failed(DOWN)
    clock.advance(2.1)
    assert breaker.allows()
    breaker.succeeded()
    opened(breaker)
    clock.advance(1.1)
    assert breaker.allows()


def test_a_probe_that_never_reports_is_followed_by_another(breaker: Breaker, clock: Clock) -> None:
    opened(breaker)
    clock.advance(1.1)
    assert breaker.allows()
    clock.advance(1.1)
    assert breaker.allows()


def test_late_failures_of_earlier_calls_do_not_put_the_probe_off(breaker: Breaker, clock: Clock) -> None:
    opened(breaker)
    clock.advance(0.9)
    breaker.failed(DOWN)
    clock.advance(0.2)
    assert breaker.allows()


def test_logs_one_line_when_it_opens_and_one_when_it_closes(
    breaker: Breaker, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "hitrate"):
        for _ in range(20):
            breaker.failed(DOWN)
        clock.advance(1.1)
        breaker.allows()
        breaker.failed(DOWN)
        clock.advance(2.1)
        breaker.allows()
        for _ in range(20):
            breaker.succeeded()
    assert [record.getMessage() for record in caplog.records] == [
        "a server: 3 failures in a row, answering without it and probing now and then: refused",
        "a server: answers again",
    ]
