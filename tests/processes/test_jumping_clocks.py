"""A clock that jumps while a lease is held: nobody waits for ever, and no late result is stored."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from processes.conftest import START
from processes.teams import Team

HOUR = 3600.0


@pytest.mark.parametrize("jump", [HOUR, -HOUR], ids=["forward", "back"])
def test_a_jump_ends_the_lease_and_its_holder_stores_nothing(
    eight: Team, moving: tuple[dict[str, Any], Callable[[float], None]], jump: float
) -> None:
    where, set_to = moving
    eight.order("one", where, "key", to=[0], lease=60)
    eight.wait("computing")
    eight.order_too("one", where, "key", to=[1], lease=60)
    eight.wait("waiting")
    set_to(START + jump)
    _, (successor, _) = eight.wait("computing", 2)
    assert successor == 1
    eight.tell(0, "finish")
    assert eight.wait("returned") == [(0, {"name": "key", "by": 0})]
    assert eight.ask("get", where, "key", of=2) == {}
    eight.tell(1, "finish")
    eight.wait("returned", 2)
    assert eight.ask("get", where, "key", of=2) == {"key": {"name": "key", "by": 1}}


def test_a_clock_that_goes_away_and_comes_back_leaves_one_value(
    eight: Team, moving: tuple[dict[str, Any], Callable[[float], None]]
) -> None:
    where, set_to = moving
    eight.order("one", where, "key", to=[0], lease=60)
    eight.wait("computing")
    set_to(START - HOUR)
    eight.order_too("one", where, "key", to=[1], lease=60)
    eight.wait("computing", 2)
    set_to(START)
    eight.order_too("one", where, "key", to=[2], lease=60)
    _, _, (last, _) = eight.wait("computing", 3)
    for number in (0, 1):
        eight.tell(number, "finish")
    eight.wait("returned", 2)
    eight.tell(last, "finish")
    eight.wait("returned", 3)
    assert [eight.ask("get", where, "key", of=number)["key"]["by"] for number in range(4)] == [last] * 4
