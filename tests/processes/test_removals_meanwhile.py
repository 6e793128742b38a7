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
    four: Team, where: dict[str, Any], do: str, names: list[str], face: str
) -> None:
    four.order("one", where, "key", to=[0], face=face, lease=600)
    four.wait("computing")
    four.ask(do, where, *names, of=1)
    four.tell(0, "finish")
    assert four.wait("returned") == [(0, {"name": "key", "by": 0})]
    assert [four.ask("get", where, "key", of=number) for number in (0, 1, 2)] == [{}, {}, {}]


def test_who_waited_for_a_result_from_before_a_removal_computes_anew(four: Team, where: dict[str, Any]) -> None:
    four.order("one", where, "key", to=[0], lease=600)
    four.wait("computing")
    four.order_too("one", where, "key", to=[1], lease=600)
    four.wait("waiting")
    four.ask("delete", where, "key", of=2)
    _, (successor, _) = four.wait("computing", 2)
    assert successor == 1
    four.tell(1, "finish")
    four.wait("returned")
    four.tell(0, "finish")
    assert sorted(value["by"] for _, value in four.wait("returned", 2)) == [0, 1]
    assert four.ask("get", where, "key", of=2) == {"key": {"name": "key", "by": 1}}
