"""What the tests of several processes share: the backends that processes share, and teams."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from processes.teams import Team, team_of

Where = dict[str, Any]

START = 1_000_000.0

BACKENDS = ("sqlite", "redis", "cluster", "postgres", "tiered")


@pytest.fixture
def backend(request: pytest.FixtureRequest) -> Callable[[str], Where]:
    """A function that says where a backend of a kind is, with nothing in it."""

    def at(kind: str) -> Where:
        if kind in ("sqlite", "tiered"):
            return {"kind": kind, "at": str(request.getfixturevalue("tmp_path") / "cache.db")}
        if kind == "postgres":
            return {
                "kind": kind,
                "at": request.getfixturevalue("postgres_url"),
                "table": request.getfixturevalue("table"),
            }
        prefix = request.getfixturevalue("new_prefix")()
        return {"kind": kind, "at": request.getfixturevalue(f"{kind}_url"), "prefix": prefix}

    return at


@pytest.fixture(params=BACKENDS)
def where(request: pytest.FixtureRequest, backend: Callable[[str], Where]) -> Where:
    """Each backend that processes share."""
    return backend(request.param)


@pytest.fixture(scope="module")
def eight() -> Iterator[Team]:
    """Eight processes that the tests of a module use one after the other."""
    with team_of(8) as team:
        yield team


@pytest.fixture(scope="module")
def four() -> Iterator[Team]:
    """Four of them, where no more have a part of their own. Each has to import what its backends need."""
    with team_of(4) as team:
        yield team


@pytest.fixture(params=["sqlite", "tiered"])
def moving(
    request: pytest.FixtureRequest, backend: Callable[[str], dict[str, Any]], tmp_path: Path
) -> tuple[dict[str, Any], Callable[[float], None]]:
    """A backend whose clock stands, for all processes, at what a file says; and what sets that."""
    clock = tmp_path / "clock"

    def set_to(now: float) -> None:
        new = tmp_path / "clock.new"
        new.write_text(repr(now))
        new.rename(clock)

    set_to(START)
    return {**backend(request.param), "clock": str(clock)}, set_to
