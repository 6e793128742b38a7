"""Values past their time, over processes: who refreshes, and what the others are given meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from processes.conftest import START
from processes.teams import Team


@pytest.mark.parametrize("face", ["sync", "async"])
def test_under_a_lease_one_of_eight_refreshes_and_all_serve_the_old_value_meanwhile(
    eight: Team, moving: tuple[dict[str, Any], Callable[[float], None]], face: str, tmp_path: Path
) -> None:
    where, set_to = moving
    terms = {"ttl": 60, "stale": 60, "lease": 600}
    eight.order("one", where, "key", to=[0], **terms)
    eight.wait("computing")
    eight.tell(0, "finish")
    eight.wait("returned")
    set_to(START + 90)
    gate = tmp_path / "gate"
    eight.order("one", where, "key", face=face, gate=str(gate), **terms)
    served = eight.wait("returned" if face == "sync" else "served", 8)
    assert [value for _, value in served] == [{"name": "key", "by": 0}] * 8
    ((refreshing, _),) = eight.wait("computing")
    gate.touch()
    eight.wait("returned", 8)
    deadline = time.monotonic() + 60
    while eight.ask("one", where, "key", of=1, gate=str(gate), **terms) == {"name": "key", "by": 0}:
        assert time.monotonic() < deadline, "it is not refreshed"
    new = {"name": "key", "by": refreshing, "refreshed": True}
    assert [eight.ask("one", where, "key", of=number, gate=str(gate), **terms) for number in range(8)] == [new] * 8
    assert len(eight.said["computing"]) == 1
