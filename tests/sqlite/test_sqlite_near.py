"""The near tier of a file: it answers hits that repeat, is never stale, stays small, sleeps where it does not pay."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import mmap
import os
import random
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import apsw
import pytest

from bad_days.test_interrupts import Interrupts
from hitrate import ClosedError, SqliteCache
from hitrate.entry import Entry
from hitrate.keys import EncodedKey
from hitrate.stores.sqlite import clearing, connections, near, snapshots
from hitrate.stores.sqlite.near import Near
from hitrate.testing import Clock

A, B, C = (("ns",), "a"), (("ns",), "b"), (("other",), "c")

WRITER = """
import ctypes, mmap, random, sys
from hitrate import SqliteCache

path, shared, seed = sys.argv[1:]
with open(shared, "r+b") as file:
    written, read, stopped = (ctypes.c_uint64 * 3).from_buffer(mmap.mmap(file.fileno(), 24)), 0, 0
keys = [(("ns",), "a"), (("ns",), "b")]
chance = random.Random(int(seed))
cache = SqliteCache(path=path, on_error="raise")
number = written[0]
while not written[2]:
    number += 1
    cache.set({key: (number, chance.choice([None, 600])) for key in keys})
    written[0] = number  # it is acknowledged
    # Mostly at full speed; now and then so slowly that readers make copies.
    until = written[1] + chance.choice([0, 0, 0, 0, 1, 10, 300])
    while written[1] < until and not written[2]:
        pass
cache.close()
"""


class Counted(SqliteCache[Any]):
    """Counts the reads of the file."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.reads = 0
        self.stats_then = self.stats()
        store: Any = self._store
        get = store._get

        def count(keys: Any) -> Any:
            self.reads += 1
            return get(keys)

        store._get = count

    @property
    def near(self) -> Near:
        tier: Near = self._store.near  # type: ignore[attr-defined]
        return tier


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cache.db"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(autouse=True)
def seldom_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """No read goes to the file to see whether it is still the one at the path."""
    monkeypatch.setattr(snapshots, "_LOOK_SECONDS", 3600.0)


@pytest.fixture
def cache(path: Path, clock: Clock) -> Iterator[Counted]:
    with Counted(path=path, clock=clock, on_error="raise") as cache:
        yield cache


def warm(cache: Any, *keys: Any) -> None:
    """Read until the next reads need no file."""
    for _ in range(40):
        cache.get(list(keys))
    deadline = time.monotonic() + 60
    while not near_alone(cache, *keys):  # the housekeeping may have been in the midst of a change
        assert time.monotonic() < deadline, "the tier does not answer"


def near_alone(cache: Any, *keys: Any) -> Any:
    """Return what is found if no read of the file is needed for it, else None."""
    before = cache.reads
    found = cache.get(list(keys))
    return found if cache.reads == before else None


def test_hits_that_repeat_need_no_file(cache: Counted) -> None:
    cache.set({A: ([1], None), B: ([2], 60)})
    warm(cache, A, B)
    assert near_alone(cache, A) == {A: [1]}
    assert near_alone(cache, B, A, B) == {B: [2], A: [1]}
    assert near_alone(cache, A)[A] is not near_alone(cache, A)[A], "each hit has a value of its own"
    before = cache.stats().hits
    cache.get([A])
    cache.get([A, B])
    assert cache.stats().hits == before + 3


def test_a_batch_is_what_the_file_has_however_many_of_its_keys_have_copies(path: Path, clock: Clock) -> None:
    expired, absent = (("ns",), "expired"), (("ns",), "absent")

    def counted(cache: Any) -> Any:
        return {name: (stats.hits, stats.misses) for name, stats in cache.stats(by="namespace").items()}

    with Counted(path=path, clock=clock) as near, SqliteCache[Any](path=path, clock=clock, near_bytes=0) as plain:
        near.set({A: ([1], None), B: (b"2", 60), C: (None, None), expired: (4, 1)})
        warm(near, A, B, C, expired)
        warmed_up = counted(near)
        clock.advance(5)
        for keys in product([A, B, C, expired, absent], repeat=3):
            for kind in (list, tuple):
                found, expected = near.get(kind(keys)), plain.get(kind(keys))
                assert [*found.items()] == [*expected.items()]
        for name, (hits, misses) in counted(plain).items():
            assert counted(near)[name] == (hits + warmed_up[name][0], misses + warmed_up[name][1])


