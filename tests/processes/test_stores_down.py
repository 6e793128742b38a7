"""A store that goes down while somebody waits for a lease: the function runs, and nothing hangs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bad_days.bad_day_processes import other
from processes.teams import Team, team_of
from servers.postgres import PostgresServer
from servers.valkey import Server, running_cluster


def both_wait(team: Team, where: dict[str, Any], **more: Any) -> None:
    """Have the first of a team compute, and the others wait for that, on a thread and in a task.

    Args:
        team: three processes, or more.
        where: the cache.
        more: what else the orders of the others say.
    """
    team.order("one", where, "key", to=[0], lease=600)
    team.wait("computing")
    team.order_too("one", where, "key", to=[1], lease=600, **more)
    team.order_too("one", where, "key", to=[2], face="async", lease=600, **more)
    team.wait("waiting", 2)


def each_computes(team: Team) -> None:
    """See that all three run the function, and that each returns what it computed."""
    computing = team.wait("computing", 3)
    assert sorted(number for number, _ in computing) == [0, 1, 2]
    for number in range(3):
        team.tell(number, "finish")
    returned = team.wait("returned", 3)
    assert sorted(returned) == [(number, {"name": "key", "by": number}) for number in range(3)]


def test_a_valkey_server_that_stops(server: Server) -> None:
    where = {"kind": "redis", "at": server.url}
    with team_of(3) as team:
        both_wait(team, where)
        server.stop()
        each_computes(team)


def test_a_valkey_server_that_hangs(server: Server) -> None:
    where = {"kind": "redis", "at": server.url}
    with team_of(3) as team:
        both_wait(team, where)
        server.pause()
        each_computes(team)


def test_a_node_of_a_cluster_that_stops() -> None:
    with running_cluster() as servers, team_of(3) as team:
        where = {"kind": "cluster", "at": servers[0].url}
        both_wait(team, where)
        for each in servers:
            each.stop()
        each_computes(team)


def test_a_postgresql_server_that_stops() -> None:
    server = PostgresServer()
    try:
        with team_of(3) as team:
            both_wait(team, {"kind": "postgres", "at": server.url})
            server.stop()
            each_computes(team)
    finally:
        server.remove()


@pytest.mark.parametrize("kind", ["sqlite", "tiered"])
def test_a_file_that_is_deleted(
    four: Team, backend: Callable[[str], dict[str, Any]], kind: str, tmp_path: Path
) -> None:
    """Whoever has it open goes on sharing it. Who opens it anew has a new file, where nobody holds a lease."""
    where = backend(kind)
    gate = tmp_path / "gate"
    gate.touch()  # whoever computes besides the first is not to wait
    both_wait(four, where, gate=str(gate))
    for path in Path(where["at"]).parent.glob("cache.db*"):
        path.unlink()
    four.tell(0, "finish")
    returned = {number: value["by"] for number, value in four.wait("returned", 3)}
    computed = [number for number, _ in four.said["computing"]]
    assert len(computed) == len({*computed})
    assert returned == {number: number if number in computed else 0 for number in range(3)}


@pytest.mark.parametrize("kind", ["sqlite", "tiered"])
def test_a_file_that_stays_locked(backend: Callable[[str], dict[str, Any]], kind: str) -> None:
    where = backend(kind)
    with team_of(3) as team:
        both_wait(team, where)
        with other("hold_the_lock", where["at"], "BEGIN IMMEDIATE") as locker:
            assert locker.line() == "held"
            each_computes(team)
            locker.tell("let go")
            locker.line()
