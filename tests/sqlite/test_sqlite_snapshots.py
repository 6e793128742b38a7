"""Read transactions that outlive a read: never stale, never in the way of the -wal file."""

import ctypes
import gc
import os
import subprocess
import sys
import threading
import time

import apsw
import pytest

from hitrate import SqliteCache
from hitrate.stores.sqlite import connections, snapshots

KEY = (("ns",), "key")

CHILD = """
import sys, time
from hitrate import SqliteCache
cache = SqliteCache(path=sys.argv[1])
number, until = 0, time.monotonic() + float(sys.argv[3])
while time.monotonic() < until:
    number += 1
    if sys.argv[2] == "write":
        cache.set({(("ns",), str(number % 500)): ("x" * 3000 + str(number), None)})
    else:
        cache.get([(("ns",), str(number % 500))])
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "cache.db"


@pytest.fixture
def cache(path):
    with SqliteCache(path=path, near_bytes=0) as cache:  # which would answer in the file's place
        yield cache


@pytest.fixture
def no_ender(monkeypatch):
    """Transactions end by what follows them alone: the thread that ends them has not woken up yet."""
    monkeypatch.setattr(connections, "_TICK_SECONDS", 3600.0)


def read_in_a_row(cache, keys=(KEY,)):
    for _ in range(100):
        found = cache.get(list(keys))
    assert open_transactions(cache) == 1
    return found


def open_transactions(cache):
    return sum(handle.snapshot.header is not None for handle in cache._store._connections.idle)


def test_reads_in_a_row_share_a_transaction_and_a_read_alone_has_its_own(cache, no_ender):
    cache.set({KEY: (1, None)})
    cache.get([KEY])
    assert open_transactions(cache) == 0
    assert read_in_a_row(cache) == {KEY: 1}


def test_what_another_cache_writes_is_read_at_once(cache, path, no_ender):
    other = (("other",), "key")
    with SqliteCache(path=path) as writer:
        for number in range(20):
            assert read_in_a_row(cache, [KEY, other]) == ({KEY: number - 1, other: number - 1} if number else {})
            writer.set({KEY: (number, None), other: (number, None)})
        read_in_a_row(cache, [KEY, other])
        writer.delete([other])
        assert cache.get([KEY, other]) == {KEY: 19}
        read_in_a_row(cache)
        writer.clear([KEY[0]])
        assert cache.get([KEY]) == {}


def test_what_another_process_writes_is_read_at_once(cache, path, no_ender):
    read_in_a_row(cache)
    code = (
        "import sys; from hitrate import SqliteCache; SqliteCache(path=sys.argv[1]).set({(('ns',), 'key'): (7, None)})"
    )
    subprocess.run([sys.executable, "-c", code, path], check=True)
    assert cache.get([KEY]) == {KEY: 7}


def test_what_anything_else_writes_is_read_at_once(cache, path, no_ender):
    cache.set({KEY: (1, None)})
    read_in_a_row(cache)
    con = apsw.Connection(str(path))
    con.execute("DELETE FROM hitrate_entries")
    con.close()
    assert cache.get([KEY]) == {}


def test_a_write_by_the_connection_that_reads_ends_its_transaction(cache, no_ender):
    for number in range(5):
        cache.set({KEY: (number, None)})
        assert read_in_a_row(cache) == {KEY: number}


def test_threads_see_their_own_and_each_others_writes(cache):
    failed = []

    def count(name):
        key = (("counts",), name)
        for number in range(500):
            cache.set({key: (number, None)})
            for _ in range(3):
                if cache.get([key]) != {key: number}:
                    failed.append((name, number))

    threads = [threading.Thread(target=count, args=[str(number)]) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []


def test_an_idle_transaction_is_ended_and_then_the_thread(cache, monkeypatch):
    monkeypatch.setattr(connections, "_TICK_SECONDS", 0.01)
    for _ in range(100):
        cache.get([KEY])
    deadline = time.monotonic() + 60
    while open_transactions(cache) or cache._store._connections.closer.runs:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_transaction_that_is_in_use_when_the_thread_looks_is_ended_once_it_is_idle(cache, monkeypatch):
    monkeypatch.setattr(connections, "_TICK_SECONDS", 3600.0)
    read_in_a_row(cache)
    pool = cache._store._connections
    handle = pool.idle.pop()
    assert pool.end_snapshots(), "it is to look again"
    pool.idle.append(handle)
    assert pool.end_snapshots()
    assert open_transactions(cache) == 0
    assert not pool.end_snapshots()


def test_a_fork_amid_reads_in_a_row_leaves_both_sides_reading(cache, no_ender):
    cache.set({KEY: (1, None)})
    read_in_a_row(cache)
    child = os.fork()
    if child == 0:
        good = read_in_a_row(cache) == {KEY: 1}
        cache.set({KEY: (2, None)})
        os._exit(0 if good and cache.get([KEY]) == {KEY: 2} else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert cache.get([KEY]) == {KEY: 2}


def test_the_wal_file_stays_bounded_while_other_processes_read_and_idle(cache, path):
    """Writers and readers at full speed, and this process with a transaction open between bursts of reads."""
    command = [sys.executable, "-c", CHILD, path]
    children = [subprocess.Popen([*command, what, "4"]) for what in ("write", "read", "read")]
    longest = 0
    while any(child.poll() is None for child in children):
        for _ in range(100):
            cache.get([KEY])
        longest = max(longest, os.path.getsize(f"{path}-wal"))
        time.sleep(0.02)
    assert [child.returncode for child in children] == [0, 0, 0]
    assert longest < 250e6


def test_without_the_wal_index_every_read_has_its_own_transaction(path, monkeypatch):
    monkeypatch.setattr("hitrate.stores.sqlite.connections.wal_index", lambda path: None)
    with SqliteCache(path=path) as cache:
        cache.set({KEY: (1, None)})
        assert [cache.get([KEY]) for _ in range(100)] == [{KEY: 1}] * 100
        assert open_transactions(cache) == 0


def test_a_wal_index_is_out_of_reach_before_it_is_unmapped(path, monkeypatch):
    """Another thread that was handed it meanwhile would read what is not there, which ends the process."""
    path.write_bytes(bytes(4096))
    inode = (path.stat().st_dev, path.stat().st_ino)
    handed_out = []
    system = ctypes.CDLL(None, use_errno=True)

    class Looking:
        mmap = system.mmap

        class munmap:  # a function of C, which takes its types as attributes
            argtypes = None

            def __new__(cls, address, length):
                handed_out.append(snapshots._mapped.get(inode))
                return system.munmap(ctypes.c_void_p(address), ctypes.c_size_t(length))

    monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: Looking)
    with path.open("rb") as file:
        snapshots._mapped[inode] = snapshots.WalIndex(file.fileno())
        gc.collect()
    assert handed_out == [None]