@pytest.mark.parametrize(
    "wrong",
    [
        [(None, "a"), A],
        [A, (None, "a")],
        [A, (("ns",), 1)],
        [A, "ab"],
        [A, ["ns", "b"]],
        (A, (["ns"], "b")),
        [A, (*B, 1)],
    ],
)
def test_a_wrong_key_in_a_batch_is_refused_where_the_others_have_copies(cache: Counted, wrong: Any) -> None:
    cache.set({A: (1, None), ((), "a"): (2, None)})
    warm(cache, A, ((), "a"))
    hits = cache.stats().hits
    with pytest.raises(TypeError):
        cache.get(wrong)
    assert cache.stats().hits == hits


def test_an_awaited_hit_needs_no_file_either(cache: Counted) -> None:
    cache.set({A: ([1], None)})
    warm(cache, A)
    reads = cache.reads
    assert asyncio.run(cache.aget([A])) == {A: [1]}
    assert cache.reads == reads


def test_it_is_off_where_it_is_not_wanted(path: Path) -> None:
    with Counted(path=path, near_bytes=0) as cache:
        cache.set({A: (1, None)})
        for _ in range(2000):
            cache.get([A])
        assert cache.reads == 2000


@pytest.mark.parametrize(("given", "error"), [(-1, ValueError), (None, TypeError), (1.5, TypeError), (True, TypeError)])
def test_its_size_is_an_int_of_0_or_more(path: Path, given: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="near_bytes"):
        SqliteCache(path=path, near_bytes=given)
    assert not path.exists()


