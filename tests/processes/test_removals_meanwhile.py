"""What another process removes while it is being computed stays removed."""

from __future__ import annotations

from typing import Any

import pytest

from processes.teams import Team


@pytest.mark.parametrize(
    ("do", "names"), [("delete", ["key"]), ("clear", ["namespace"]), ("clear", []), ("clear_under", [])]
)
@pytest.mark.parametrize("face", ["sync", "async"])
def test_a_result_from_before_a_removal_is_not_stored(
    eight: Team, where: dict[str, Any], do: str, names: list[str], face: str
) -> None:
    eight.order("one", where, "key", to=[0], face=face, lease=600)
    eight.wait("computing")
    eight.ask(do, where, *names, of=1)
    eight.tell(0, "finish")
    assert eight.wait("returned") == [(0, {"name": "key", "by": 0})]
    assert [eight.ask("get", where, "key", of=number) for number in (0, 1, 2)] == [{}, {}, {}]


def test_who_waited_for_a_result_from_before_a_removal_computes_anew(eight: Team, where: dict[str, Any]) -> None:
    eight.order("one", where, "key", to=[0], lease=600)
    eight.wait("computing")
    eight.order_too("one", where, "key", to=[1], lease=600)
    eight.wait("waiting")
    eight.ask("delete", where, "key", of=2)
    _, (successor, _) = eight.wait("computing", 2)
    assert successor == 1
    eight.tell(1, "finish")
    eight.wait("returned")
    eight.tell(0, "finish")
    assert sorted(value["by"] for _, value in eight.wait("returned", 2)) == [0, 1]
    assert eight.ask("get", where, "key", of=2) == {"key": {"name": "key", "by": 1}}
