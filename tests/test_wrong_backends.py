"""What a backend does wrong and no result shows is found: to wait on the event loop, and to unpickle."""

from __future__ import annotations

import io
import os
import pickle
import socket
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from hitrate import ComputingCache, InMemoryCache, SqliteCache
from hitrate.serde import default_serializer
from hitrate.stores.memory import MemoryStore
from hitrate.testing import CacheContract
from hitrate.testing.contract.event_loop import CALLS
from hitrate.testing.faces import ASYNC, SYNC, Face

PICKLE = pickle.dumps(("a", b"b"))


class Doing(MemoryStore):
    """Does something besides whenever it is read."""

    def __init__(self, do: Callable[[], object]) -> None:
        super().__init__(max_bytes=None, max_entries=None, clock=time.time)
        self._do = do

    def get(self, keys: Sequence[Any]) -> Any:
        self._do()
        return super().get(keys)

    async def aget(self, keys: Sequence[Any]) -> Any:
        return self.get(keys)


def doing(do: Callable[[], object]) -> Callable[..., Any]:
    return lambda **options: ComputingCache(Doing(do), **options)


def waits_for_a_lock() -> None:
    lock = threading.Lock()
    lock.acquire()
    lock.acquire(timeout=0.03)


def waits_for_an_answer() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.send(b"answer")
        ours.recv(6)


def reads_a_file() -> None:
    Path(__file__).read_bytes()


class ReadsAnOpenFile:
    def __init__(self) -> None:
        self.file = open(__file__, "rb")  # noqa: SIM115

    def __call__(self) -> None:
        self.file.read(1)

    def close(self) -> None:
        self.file.close()


class AsksADatabase:
    def __init__(self) -> None:
        self.database = sqlite3.connect(":memory:")

    def __call__(self) -> None:
        self.database.execute("SELECT 1")

    def close(self) -> None:
        self.database.close()


@pytest.mark.parametrize(
    ("made", "told"),
    [
        (ReadsAnOpenFile, "aget calls `BufferedReader.read` on"),
        (AsksADatabase, "aget calls `Connection.execute` on"),
    ],
)
def test_what_was_opened_before_is_found_to_wait_there(made: Callable[[], Any], told: str) -> None:
    with closing(made()) as do, pytest.raises(AssertionError) as caught:
        CacheContract().test_the_event_loop_goes_on(doing(do), "aget")
    assert str(caught.value).startswith(told)


@pytest.mark.parametrize(
    ("do", "told"),
    [
        (lambda: time.sleep(0), "aget calls `sleep` on the event loop's thread; asyncio.to_thread gives it another"),
        (reads_a_file, "aget calls `open` on"),
        (lambda: os.listdir(), "aget calls `listdir` on"),
        (waits_for_an_answer, "aget calls `socket.send` on"),
        (waits_for_a_lock, "aget holds the event loop up for "),
    ],
    ids=["time", "file", "folder", "socket", "lock"],
)
def test_what_waits_on_the_event_loop_is_found(do: Callable[[], object], told: str) -> None:
    with pytest.raises(AssertionError) as caught:
        CacheContract().test_the_event_loop_goes_on(doing(do), "aget")
    assert str(caught.value).startswith(told)


@pytest.mark.parametrize("call", CALLS)
def test_what_does_not_wait_there_is_none_of_these(tmp_path: Path, call: str) -> None:
    CacheContract().test_the_event_loop_goes_on(InMemoryCache, call)
    with SqliteCache(path=tmp_path / "a.db") as cache:
        CacheContract().test_the_event_loop_goes_on(lambda: cache, call)


class PickleSerializer:
    def dumps_typed(self, obj: Any) -> tuple[str, bytes]:
        return "pickle", pickle.dumps(obj)

    def loads_typed(self, data: tuple[str, bytes]) -> Any:
        return pickle.loads(data[1])


def in_a_thread() -> None:
    thread = threading.Thread(target=pickle.loads, args=(PICKLE,))
    thread.start()
    thread.join()


@pytest.mark.parametrize("face", [SYNC, ASYNC], ids=lambda face: face.name)
@pytest.mark.parametrize(
    ("make", "told"),
    [
        (doing(lambda: pickle.loads(PICKLE)), "loads"),
        (doing(lambda: pickle.load(io.BytesIO(PICKLE))), "load"),
        (doing(lambda: pickle.Unpickler(io.BytesIO(PICKLE)).load()), "Unpickler.load"),
        (doing(lambda: pickle._Unpickler(io.BytesIO(PICKLE)).load()), "_Unpickler.load"),
        (doing(in_a_thread), "loads"),
        (lambda: InMemoryCache(serde=PickleSerializer()), "loads"),
    ],
    ids=["loads", "load", "Unpickler", "in Python", "thread", "serializer"],
)
def test_what_unpickles_is_found(make: Callable[..., Any], told: str, face: Face) -> None:
    with pytest.raises(AssertionError) as caught:
        CacheContract().test_nothing_is_unpickled(make, face)
    assert (
        str(caught.value).splitlines()[0]
        == f"what is stored is restored by {told}, which runs the code that a pickle names"
    )


def test_nothing_is_watched_afterwards() -> None:
    before = sys.getprofile(), threading.getprofile()
    CacheContract().test_nothing_is_unpickled(lambda: InMemoryCache(serde=default_serializer()), SYNC)
    assert (sys.getprofile(), threading.getprofile()) == before
