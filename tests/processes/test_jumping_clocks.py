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
    four: Team, moving: tuple[dict[str, Any], Callable[[float], None]], jump: float
) -> None:
    where, set_to = moving
    four.order("one", where, "key", to=[0], lease=60)
    four.wait("computing")
    four.order_too("one", where, "key", to=[1], lease=60)
    four.wait("waiting")
    set_to(START + jump)
    _, (successor, _) = four.wait("computing", 2)
    assert successor == 1
    four.tell(0, "finish")
    assert four.wait("returned") == [(0, {"name": "key", "by": 0})]
    assert four.ask("get", where, "key", of=2) == {}
    four.tell(1, "finish")
    four.wait("returned", 2)
    assert four.ask("get", where, "key", of=2) == {"key": {"name": "key", "by": 1}}


def test_a_clock_that_goes_away_and_comes_back_leaves_one_value(
    four: Team, moving: tuple[dict[str, Any], Callable[[float], None]]
) -> None:
    where, set_to = moving
    four.order("one", where, "key", to=[0], lease=60)
    four.wait("computing")
    set_to(START - HOUR)
    four.order_too("one", where, "key", to=[1], lease=60)
    four.wait("computing", 2)
    set_to(START)
    four.order_too("one", where, "key", to=[2], lease=60)
    _, _, (last, _) = four.wait("computing", 3)
    for number in (0, 1):
        four.tell(number, "finish")
    four.wait("returned", 2)
    four.tell(last, "finish")
    four.wait("returned", 3)
    assert [four.ask("get", where, "key", of=number)["key"]["by"] for number in range(4)] == [last] * 4
