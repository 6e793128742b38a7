"""A read of several keys sees each batch whole or not at all, whoever stores or removes it at whichever moment."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from bad_day_children import MEMBERS

import hitrate
from hitrate import InMemoryCache, SqliteCache, TieredCache
from hitrate.stores.memory import dividing
from hitrate.testing.serializers import UndecodableSerializer

HITRATE = str(Path(hitrate.__file__).parent)
COUNTED = (f"{HITRATE}/stores/", f"{HITRATE}/memory.py", f"{HITRATE}/tiered.py")
BELOW = (f"{HITRATE}/stores/sqlite/", f"{HITRATE}/stores/memory/")
DEADLINE = 60.0

KINDS: dict[str, Callable[[Path], Any]] = {
    "memory": lambda path: InMemoryCache(),
    "divided": lambda path: InMemoryCache(),
    "bounded": lambda path: InMemoryCache(max_entries=1000),
    "file": lambda path: SqliteCache(path=path / "cache.db"),
    "tiers": lambda path: TieredCache(InMemoryCache(), SqliteCache(path=path / "cache.db")),
    "three tiers": lambda path: TieredCache(
        InMemoryCache(), SqliteCache(path=path / "mid.db"), SqliteCache(path=path / "cache.db")
    ),
}


@pytest.fixture(params=KINDS)
def cache(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    if request.param == "divided":
        monkeypatch.setattr(dividing, "LARGE", 0)
    with KINDS[request.param](tmp_path) as cache:
        yield cache


def stored(cache: Any, value: Any) -> None:
    cache.set(dict.fromkeys(MEMBERS, (value, None)))


READS: dict[str, Callable[[Any], dict[Any, Any]]] = {
    "get": lambda cache: cache.get(MEMBERS),
    "aget": lambda cache: asyncio.run(cache.aget(MEMBERS)),
    "compute": lambda cache: {
        key: value for key, value in cache.get_or_compute_many(MEMBERS, lambda keys: {}).items() if value is not None
    },
}
CHANGES: dict[str, Callable[[Any], None]] = {
    "set": lambda cache: stored(cache, "new"),
    "set with a TTL": lambda cache: cache.set(dict.fromkeys(MEMBERS, ({"new": 1}, 60))),
    "set and remove": lambda cache: cache.set(
        {key: ("new", None if number % 2 else 0) for number, key in enumerate(MEMBERS)}
    ),
    "delete": lambda cache: cache.delete(MEMBERS),
    "clear": lambda cache: cache.clear(),
}


def at_line(cache: Any, line: int, do: Callable[[], Any], then: Callable[[], Any]) -> tuple[Any, bool]:
    """Call a function, and another one before the nth line of a store that it runs; tell whether it got there.

    A line counts the first two times that it runs, called from the same line: more turns of a loop are like the second.
    What is below tiers is asked at any of its lines as a cache of its own. Of it counts what tiers call, which is to be
    asked before a call, after it, and between its steps.

    Args:
        cache: what is used.
        line: which, from 1 on.
        do: what is called.
        then: what is called before that line.
    """
    left = line
    inner = BELOW if isinstance(cache, TieredCache) else ()
    times: dict[tuple[Any, ...], int] = {}

    def trace(frame: FrameType, event: str, arg: Any) -> Any:
        nonlocal left
        file = frame.f_code.co_filename
        if not file.startswith(HITRATE):
            return None
        caller = frame.f_back
        if event == "line" and file.startswith(COUNTED) and caller is not None:
            if file.startswith(inner) and caller.f_code.co_filename.startswith(inner):
                return trace
            place = frame.f_code, frame.f_lineno, caller.f_code, caller.f_lineno
            times[place] = times.get(place, 0) + 1
            left -= times[place] <= 2
            if left == 0:
                sys.settrace(None)
                then()
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        return do(), left <= 0
    finally:
        sys.settrace(before)


class Elsewhere:
    """Another thread, which does one thing after the other."""

    def __init__(self, do: Callable[[], Any]) -> None:
        self.result: Any = None
        self._thread = threading.Thread(target=self._run, args=[do], daemon=True)
        self._thread.start()

    def _run(self, do: Callable[[], Any]) -> None:
        self.result = do()

    def ended_or_waits(self) -> None:
        """Wait until it has ended; a moment only if it waits for a lock that this very thread has."""
        self._thread.join(0.003)

    def ended(self) -> Any:
        """Wait for it, and return its result."""
        self._thread.join(DEADLINE)
        assert not self._thread.is_alive(), "it hangs"
        return self.result


def begun_old(cache: Any, line: int) -> None:
    """Store an old batch, of which a nearer tier holds all, or all but some."""
    cache.delete(MEMBERS)
    stored(cache, "old")
    if line % 3:
        assert set(cache.get(MEMBERS[line % 3 :]).values()) == {"old"}
        if isinstance(cache, TieredCache):
            for level, tier in enumerate(cache.tiers[:-1]):
                tier.delete(MEMBERS[: line % 3 - level])


@pytest.mark.parametrize(
    ("read", "change"),
    [*(("get", change) for change in CHANGES), *((read, "set and remove") for read in READS if read != "get")],
)
def test_a_batch_is_changed_at_any_line_of_a_read(cache: Any, read: str, change: str) -> None:
    CHANGES[change](cache)
    after = cache.get(MEMBERS)
    line, again = 0, True
    while again:
        line += 1 if isinstance(cache, InMemoryCache) else 2  # with files, each second takes long enough
        begun_old(cache, line)
        others: list[Elsewhere] = []

        def begin() -> None:
            others.append(Elsewhere(lambda: CHANGES[change](cache)))  # noqa: B023
            others[0].ended_or_waits()  # noqa: B023

        counted = cache.stats()
        found, again = at_line(cache, line, lambda: READS[read](cache), begin)
        for other in others:
            other.ended()
        assert found in (dict.fromkeys(MEMBERS, "old"), after), line
        stats = cache.stats()
        assert (stats.hits - counted.hits, stats.misses - counted.misses) == (len(found), len(MEMBERS) - len(found))
    assert line > 10


@pytest.mark.parametrize("change", CHANGES)
def test_a_batch_is_read_at_any_line_of_its_change(cache: Any, change: str) -> None:
    CHANGES[change](cache)
    after = cache.get(MEMBERS)
    line, again = 0, True
    while again:
        line += 1 if isinstance(cache, InMemoryCache) else 2  # with files, each second takes long enough
        begun_old(cache, line)
        others: list[Elsewhere] = []

        def begin() -> None:
            others.append(Elsewhere(lambda: cache.get(MEMBERS)))  # noqa: B023
            others[0].ended_or_waits()  # noqa: B023

        _, again = at_line(cache, line, lambda: CHANGES[change](cache), begin)
        for other in others:
            assert other.ended() in (dict.fromkeys(MEMBERS, "old"), after, {}), line
        assert cache.get(MEMBERS) == after
    assert line > 10


@pytest.mark.parametrize("cache", ["memory", "divided", "bounded"], indirect=True)
@pytest.mark.parametrize("change", CHANGES)
def test_a_signal_handler_reads_a_batch_at_any_line_of_its_change(cache: Any, change: str) -> None:
    """It cannot wait until its own thread has gone on, and finds nothing if it must not see what there is."""
    CHANGES[change](cache)
    after = cache.get(MEMBERS)
    line, again = 0, True
    whole = 0
    while again:
        line += 1
        begun_old(cache, line)
        seen: list[Any] = []
        _, again = at_line(cache, line, lambda: CHANGES[change](cache), lambda: seen.append(cache.get(MEMBERS)))  # noqa: B023
        assert all(found in (dict.fromkeys(MEMBERS, "old"), after, {}) for found in seen), line
        whole += bool(seen and seen[0])
        assert cache.get(MEMBERS) == after
    assert whole > 5


@pytest.mark.parametrize("read", ["get", "aget"])
def test_an_entry_that_is_damaged_is_told_once_though_tiers_are_read_again(tmp_path: Path, read: str) -> None:
    serde = UndecodableSerializer()
    near, far = InMemoryCache[Any](serde=serde), SqliteCache[Any](path=tmp_path / "cache.db", serde=serde)
    with TieredCache(near, far) as cache:
        good, damaged = MEMBERS[:2]
        cache.set({good: ("good", None), damaged: ("undecodable", None)})
        near.delete([damaged])
        before = cache.stats()
        cache._stands = lambda state: False  # type: ignore[method-assign]  # something has changed meanwhile
        found = cache.get([good, damaged]) if read == "get" else asyncio.run(cache.aget([good, damaged]))
        assert found == {good: "good"}
        after = cache.stats()
        assert [getattr(after, name) - getattr(before, name) for name in ("hits", "misses", "errors")] == [1, 1, 1]
