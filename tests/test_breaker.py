"""The circuit breaker: when it opens, when it probes, when it closes, and what it says."""

from __future__ import annotations

import logging

import pytest

from hitrate.breaker import FAILURES, FIRST_WAIT, LONGEST_WAIT, Breaker
from hitrate.testing import Clock

DOWN = ConnectionError("refused")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    return Breaker("a server", clock=clock)


def opened(breaker: Breaker) -> Breaker:
    for _ in range(FAILURES):
        breaker.failed(DOWN)
    return breaker


def test_is_closed_at_first(breaker: Breaker) -> None:
    assert breaker.state == "closed"
    assert breaker.closed
    assert breaker.allows()


def test_opens_after_failures_in_a_row(breaker: Breaker) -> None:
    for _ in range(FAILURES - 1):
        breaker.failed(DOWN)
    assert breaker.allows()
    breaker.failed(DOWN)
    assert breaker.state == "open"
    assert not breaker.allows()


def test_a_success_between_failures_keeps_it_closed(breaker: Breaker) -> None:
    for _ in range(10):
        for _ in range(FAILURES - 1):
            breaker.failed(DOWN)
        breaker.succeeded()
    assert breaker.state == "closed"


def test_one_call_probes_when_the_wait_is_over(breaker: Breaker, clock: Clock) -> None:
    opened(breaker)
    clock.advance(0.9 * FIRST_WAIT)
    assert not breaker.allows()
    clock.advance(0.2 * FIRST_WAIT)
    assert breaker.allows()
    assert breaker.state == "half-open"
    assert not breaker.allows()


def test_a_probe_that_succeeds_closes_it(breaker: Breaker, clock: Clock) -> None:
    opened(breaker)
    clock.advance(1.1 * FIRST_WAIT)
    assert breaker.allows()
    breaker.succeeded()
    assert breaker.state == "closed"
    breaker.failed(DOWN)
    assert breaker.allows()


def test_a_probe_that_fails_opens_it_for_twice_the_wait(breaker: Breaker, clock: Clock) -> None:
    opened(breaker)
    for wait in (1.0, 2.0, 4.0, 8.0, 10.0, 10.0):
        clock.advance(LONGEST_WAIT)
        assert breaker.allows()
        breaker.failed(DOWN)
        assert breaker.state == "open"
        clock.advance(0.9 * wait)
        assert not breaker.allows()


def test_after_closing_the_wait_is_the_first_one_again(breaker: Breaker, clock: Clock) -> None:
    opened(breaker)
    clock.advance(1.1 * FIRST_WAIT)
    assert breaker.allows()
    breaker.failed(DOWN)
    clock.advance(2.1 * FIRST_WAIT)
    assert breaker.allows()
    breaker.succeeded()
    opened(breaker)
    clock.advance(1.1 * FIRST_WAIT)
    assert breaker.allows()


def test_a_probe_that_never_reports_is_followed_by_another(breaker: Breaker, clock: Clock) -> None:
    opened(breaker)
    clock.advance(1.1 * FIRST_WAIT)
    assert breaker.allows()
    clock.advance(1.1 * FIRST_WAIT)
    assert breaker.allows()


def test_late_failures_of_earlier_calls_do_not_put_the_probe_off(breaker: Breaker, clock: Clock) -> None:
    opened(breaker)
    clock.advance(0.9 * FIRST_WAIT)
    breaker.failed(DOWN)
    clock.advance(0.2 * FIRST_WAIT)
    assert breaker.allows()


def test_logs_one_line_when_it_opens_and_one_when_it_closes(
    breaker: Breaker, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "hitrate"):
        for _ in range(20):
            breaker.failed(DOWN)
        clock.advance(1.1 * FIRST_WAIT)
        breaker.allows()
        breaker.failed(DOWN)
        clock.advance(2.1 * FIRST_WAIT)
        breaker.allows()
        for _ in range(20):
            breaker.succeeded()
    assert [record.getMessage() for record in caplog.records] == [
        "a server: 5 failures in a row, answering without it and probing now and then: refused",
        "a server: answers again",
    ]