def test_it_is_off_in_memory_and_where_the_wal_index_cannot_be_seen(path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(connections, "wal_index", lambda path: None)
    for where in (":memory:", path):
        with Counted(path=where) as cache:
            cache.set({A: (1, None)})
            for _ in range(100):
                assert cache.get([A]) == {A: 1}
            assert cache.reads == 100 or where == ":memory:"
            assert not cache.near.awake


# What this cache changes


def test_own_writes_drop_their_keys_alone(cache: Counted) -> None:
    cache.set({A: (1, None), B: (1, None), C: (1, None)})
    warm(cache, A, B, C)
    cache.set({A: (2, None)})
    assert near_alone(cache, B, C) == {B: 1, C: 1}
    assert near_alone(cache, A) is None
    assert cache.get([A]) == {A: 2}
    assert near_alone(cache, A) == {A: 2}
    cache.set({B: (3, None), C: (3, 60)})
    assert near_alone(cache, A) == {A: 2}
    assert cache.get([A, B, C]) == {A: 2, B: 3, C: 3}


@pytest.mark.parametrize(
    "change",
    [
        lambda cache: cache.delete([A]),
        lambda cache: cache.set({A: (2, 0)}),
        lambda cache: cache.clear([A[0]]),
        lambda cache: cache.clear(),
        lambda cache: cache.clear_under(("ns",)),
        lambda cache: cache.clear_under(()),
    ],
    ids=["delete", "ttl 0", "clear one", "clear all", "clear under", "clear under all"],
)
def test_what_is_removed_is_gone(cache: Counted, change: Callable[[Any], Any]) -> None:
    cache.set({A: (1, None), B: (1, None)})
    warm(cache, A, B)
    change(cache)
    assert cache.get([A]) == {}
    cache.set({A: (3, None)})
    warm(cache, A)
    assert cache.get([A]) == {A: 3}


def test_expiry_is_by_the_clock_at_each_hit(cache: Counted, clock: Clock) -> None:
    cache.set({A: (1, 60), B: (1, None)})
    warm(cache, A, B)
    clock.advance(59.9)
    assert near_alone(cache, A) == near_alone(cache, A, A) == {A: 1}
    clock.advance(0.2)
    assert cache.get([A]) == {}
    assert cache.get([A, B]) == {B: 1}
    clock.advance(-1)
    assert cache.get([A]) == {A: 1}, "the file holds it still"


def test_what_was_purged_does_not_come_back_when_the_clock_is_set_back(cache: Counted, clock: Clock) -> None:
    cache.set({A: (1, 60), B: (1, None)})
    warm(cache, A, B)
    clock.advance(61)
    cache._store._housekeeper.step()  # type: ignore[attr-defined]  # removes the row
    clock.advance(-61)
    assert cache.get([A]) == {}
    assert near_alone(cache, B) == {B: 1}


@pytest.mark.parametrize("at_once", [1, 4])
def test_what_the_tier_answered_counts_as_read_for_eviction(path: Path, at_once: int) -> None:
    keys = [(("ns",), str(number)) for number in range(64)]
    with Counted(path=path, max_entries=64) as cache:
        cache.set(dict.fromkeys(keys, (1, None)))
        hot = keys[:8]
        warm(cache, *hot)
        for number in range(500):
            for start in range(0, 8, at_once):
                found = cache.get(hot[start : start + at_once])
                assert len(found) == at_once, f"what is read again and again was evicted after {number}"
            new = (("new",), str(number))
            cache.set({new: (1, None)})
            cache.get([new])  # so that the hand does not stay with the newest
        assert cache.stats().evictions >= 500
        assert cache.reads < 700, "the hits were to be the tier's"


@pytest.mark.parametrize("at_once", [1, 7])
def test_what_was_evicted_is_a_miss(path: Path, at_once: int) -> None:
    keys = [(("ns",), str(number)) for number in range(64)]
    with Counted(path=path, max_entries=64) as cache:
        cache.set(dict.fromkeys(keys, (1, None)))
        warm(cache, *keys)
        for start in range(0, 42, at_once):
            cache.set({(("new",), str(start + more)): (1, None) for more in range(at_once)})
            listed = {entry.key for entry in cache.entries(("ns",))}
            answered = [key for key in keys if cache.get([key])]  # by the tier, those that it has
            assert {key for _, key in answered} == listed
            assert {key for _, key in cache.get(keys)} == listed
            cache.get(keys[::2])
        assert len(listed) < 64


def test_a_change_that_is_rolled_back_changes_nothing(cache: Counted) -> None:
    cache.set({A: (1, None)})
    warm(cache, A)
    store: Any = cache._store
    with pytest.raises(ZeroDivisionError):
        store._database.transact(lambda transaction: clearing.clear(transaction, None) or 1 / 0)
    assert cache.get([A]) == {A: 1}
    warm(cache, A)


def test_a_checkpoint_and_a_log_that_begins_anew_change_nothing(cache: Counted) -> None:
    cache.set({A: (1, None)})
    warm(cache, A)
    store: Any = cache._store
    store._housekeeper.fold()
    assert near_alone(cache, A) == {A: 1}
    for number in range(20):
        cache.set({A: (number, None)})
        assert cache.get([A]) == {A: number}
        store._housekeeper.fold()
        assert near_alone(cache, A) == {A: number}


def test_threads_see_what_any_of_them_has_set(cache: Counted) -> None:
    """Each writes keys of its own and raises what is acknowledged; all read them all."""
    keys = [(("ns",), str(number)) for number in range(4)]
    acknowledged = [0] * len(keys)
    cache.set(dict.fromkeys(keys, (0, None)))
    stale: list[Any] = []
    hits_near: list[int] = []
    stop = threading.Event()

    def write(place: int) -> None:
        for number in range(1, 400):
            cache.set({keys[place]: (number, None)})
            acknowledged[place] = number
            if number % 7 == 0:
                cache.delete([keys[place]])
                if cache.get([keys[place]]):
                    stale.append("deleted")
                cache.set({keys[place]: (number, None)})

    def read(seed: int) -> None:
        chance = random.Random(seed)
        while not stop.is_set():
            asked = chance.sample(range(len(keys)), chance.choice([1, 1, 1, 2, 4]))
            least = [acknowledged[place] for place in asked]
            found = cache.get([keys[place] for place in asked])
            for place, number in zip(asked, least, strict=True):
                value = found.get(keys[place])
                if value is not None and value < number:
                    stale.append((place, number, value))
        hits_near.append(cache.reads)

    readers = [threading.Thread(target=read, args=[seed]) for seed in range(3)]
    writers = [threading.Thread(target=write, args=[place]) for place in range(2)]
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        for thread in [*readers, *writers]:
            thread.start()
        for thread in writers:
            thread.join()
    finally:
        stop.set()
        sys.setswitchinterval(before)
        for thread in readers:
            thread.join()
    assert stale == []
    assert cache.reads < cache.stats().hits


# What others change


def test_what_another_cache_commits_is_seen_at_once(cache: Counted, path: Path) -> None:
    with SqliteCache[Any](path=path, clock=cache._clock) as other:
        for number in range(20):
            other.set({A: (number, None), B: (number, None)})
            for _ in range(200):
                assert cache.get([A]) == {A: number}
            assert cache.get([A, B]) == {A: number, B: number}
            if number % 2:
                cache.set({B: (-number, None)})  # an own commit between those of others
                assert cache.get([B]) == other.get([B]) == {B: -number}
        other.delete([A])
        assert cache.get([A]) == {}
        other.clear()
        assert cache.get([B]) == {}


def test_own_commits_beside_unknown_ones_do_not_pass_for_all(cache: Counted, path: Path) -> None:
    cache.set({A: (1, None), B: (1, None)})
    warm(cache, A, B)
    with SqliteCache[Any](path=path) as other:
        other.set({A: (2, None)})
        cache.set({B: (2, None)})  # this commit is known, the one before is not
        assert cache.get([A]) == {A: 2}
        assert cache.get([A, B]) == {A: 2, B: 2}
        warm(cache, A, B)
        cache.set({B: (3, None)})
        other.set({A: (3, None)})
        assert cache.get([A]) == {A: 3}
        assert cache.get([A, B]) == {A: 3, B: 3}


def test_a_set_that_changes_no_byte_is_no_commit(cache: Counted, path: Path) -> None:
    """At one moment of the clock: the number stays, and the next commit of another process is the one to follow it."""
    with SqliteCache[Any](path=path, clock=cache._clock) as other:
        for change in ({B: (1, None)}, {B: (1, None), C: (1, None)}):
            cache.set({A: (1, None), B: (1, None), C: (1, None)})
            warm(cache, A)
            cache.set(change)
            other.set({A: (2, None)})
            assert cache.get([A]) == {A: 2}


def test_nor_is_it_one_for_what_is_known_of_the_totals(path: Path, clock: Clock) -> None:
    with SqliteCache[Any](path=path, clock=clock) as cache, SqliteCache[Any](path=path, clock=clock) as other:
        for _ in range(3):
            cache.set({A: (1, None)})
        other.set({B: (1, None)})
        cache.set({(("ns",), "c"): (1, None)})
        assert cache.stats().entries == 3


@pytest.mark.parametrize("change", [{B: (2, None)}, {B: (2, None), C: (2, None)}], ids=["one", "batch"])
def test_nor_do_those_that_come_before_ours_is_told(
    cache: Counted, path: Path, change: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.set({A: (1, None), B: (1, None)})
    warm(cache, A, B)
    committed = cache.near.committed
    with SqliteCache[Any](path=path, clock=cache._clock) as other:

        def tell(*arguments: Any) -> None:
            other.set({A: (2, None)})
            committed(*arguments)

        monkeypatch.setattr(cache.near, "committed", tell)
        cache.set(change)
        assert cache.get([A]) == {A: 2}
        assert cache.get([B]) == {B: 2}


def test_what_any_program_commits_is_seen(cache: Counted, path: Path) -> None:
    cache.set({A: (1, None)})
    warm(cache, A)
    con = apsw.Connection(str(path))
    con.set_busy_timeout(10_000)
    con.execute("DELETE FROM hitrate_entries")
    con.close()
    assert cache.get([A]) == {}


def read_beside_a_writer(folder: Path, seed: int, seconds: float) -> tuple[list[str], int, Counted]:
    """Have a real process write two keys in a batch, at full speed and in steps; read them on threads of this one.

    Returns:
        What was read and should not have been, how many batches were acknowledged, and the cache, which is closed.
    """
    path, shared = folder / "written.db", folder / "shared"
    shared.write_bytes(bytes(24))
    with shared.open("r+b") as file:
        written = (ctypes.c_uint64 * 3).from_buffer(mmap.mmap(file.fileno(), 24))
    wrong: list[str] = []
    with Counted(path=path, on_error="raise") as cache:
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path), str(shared), str(seed)])
        deadline = time.monotonic() + 60
        while not written[0] and time.monotonic() < deadline and writer.poll() is None:
            time.sleep(0.01)
        end = time.monotonic() + seconds

        def read(keys: list[Any]) -> None:
            newest = 0
            while time.monotonic() < end and len(wrong) < 10:
                least = max(written[0], newest)
                values = set(cache.get(keys).values())
                if len(values) > 1:
                    wrong.append(f"half of a batch: {values}")
                elif least and (not values or min(values) < least):
                    wrong.append(f"{values or 'nothing'} was read after {least} was acknowledged")
                newest = max(values, default=newest)
                written[1] += 1

        threads = [threading.Thread(target=read, args=[keys]) for keys in ([A, B], [A], [B])]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        written[2] = 1
        if writer.wait(30) != 0:
            wrong.append(f"the writer ended with {writer.returncode}")
        last: int = written[0]
        if cache.get([A, B]) != {A: last, B: last}:
            wrong.append(f"the last value, {last}, is not there")
        cache.stats_then = cache.stats()
    return wrong, last, cache


