"""What caches did in all processes until now: ``stats(lifetime=True)``."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import subprocess
import sys
import time
import weakref
from pathlib import Path
from typing import Any

import apsw
import pytest

import hitrate
from hitrate import CacheStats, InMemoryCache, NamespaceStats, SqliteCache, TieredCache, lifetime
from hitrate.testing import Clock

A, B = ("a",), ("b", "é\ud800")
KEY, OTHER = (A, "k"), (B, "k")


def use(cache: Any, hits: int = 3) -> None:
    cache.get([KEY])
    cache.set({KEY: ("v", None), OTHER: ("w", None)})
    for _ in range(hits):
        cache.get([KEY])


def by_namespace(cache: Any) -> dict[Any, NamespaceStats]:
    told: dict[Any, NamespaceStats] = cache.stats(by="namespace", lifetime=True)
    return told


def counted(stats: CacheStats | NamespaceStats) -> tuple[int, int, int, int]:
    return stats.hits, stats.misses, stats.sets, stats.deletes


def test_what_earlier_caches_did_is_added_up(url: str) -> None:
    for _ in range(2):
        with hitrate.open(url) as cache:
            use(cache)
            cache.delete([KEY, OTHER])
    with hitrate.open(url) as cache:
        use(cache)
        assert counted(cache.stats()) == (3, 1, 2, 0)
        assert counted(cache.stats(lifetime=True)) == (9, 3, 6, 4)
        assert cache.stats(lifetime=True).entries == 2
        told = by_namespace(cache)
        assert {name: counted(each) for name, each in told.items()} == {
            A: (9, 3, 3, 0),
            B: (0, 0, 3, 0),
            None: (0, 0, 0, 4),
        }


def test_the_async_face_tells_as_it_closes(url: str) -> None:
    async def run() -> None:
        async with hitrate.open(url) as cache:
            await cache.aset({KEY: ("v", None)})
            await cache.aget([KEY])

    asyncio.run(run())
    with hitrate.open(url) as cache:
        assert counted(by_namespace(cache)[A]) == (1, 0, 1, 0)


def test_seconds_and_tokens_are_kept_by_namespace_and_model(tmp_path: Path) -> None:
    clock = Clock()
    path = tmp_path / "c.db"
    for _ in range(2):
        with SqliteCache(path=path, clock=clock) as cache:
            cache.delete([KEY])
            cache.get([KEY])
            clock.advance(1.5)
            cache.set({KEY: ("v", None)})
            cache.get([KEY])
            cache._counters.ledger.account(A, "mödel:1").hit(1.0, 10, 20, 0.0)
    with SqliteCache(path=path) as cache:
        told = by_namespace(cache)[A]
        assert told.seconds_saved == 3.0
        assert told.tokens_saved == {"mödel:1": {"input": 20, "output": 40}}
        assert cache.stats(lifetime=True).tokens_saved == {"mödel:1": {"input": 20, "output": 40}}
        assert cache.stats(lifetime=True).seconds_saved == 3.0


def test_evictions_and_errors_are_added_up(tmp_path: Path) -> None:
    path = tmp_path / "c.db"
    evictions = []
    for _ in range(2):
        with SqliteCache(path=path, max_entries=5) as cache:
            for number in range(20):
                cache.set({(A, str(number)): (number, None)})
            evictions.append(cache.stats().evictions)
    with SqliteCache(path=path) as cache:
        assert cache.stats(lifetime=True).evictions == sum(evictions) > 0


def test_a_clear_leaves_what_was_saved(url: str) -> None:
    with hitrate.open(url) as cache:
        use(cache)
        cache.clear()
    with hitrate.open(url) as cache:
        assert cache.stats(lifetime=True).hits == 3


def test_memory_has_one_life() -> None:
    clock = Clock()
    with InMemoryCache(max_entries=4, clock=clock) as cache:
        use(cache)
        for number in range(20):
            cache.set({(A, str(number)): (number, None)})
        assert cache.stats(lifetime=True) == cache.stats()
        assert by_namespace(cache)[A] == cache.stats(by="namespace")[A]


@pytest.mark.parametrize("far", ["memory", "sqlite"])
def test_tiers_count_as_one_cache(far: str, tmp_path: Path) -> None:
    for times in (1, 2):
        last: Any = SqliteCache(path=tmp_path / "c.db") if far == "sqlite" else InMemoryCache()
        with TieredCache(InMemoryCache(serde=last.serde), last) as cache:
            use(cache)
            found = times == 2 and far == "sqlite"
            lives = times if far == "sqlite" else 1
            assert cache.stats().hits == 3 + found
            assert by_namespace(cache)[A].hits == 3 * lives + (lives - 1)


def test_a_cache_that_is_only_looked_at_writes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "c.db"
    SqliteCache(path=path).close()
    before = path.read_bytes()
    with SqliteCache(path=path) as cache:
        assert cache.stats(lifetime=True).hits == 0
        assert list(cache.entries()) == []
    assert path.read_bytes() == before
    con = apsw.Connection(str(path))
    assert "counts_of_hitrate" not in [name for (name,) in con.execute("SELECT name FROM sqlite_schema")]
    con.close()


def test_read_only_reads_what_others_did(tmp_path: Path) -> None:
    path = tmp_path / "c.db"
    with SqliteCache(path=path) as cache:
        use(cache)
    with SqliteCache(path=path, read_only=True) as cache:
        cache.get([KEY])
        assert cache.stats(lifetime=True).hits == 4
    with SqliteCache(path=path, read_only=True) as cache:
        assert cache.stats(lifetime=True).hits == 3


def test_rows_written_by_hand_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "c.db"
    with SqliteCache(path=path) as cache:
        use(cache)
    con = apsw.Connection(str(path))
    con.set_busy_timeout(10_000)
    con.execute("INSERT INTO counts_of_hitrate VALUES (x'ffffffffffffffffffffff', x'68697473', 2.0)")
    con.execute("INSERT INTO counts_of_hitrate VALUES (x'05', x'68697473', 4.0), (x'', x'68697473', 9e999)")
    con.execute("INSERT INTO counts_of_hitrate VALUES (x'', x'6e6f6e65', 1.0), (x'', x'746f6b656e73', 1.0)")
    con.close()
    with SqliteCache(path=path) as cache:
        assert cache.stats(lifetime=True).hits == 9
        told = {name: counted(each) for name, each in by_namespace(cache).items()}
        assert told == {A: (3, 1, 1, 0), B: (0, 0, 1, 0), None: (6, 0, 0, 0)}


_KILLED = """
import os, signal, sys, time
from hitrate import lifetime, SqliteCache
lifetime.SECONDS_BETWEEN_STEPS = 0.05
cache = SqliteCache(path=sys.argv[1])
cache.set({(("a",), "k"): ("v", None)})
for _ in range(5):
    cache.get([(("a",), "k")])
