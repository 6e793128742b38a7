"""Holders of a lease that die, hang, fail, or compute what cannot be stored."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from typing import Any

from processes.teams import Team, team_of

LEASE = 2.0
BUSY = 15.0
"""Seconds that a process may have to wait for its turn on a busy machine."""

LONG = 600.0


def begun(team: Team, where: dict[str, Any], lease: float, *others: int) -> float:
    """Have the first of a team compute a key, and others wait for that, on the threads of some and in tasks of some.

    Who computes in its place has a long lease.

    Returns:
        The lease of the first: a longer one where it ran out before the others had asked for it.
    """
    team.said.clear()
    for number in (0, *others):
        team.ask("get", where, "key", of=number)  # opens the cache: the lease is not to run out over that
    while True:
        team.order("one", where, "key", to=[0], lease=lease)
        team.wait("computing")
        for number in others:
            team.order_too("one", where, "key", to=[number], face="sync" if number % 2 else "async", lease=LONG)
        team.until(lambda: len(team.said["waiting"]) == len(others) or len(team.said["computing"]) > 1, "all to wait")
        if len(team.said["computing"]) == 1:
            return lease
        for number, _ in team.said["computing"]:
            team.tell(number, "finish")
        team.wait("returned", len(others) + 1)
        team.ask("delete", where, "key", of=0)
        lease *= 2


def test_a_holder_that_is_killed_is_replaced_within_its_lease_and_a_second(where: dict[str, Any]) -> None:
    with team_of(3) as team:
        lease = begun(team, where, LEASE, 1, 2)
        killed = time.monotonic()
        team.signal(0, signal.SIGKILL)
        _, (successor, _) = team.wait("computing", 2)
        assert time.monotonic() - killed <= lease + 1 + BUSY
        team.tell(successor, "finish")
        returned = team.wait("returned", 2)
        assert [value["by"] for _, value in returned] == [successor] * 2
        assert len(team.said["computing"]) == 2


def test_a_holder_that_was_paused_past_its_lease_returns_its_value_and_overwrites_nothing(
    four: Team, where: dict[str, Any]
) -> None:
    begun(four, where, LEASE, 1, 2)
    four.signal(0, signal.SIGSTOP)
    _, (successor, _) = four.wait("computing", 2)
    four.tell(successor, "finish")
    assert [value["by"] for _, value in four.wait("returned", 2)] == [successor] * 2
    four.signal(0, signal.SIGCONT)
    four.tell(0, "finish")
    assert four.wait("returned", 3)[2] == (0, {"name": "key", "by": 0})
    assert [four.ask("get", where, "key", of=number)["key"]["by"] for number in range(3)] == [successor] * 3


def test_a_holder_that_resumes_while_its_successor_computes_stores_nothing(four: Team, where: dict[str, Any]) -> None:
    begun(four, where, LEASE, 1)
    four.signal(0, signal.SIGSTOP)
    four.wait("computing", 2)
    four.signal(0, signal.SIGCONT)
    four.tell(0, "finish")
    assert four.wait("returned") == [(0, {"name": "key", "by": 0})]
    assert four.ask("get", where, "key", of=0) == {}
    four.tell(1, "finish")
    four.wait("returned", 2)
    assert four.ask("get", where, "key", of=0)["key"]["by"] == 1


def test_a_computation_that_raises_frees_its_lease_at_once(four: Team, where: dict[str, Any]) -> None:
    begun(four, where, LONG, 1, 2, 3)
    four.tell(0, "raise")
    assert four.wait("raised") == [(0, "by 0")]
    _, (successor, _) = four.wait("computing", 2)
    four.tell(successor, "finish")
    assert [value["by"] for _, value in four.wait("returned", 3)] == [successor] * 3


def test_a_value_that_cannot_be_stored_frees_its_lease_at_once(four: Team, where: dict[str, Any]) -> None:
    begun(four, where, LONG, 1, 2, 3)
    four.tell(0, "keep file")
    assert four.wait("returned") == [(0, "unstorable")]
    _, (successor, _) = four.wait("computing", 2)
    four.tell(successor, "finish")
    assert [value["by"] for _, value in four.wait("returned", 4)[1:]] == [successor] * 3


def test_only_what_was_stored_counts_as_set(backend: Callable[[str], dict[str, Any]], four: Team) -> None:
    where = backend("sqlite")
    begun(four, where, LEASE, 1)
    four.signal(0, signal.SIGSTOP)
    four.wait("computing", 2)
    four.tell(1, "finish")
    four.wait("returned")
    four.signal(0, signal.SIGCONT)
    four.tell(0, "keep file")
    four.wait("returned", 2)
    assert [four.ask("stats", where, of=number)["sets"] for number in (0, 1)] == [0, 1]
