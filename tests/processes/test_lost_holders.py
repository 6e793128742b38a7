"""Holders of a lease that die, hang, fail, or compute what cannot be stored."""

from __future__ import annotations

import signal
import time
from typing import Any

import pytest

from processes.teams import Team, team_of

LEASE = 1.0


def begun(team: Team, where: dict[str, Any], lease: float, others: int, face: str = "sync") -> int:
    """Have all of a team ask for one key; return who computes once the others wait for that."""
    team.order("one", where, "key", face=face, lease=lease)
    ((holder, _),) = team.wait("computing")
    team.wait("waiting", others)
    return holder


@pytest.mark.parametrize("face", ["sync", "async"])
def test_a_holder_that_is_killed_is_replaced_within_its_lease_and_a_second(where: dict[str, Any], face: str) -> None:
    with team_of(4) as team:
        team.ask("get", where, "key", of=1)  # opens the cache
        holder = begun(team, where, LEASE, 3, face)
        killed = time.monotonic()
        team.signal(holder, signal.SIGKILL)
        _, (successor, _) = team.wait("computing", 2)
        assert time.monotonic() - killed <= LEASE + 1
        team.tell(successor, "finish")
        returned = team.wait("returned", 3)
        assert [value["by"] for _, value in returned] == [successor] * 3
        assert len(team.said["computing"]) == 2


def test_a_holder_that_was_paused_past_its_lease_returns_its_value_and_overwrites_nothing(
    where: dict[str, Any],
) -> None:
    with team_of(3) as team:
        holder = begun(team, where, LEASE, 2)
        team.signal(holder, signal.SIGSTOP)
        _, (successor, _) = team.wait("computing", 2)
        team.tell(successor, "finish")
        assert [value["by"] for _, value in team.wait("returned", 2)] == [successor] * 2
        team.signal(holder, signal.SIGCONT)
        team.tell(holder, "finish")
        (late,) = [value for number, value in team.wait("returned", 3) if number == holder]
        assert late["by"] == holder
        for number in range(3):
            assert team.ask("get", where, "key", of=number)["key"]["by"] == successor


def test_a_holder_that_resumes_while_its_successor_computes_stores_nothing(where: dict[str, Any]) -> None:
    with team_of(3) as team:
        holder = begun(team, where, LEASE, 2)
        team.signal(holder, signal.SIGSTOP)
        _, (successor, _) = team.wait("computing", 2)
        team.order_too("get", where, "other", to=[holder])
        team.signal(holder, signal.SIGCONT)
        team.tell(holder, "finish")
        team.wait("returned", 1)
        assert team.ask("get", where, "key", of=holder) == {}
        team.tell(successor, "finish")
        team.until(lambda: sum(value.get("by") == successor for _, value in team.said["returned"]) == 2, "the value")
        assert team.ask("get", where, "key", of=holder)["key"]["by"] == successor


def test_a_computation_that_raises_frees_its_lease_at_once(eight: Team, where: dict[str, Any]) -> None:
    holder = begun(eight, where, 600, 7)
    eight.tell(holder, "raise")
    assert eight.wait("raised") == [(holder, f"by {holder}")]
    _, (successor, _) = eight.wait("computing", 2)
    eight.tell(successor, "finish")
    assert [value["by"] for _, value in eight.wait("returned", 7)] == [successor] * 7


def test_a_value_that_cannot_be_stored_frees_its_lease_at_once(eight: Team, where: dict[str, Any]) -> None:
    holder = begun(eight, where, 600, 7)
    eight.tell(holder, "lock")
    assert eight.wait("returned") == [(holder, "unstorable")]
    _, (successor, _) = eight.wait("computing", 2)
    eight.tell(successor, "finish")
    assert [value["by"] for _, value in eight.wait("returned", 8)[1:]] == [successor] * 7
