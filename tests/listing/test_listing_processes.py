"""A listing while other processes write, delete, clear and let expire what it shares with them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from bad_days.bad_day_processes import Other
from hitrate import EntryInfo
from listing.listing_children import STAYS, opened

WRITERS = 3
QUIET = {*STAYS[1::2]}
"""Those that nobody overwrites."""


class Writer(Other):
    module = "listing_children"
    folder = str(Path(__file__).parent)


@pytest.fixture(params=["sqlite", "redis", "postgres"])
def place(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Where the cache is that the processes share."""
    if request.param == "sqlite":
        return {"kind": "sqlite", "at": str(request.getfixturevalue("tmp_path") / "cache.db")}
    if request.param == "postgres":
        return {
            "kind": "postgres",
            "at": request.getfixturevalue("postgres_url"),
            "table": request.getfixturevalue("table"),
        }
    prefix = request.getfixturevalue("new_prefix")()
    return {"kind": "redis", "at": request.getfixturevalue("redis_url"), "prefix": prefix}


@pytest.fixture
def cache(place: dict[str, Any]) -> Iterator[Any]:
    """It, with what stays there, while the other processes are at it."""
    with ExitStack() as stack:
        cache = stack.enter_context(opened(**place))
        for start in range(0, len(STAYS), 100):
            cache.set(dict.fromkeys(STAYS[start : start + 100], ("value", None)))
        writers = [Writer("disturb", number, place) for number in range(WRITERS)]
        for writer in writers:
            stack.callback(writer.communicate)
            stack.callback(writer.kill)
        for writer in writers:
            assert writer.line() == "going"
        yield cache
        for writer in writers:
            writer.tell("stop")
        for writer in writers:
            assert int(writer.end()[-1]) >= 12


def test_what_stays_is_listed_once_whatever_others_do(cache: Any) -> None:
    async def listed() -> list[EntryInfo]:
        return [info async for info in cache.aentries()]

    for infos in (list(cache.entries()), asyncio.run(listed())):
        keys = [(info.namespace, info.key) for info in infos]
        assert sorted(key for key in keys if key[0][0] == "stays") == sorted(STAYS)
        assert len(keys) == len(set(keys))
        quiet = [info.created or 0 for info in infos if (info.namespace, info.key) in QUIET]
        assert quiet == sorted(quiet)
    told = {space.namespace: space.entries for space in cache.namespaces(("stays",))}
    assert told == {("stays", str(number)): len(STAYS[number::7]) for number in range(7)}
