"""Processes that miss one key at the same time: the function runs in one of them, and all get its value."""

from __future__ import annotations

from typing import Any

import pytest

from processes.teams import Team


@pytest.mark.parametrize("face", ["sync", "async"])
@pytest.mark.parametrize("do", ["one", "cached"])
def test_of_eight_one_runs_the_function(eight: Team, where: dict[str, Any], do: str, face: str) -> None:
    eight.order(do, where, "key", face=face, lease=30)
    ((holder, _),) = eight.wait("computing")
    eight.wait("waiting", 7)
    eight.tell(holder, "finish")
    returned = eight.wait("returned", 8)
    assert [value for _, value in returned] == [{"name": "key", "by": holder}] * 8
    assert len(eight.said["computing"]) == 1


@pytest.mark.parametrize("face", ["sync", "async"])
def test_of_key_sets_that_overlap_each_key_is_computed_once(eight: Team, where: dict[str, Any], face: str) -> None:
    eight.said.clear()
    sets = [[f"{number + offset}" for offset in range(4)] for number in range(8)]
    for number, names in enumerate(sets):
        eight.order_too("many", where, *names, to=[number], face=face, lease=30)
    finished = 0
    while len(eight.said["returned"]) < 8:
        eight.until(lambda: len(eight.said["computing"]) > finished or len(eight.said["returned"]) == 8, "news")  # noqa: B023
        for number, _ in eight.said["computing"][finished:]:
            eight.tell(number, "finish")
            finished += 1
    computed = [name for _, names in eight.said["computing"] for name in names]
    assert sorted(computed, key=int) == [str(number) for number in range(11)]
    by = {name: number for number, names in eight.said["computing"] for name in names}
    for number, values in eight.said["returned"]:
        assert values == {name: {"name": name, "by": by[name]} for name in sets[number]}