deadline = time.monotonic() + 20
while cache._store.read_counts().get((b"\\x01a", "hits"), 0) < 5 and time.monotonic() < deadline:
    time.sleep(0.01)
print("told", flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""

_ENDS = """
import sys
from hitrate import SqliteCache
cache = SqliteCache(path=sys.argv[1])
cache.set({(("a",), "k"): ("v", None)})
for _ in range(5):
    cache.get([(("a",), "k")])
"""


@pytest.mark.parametrize(("program", "code"), [(_KILLED, -signal.SIGKILL), (_ENDS, 0)], ids=["killed", "ends"])
def test_a_process_that_closes_nothing_has_told(program: str, code: int, tmp_path: Path) -> None:
    path = tmp_path / "c.db"
    done = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, text=True, timeout=60)
    assert done.returncode == code, done.stderr
    with SqliteCache(path=path) as cache:
        assert counted(by_namespace(cache)[A]) == (5, 0, 1, 0)


def _in_child(cache: Any) -> None:
    cache.get([KEY])
    cache.close()


def told_until(path: str, hits: int) -> None:
    """Wait until a file was told of so many hits."""
    with SqliteCache(path, read_only=True) as reader:
        deadline = time.monotonic() + 60
        while (told := reader.stats(lifetime=True).hits) < hits:
            assert time.monotonic() < deadline, told
            time.sleep(0.01)  # between two looks at another thread's work
        assert told == hits


@pytest.mark.parametrize("near", ["", "memory:+"])
def test_what_a_cache_counted_that_was_collected_unclosed_is_told_at_once(near: str, tmp_path: Path) -> None:
    for times in (1, 2, 3):
        cache = hitrate.open(f"{near}sqlite:///{tmp_path}/c.db")
        use(cache)
        ref = weakref.ref(cache)
        del cache
        told_until(f"{tmp_path}/c.db", 4 * times - 1)  # the first lookup of the first was a miss
        deadline = time.monotonic() + 60
        while ref() is not None:  # the thread lets go of it when it has told
            assert time.monotonic() < deadline
            time.sleep(0.001)


def test_a_cache_in_a_circle_is_collected_unclosed_without_harm(tmp_path: Path) -> None:
    """What its store stands on may be given up before: it is not used any more."""
    program = f"""if True:
        import gc, hitrate
        for number in range(20):
            cache = hitrate.open({f"sqlite:///{tmp_path}/c.db"!r})
            cache.me = cache
            cache.set({{(("a",), "k"): ("v", None)}})
            cache.get([(("a",), "k")])
            del cache
            gc.collect()
        print("whole")
    """
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=100, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "whole\n", "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_does_not_tell_of_what_its_parent_collected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lifetime, "_start_thread", lambda: None)
    tell_all = lifetime._tell_all
    monkeypatch.setattr(lifetime, "_tell_all", lambda: None)  # a thread that others have started tells nothing either
    cache = SqliteCache(tmp_path / "c.db")
    use(cache)
    del cache
    assert len(lifetime._collected) == 1
    child = os.fork()
    if child == 0:
        os._exit(len(lifetime._collected))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    tell_all()
    assert not lifetime._collected
    told_until(f"{tmp_path}/c.db", 3)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_tells_its_own_and_not_its_parents(tmp_path: Path) -> None:
    path = tmp_path / "c.db"
    with SqliteCache(path=path) as cache:
        use(cache)
        child = multiprocessing.get_context("fork").Process(target=_in_child, args=(cache,))
        child.start()
        child.join(30)
        assert child.exitcode == 0
        cache.get([KEY])
    with SqliteCache(path=path) as cache:
        assert cache.stats(lifetime=True).hits == 5


def test_a_backend_that_takes_none_is_told_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with SqliteCache(path=tmp_path / "c.db") as cache:
        use(cache)
        con = apsw.Connection(str(tmp_path / "c.db"))
        con.set_busy_timeout(10_000)
        con.execute("BEGIN IMMEDIATE")
        cache._lifetime.tell()
        con.execute("ROLLBACK")
        con.close()
        assert cache._store.read_counts() == {}
        cache._lifetime.tell()
        cache._lifetime.tell()
        assert (cache._store.read_counts() or {})[b"\x01a", "hits"] == 3
        assert cache.stats().errors == 0