@pytest.mark.parametrize("seed", range(2))
def test_no_read_is_older_than_what_another_process_has_acknowledged(tmp_path: Path, seed: int) -> None:
    wrong, written, cache = read_beside_a_writer(tmp_path, seed, 4.0)
    assert wrong == []
    assert written > 20
    assert cache.reads < cache.stats_then.hits, "the tier was asleep all the time: nothing was tried"


def test_a_file_that_was_replaced_is_not_answered_for(path: Path, tmp_path: Path, monkeypatch: Any) -> None:
    with SqliteCache[Any](path=tmp_path / "next.db") as following:
        following.set({A: ("new", None)})
    with Counted(path=path) as cache:
        cache.set({A: ("old", None)})
        warm(cache, A)
        monkeypatch.setattr(snapshots, "_LOOK_SECONDS", 0.0)
        cache.near._look_at = 0.0  # the time to look has come
        for suffix in ("-wal", "-shm"):
            path.with_name(path.name + suffix).unlink()
        os.replace(tmp_path / "next.db", path)
        deadline = time.monotonic() + 60
        while (found := cache.get([A])) != {A: "new"}:
            assert found == {}, "it was seen to be replaced"
            assert time.monotonic() < deadline


def test_the_look_at_the_path_comes_by_itself(path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(snapshots, "_LOOK_SECONDS", 0.1)
    with Counted(path=path) as cache:
        cache.set({A: ("old", None)})
        warm(cache, A)
        path.unlink()
        deadline = time.monotonic() + 60
        while cache.get([A]):
            assert time.monotonic() < deadline


def test_once_closed_it_answers_nothing(cache: Counted) -> None:
    cache.set({A: (1, None)})
    warm(cache, A)
    cache.close()
    with pytest.raises(ClosedError):
        cache.get([A])


def test_no_copy_outlives_the_connections_that_see_the_commits(cache: Counted, path: Path) -> None:
    cache.set({A: (1, None)})
    warm(cache, A)
    store: Any = cache._store
    while store._connections.idle:
        store._connections.discard(store._connections.idle.pop())
    # The last connection took the wal-index with it: what counts now is another one.
    with SqliteCache[Any](path=path, clock=cache._clock) as other:
        other.set({A: (2, None)})
        assert cache.get([A]) == {A: 2}


def test_nor_one_that_is_let_go_of(cache: Counted, path: Path) -> None:
    cache.set({A: (1, None)})
    warm(cache, A)
    store: Any = cache._store
    store._connections.idle.clear()  # as an interrupt between two lines may leave it
    gc.collect()
    with SqliteCache[Any](path=path, clock=cache._clock) as other:
        other.set({A: (2, None)})
        assert cache.get([A]) == {A: 2}


def test_both_sides_of_a_fork_go_on_by_themselves(cache: Counted) -> None:
    cache.set({A: (1, None)})
    warm(cache, A)
    child = os.fork()
    if child == 0:
        good = cache.get([A]) == {A: 1}
        cache.set({A: (2, None)})
        os._exit(0 if good and cache.get([A]) == {A: 2} else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert cache.get([A]) == {A: 2}
    warm(cache, A)


def test_a_file_that_is_read_only_has_it_while_a_writer_is_there(path: Path) -> None:
    with SqliteCache[Any](path=path) as writer:
        writer.set({A: (1, None)})
        with Counted(path=path, read_only=True) as cache:
            warm(cache, A)
            for number in range(5):
                writer.set({A: (number, None)})
                assert cache.get([A]) == {A: number}


def test_an_entry_that_is_damaged_in_the_file_gives_no_copy(cache: Counted, path: Path) -> None:
    with SqliteCache[Any](path=path, clock=cache._clock) as cache:
        cache.set({A: ("value", None)})
        for _ in range(40):
            cache.get([A])
        con = apsw.Connection(str(path))
        con.set_busy_timeout(10_000)
        con.execute("UPDATE hitrate_entries SET payload = CAST('valuf' AS BLOB)")
        con.close()
        for _ in range(400):
            assert cache.get([A]) == {}


# What comes in between


HITRATE = str(Path(near.__file__).parents[2])


@pytest.mark.parametrize(
    "change",
    [
        lambda cache: cache.set({A: ("new", None)}),
        lambda cache: cache.set({A: ("new", None), B: ("new", None)}),
        lambda cache: cache.delete([A]),
        lambda cache: cache.clear([A[0]]),
        lambda cache: cache.get([A, B]),
    ],
    ids=["set", "batch", "delete", "clear", "get"],
)
def test_a_change_that_is_interrupted_at_any_line_leaves_no_stale_copy(
    cache: Counted, path: Path, change: Callable[[Any], Any]
) -> None:
    with SqliteCache[Any](path=path, near_bytes=0, clock=cache._clock) as bare:
        interrupts = Interrupts()
        again = True
        while again:
            cache.set({A: ("old", None), B: ("old", None)})
            cache.near.awake = True  # where it was in vain too often, it would sleep
            for _ in range(3):
                cache.get([A, B])
            again = interrupts.at_next(lambda: change(cache))
            for keys in ([A], [B], [A, B]):
                assert cache.get(keys) == bare.get(keys), interrupts.place


@pytest.mark.parametrize("from_file", [False, True])
@pytest.mark.parametrize("read", [[A], [A, B]], ids=["one", "both"])
def test_a_set_that_comes_between_two_lines_of_a_read_is_seen_by_the_next(
    cache: Counted, read: list[Any], from_file: bool
) -> None:
    """As a finaliser or a signal's handler does it, on the reader's own thread; the read sees all of it or nothing."""
    for line in range(1, 300):
        cache.set({A: ((line, "old"), None), B: ((line, "old"), None), C: (0, None)})
        cache.near.awake = True  # where it was in vain too often, it would sleep
        warm(cache, A, B)
        if from_file:
            cache.set({A: ((line, "old"), None)})
        left = line

        def trace(frame: Any, event: str, arg: Any) -> Any:
            nonlocal left
            if not frame.f_code.co_filename.startswith(HITRATE):
                return None
            if event == "line":
                left -= 1
                if left == 0:
                    sys.settrace(None)
                    cache.set({A: ((line, "new"), None), B: ((line, "new"), None)})  # noqa: B023
                    cache.get([B])
            return trace

        sys.settrace(trace)
        try:
            found = cache.get(read)
        finally:
            sys.settrace(None)
        assert len(set(found.values())) == 1, f"half of a batch, line {line}"
        if left > 0:
            break
        assert cache.get([A]) == {A: (line, "new")}, line
        assert cache.get([A, B]) == {A: (line, "new"), B: (line, "new")}, line
    else:
        raise AssertionError("it never came to its end")


# How much it takes, and when it sleeps


def filled(most: int, entries: Iterator[tuple[EncodedKey, Entry]]) -> tuple[Near, int]:
    """Return a tier that was given entries, and the most memory that it took meanwhile."""

    class Index:
        class commits:
            value = 0

    class Snapshot:
        index = Index

        def check(self, now: float) -> float:
            return now + 3600

    tier = Near(most, time.time)
    tier.awake = True
    snapshot: Any = Snapshot()
    tracemalloc.start()
    try:
        took = 0
        for row, (key, entry) in enumerate(entries):
            tier.awake = True
            begun = tier.begin(snapshot, False, 1)
            assert begun is not None
            tier.keep(begun, [key], [entry], [row])
            del key, entry
            took = max(took, tracemalloc.get_traced_memory()[0]) if row % 50 == 0 else took
        return tier, took
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("length", [0, 100, 1000, 20_000, 200_000])
@pytest.mark.parametrize("most", [1 << 20, 8 << 20])
def test_it_takes_no_more_memory_than_it_may(most: int, length: int) -> None:
    count = min(40_000, 3 * most // (length + 300))
    entries = (
        ((b"name" + bytes(10), os.urandom(16).hex().encode()), ("msgpack", os.urandom(length), time.time(), 0.5))
        for _ in range(count)
    )
    _, took = filled(most, entries)
    assert took <= most
    if length * 64 < most:
        assert took > most / 4, "it counts far more than it takes"


def test_of_many_entries_those_that_are_read_stay(path: Path) -> None:
    keys = [(("ns",), str(number)) for number in range(600)]
    with Counted(path=path, near_bytes=200_000) as cache:
        cache.set(dict.fromkeys(keys, ("x" * 1000, None)))
        warm(cache, keys[0])
        for key in keys:
            for _ in range(4):
                assert near_alone(cache, keys[0]) or cache.reads
                cache.get([key])
        assert near_alone(cache, keys[0])
        assert near_alone(cache, keys[1]) is None


def test_it_sleeps_where_nothing_is_read_again(path: Path) -> None:
    keys = [(("ns",), str(number)) for number in range(5000)]
    with Counted(path=path) as cache:
        cache.set(dict.fromkeys(keys, (1, None)))
        awake = 0
        for key in keys:
            cache.get([key])
            awake += cache.near.awake
        assert awake < 1200
        warm_again = keys[:4]
        for number in range(20_000):
            cache.get([warm_again[number % 4]])
        assert near_alone(cache, warm_again[0])


def test_it_sleeps_beside_a_writer_that_writes_more_than_is_read(path: Path) -> None:
    with Counted(path=path) as cache, SqliteCache[Any](path=path) as other:
        awake = 0
        for number in range(3000):
            other.set({A: (number, None)})
            assert cache.get([A]) == {A: number}
            awake += cache.near.awake
        assert awake < 60
        for _ in range(20_000):
            cache.get([A])
        assert near_alone(cache, A)


def asked_of_the_file(cache: Counted) -> list[int]:
    """Return a list that takes how many keys each read of the file asks for."""
    store: Any = cache._store
    get, asked = store._get, list[int]()

    def count(keys: Any) -> Any:
        asked.append(len(keys))
        return get(keys)

    store._get = count
    return asked


def test_of_a_batch_only_what_is_not_known_is_read(cache: Counted, clock: Clock) -> None:
    cache.set({A: ([1], None), B: ([2], 60), C: ([3], None)})
    warm(cache, A, B)
    asked = asked_of_the_file(cache)
    assert cache.get([A, C, B, (("ns",), "none"), C]) == {A: [1], C: [3], B: [2]}
    assert asked == [3]
    before = cache.stats().hits
    clock.advance(61)
    assert cache.get([C, A, B]) == {C: [3], A: [1]}
    assert asked == [3, 1]
    assert cache.stats().hits == before + 2
    assert list(cache.get([B, C, A])) == [C, A], "in the order of the keys"


@pytest.mark.parametrize("own", [True, False])
def test_no_half_of_a_batch_is_put_together(cache: Counted, path: Path, own: bool) -> None:
    """A commit between the look at the copies and the read of the rest has all of them read again."""
    store: Any = cache._store
    cache.set({A: (1, None), B: (1, None)})
    warm(cache, A)
    with SqliteCache[Any](path=path, on_error="raise") as other:
        get, numbers = store._get, iter([2])

        def overtaken(keys: Any) -> Any:
            for number in numbers:
                (cache if own else other).set({A: (number, None), B: (number, None)})
            return get(keys)

        store._get = overtaken
        assert cache.get([A, B]) == {A: 2, B: 2}


def test_it_is_warm_soon_where_batches_are_read(path: Path) -> None:
    keys = [(("ns",), str(number)) for number in range(1000)]
    with Counted(path=path) as cache:
        cache.set(dict.fromkeys(keys, (1, None)))
        dice = random.Random(1)
        for _ in range(600):
            cache.get(dice.sample(keys, 10))
        assert sum(near_alone(cache, *dice.sample(keys, 10)) is not None for _ in range(100)) > 80
