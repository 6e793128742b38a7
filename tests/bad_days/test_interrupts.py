"""An exception at any line of an operation, as Ctrl-C raises it, leaves nothing half done."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from itertools import cycle
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import ormsgpack
import pytest

import hitrate
from hitrate import InMemoryCache, SqliteCache, TieredCache
from hitrate.exclusive import Exclusive
from hitrate.stores.memory import dividing

HITRATE = str(Path(hitrate.__file__).parent)
A, B, C = (("a",), "1"), (("a",), "2"), (("b",), "1")
LONGER = "new " * 100
DEADLINE = 60.0


@pytest.fixture(autouse=True)
def _collected(small_collections: None) -> Iterator[None]:
    """Have the collector tell here, and not in a later test, of a coroutine that was made and never awaited."""
    yield
    gc.collect()


def within_finaliser(frame: Any, outer: Any) -> bool:
    """Tell whether a frame is of a finaliser, or of what one calls: what is raised there reaches nobody.

    Args:
        frame: which.
        outer: a frame that called it, where no finaliser runs.
    """
    while frame is not outer:
        if frame.f_code.co_name == "__del__":
            return True
        frame = frame.f_back
    return False


Place = tuple[Any, ...]
"""A line with the two that called it, and whether it runs for the first time in this call or for the second."""


class Interrupts:
    """Raises KeyboardInterrupt at each of hitrate's lines, one a call.

    A line counts the first two times that it runs, called from the same two: more turns of a loop are like the second.

    Args:
        within: only lines of these files and folders of hitrate count.
        below: of these folders only what is called from outside of them.
        done: where one was raised already.

    Attributes:
        place: where the last one was raised.
        passed: how many lines that count ran in the last call.
    """

    def __init__(
        self, within: tuple[str, ...] = ("",), below: tuple[str, ...] = (), done: set[Place] | None = None
    ) -> None:
        self._homes = tuple(f"{HITRATE}/{home}" for home in within)
        self._inner = tuple(f"{HITRATE}/{home}" for home in below)
        self._done = set[Place]() if done is None else done
        self.place: Place = ()
        self.passed = 0

    def at_next(self, do: Callable[[], Any]) -> bool:
        """Call a function and interrupt it at the first line where that is new; tell whether there was one."""
        done, homes, inner = self._done, self._homes, self._inner
        times: dict[Place, int] = {}
        here = sys._getframe()
        self.place = ()

        def trace(frame: Any, event: str, arg: Any) -> Any:
            file = frame.f_code.co_filename
            if not file.startswith(HITRATE) or (event == "call" and within_finaliser(frame, here)):
                return None
            if event == "line" and file.startswith(homes):
                caller = frame.f_back
                if file.startswith(inner) and caller.f_code.co_filename.startswith(inner):
                    return trace
                above = caller if caller is here else caller.f_back
                lines = (frame.f_code, frame.f_lineno, caller.f_code, caller.f_lineno, above.f_code, above.f_lineno)
                times[lines] = time = times.get(lines, 0) + 1
                if time <= 2 and (time, *lines) not in done:
                    self.place = (time, *lines)
                    done.add(self.place)
                    sys.settrace(None)
                    raise KeyboardInterrupt
            return trace

        before, collects = sys.gettrace(), gc.isenabled()
        gc.disable()  # it may come by a coroutine that an earlier interrupt left: what is raised there reaches nobody
        sys.settrace(trace)
        try:
            do()
        except KeyboardInterrupt:
            pass
        finally:
            sys.settrace(before)
            if collects:
                gc.enable()
        self.passed = len(times)
        return self.place != ()


def soon(do: Callable[[], Any]) -> Any:
    """Do something on another thread, which must not be held up."""
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(do()), daemon=True)
    thread.start()
    thread.join(DEADLINE)
    assert not thread.is_alive(), "it hangs"
    return results[0]


Asked = tuple[Callable[[], Any], "SimpleQueue[tuple[Any, BaseException | None]]"]


class Elsewhere:
    """Another thread, which has a connection to the file already: a new one takes a millisecond to open one."""

    def __init__(self) -> None:
        self._asked: SimpleQueue[Asked | None] = SimpleQueue()
        threading.Thread(target=self._work, daemon=True).start()

    def _work(self) -> None:
        while (asked := self._asked.get()) is not None:
            do, answer = asked
            try:
                answer.put((do(), None))
            except BaseException as error:
                answer.put((None, error))

    def soon(self, do: Callable[[], Any]) -> Any:
        """Do something there, which must not be held up."""
        answer: SimpleQueue[tuple[Any, BaseException | None]] = SimpleQueue()
        self._asked.put((do, answer))
        try:
            result, error = answer.get(timeout=DEADLINE)
        except Empty:
            pytest.fail("it hangs")
        if error is not None:
            raise error
        return result

    def end(self) -> None:
        """Let the thread end."""
        self._asked.put(None)


@pytest.fixture
def elsewhere() -> Iterator[Elsewhere]:
    thread = Elsewhere()
    yield thread
    thread.end()


def check_counts(cache: Any) -> None:
    """See that what a cache says that it holds is what is there."""
    if isinstance(cache, TieredCache):
        for tier in cache.tiers:
            check_counts(tier)
    elif isinstance(cache, InMemoryCache):
        from hitrate.stores.memory.space import SIZE

        store, stats = cache._store, cache.stats()
        with store.lock:  # the housekeeping moves and compacts beside this
            spaces = store.spaces.values()
            assert stats.entries == sum(map(len, spaces))
            assert stats.bytes == sum(held[SIZE] for space in spaces for held in space.values())
            assert store.arrivals.dead <= len(store.arrivals.places) // 2 + 1
            if store.by_worth:
                assert len(store.ranks) - store.ranks.dead == stats.entries
    else:
        stats = cache.stats()
        there = (
            "SELECT count(*) FROM hitrate_entries"
            " WHERE NOT EXISTS (SELECT 1 FROM hitrate_cleared WHERE slot BETWEEN first AND last)"
        )
        ((entries,),) = cache._store._database.use(lambda handle: handle.execute(there).fetchall())
        assert stats.entries == entries


def check_order(cache: Any) -> None:
    """See that nothing is under way any more."""
    if cache._computes is not None:
        flights = cache._computes.flights
        assert not flights._flights
        assert not flights._alone
        assert not flights._by_loop
    if isinstance(cache, TieredCache):
        assert not cache._store._tiers.under_way._by_key
        assert not cache._store._tiers.under_way._clears
        assert not cache._store._tiers.under_way.writing
        assert not cache._store._tiers.own
        for tier in cache._store._tiers.all:
            assert not tier.debts._under_way
            assert not tier.debts.paying


KINDS: dict[str, Callable[[Path], Any]] = {
    "memory": lambda path: InMemoryCache(),
    "divided": lambda path: InMemoryCache(),
    "bounded": lambda path: InMemoryCache(max_entries=3),
    "by worth": lambda path: InMemoryCache(max_entries=3, evict="cost"),
    "file": lambda path: SqliteCache(path=path / "cache.db"),
    ":memory:": lambda path: SqliteCache(path=":memory:"),
    "tiers": lambda path: TieredCache(InMemoryCache(), SqliteCache(path=path / "cache.db")),
}


STORES = ("stores/", "memory.py", "exclusive.py")
BELOW = {
    ":memory:": tuple(
        f"stores/sqlite/{name}.py" for name in ("housekeeping", "reading", "rows", "storing", "transaction", "writing")
    ),
    "tiers": ("stores/sqlite/", "stores/memory/"),
}


def within(kind: str, operation: str) -> dict[str, Any]:
    """Return where an operation of a kind of cache is interrupted.

    What is above the stores is the same for several kinds: it is interrupted in memory, and under a lease that a file
    grants. What is below tiers has been interrupted as a cache of its own, and so have the transactions that SQLite in
    memory has in common with a file: there it is a call that fails at its beginning, at its end, or between two steps.
    """
    if kind == "memory" or (kind == "file" and operation == "compute under a lease"):
        return {"within": ("",)}
    return {"within": STORES, "below": BELOW.get(kind, ())}


@pytest.fixture
def kind(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def cache(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    if kind == "divided":
        monkeypatch.setattr(dividing, "LARGE", 0)
    with KINDS[kind](tmp_path) as cache:
        yield cache


def _without(cache: Any, keys: list[Any], do: Callable[[], Any]) -> Callable[[], Any]:
    cache.delete(keys)
    return do


def _with_room(cache: Any, do: Callable[[], Any]) -> Callable[[], Any]:
    """Have the namespace be granted room, of which such a set spends."""
    for _ in range(3):
        cache.set({A: ("old", None), B: ("old", None)})
    return do


OPERATIONS: dict[str, Callable[[Any], Callable[[], Any]]] = {
    "get": lambda cache: lambda: cache.get([A, B]),
    "set": lambda cache: lambda: cache.set({A: ("new", None)}),
    "set a new one": lambda cache: _without(cache, [A], lambda: cache.set({A: ("new", None)})),
    "set many": lambda cache: lambda: cache.set({A: ("new", 60), B: ("new", None), C: ("kept", None)}),
    "set many alike": lambda cache: _with_room(cache, lambda: cache.set({A: (LONGER, None), B: (LONGER, None)})),
    "delete": lambda cache: lambda: cache.delete([A]),
    "delete all of a namespace": lambda cache: lambda: cache.delete([A, B]),
    "clear": lambda cache: lambda: cache.clear([("a",)]),
    "clear under": lambda cache: lambda: cache.clear_under(("a",)),
    "compute": lambda cache: _without(cache, [A], lambda: cache.get_or_compute(A, lambda: "computed")),
    "compute under a lease": lambda cache: _without(
        cache, [A], lambda: cache.get_or_compute(A, lambda: "computed", lease=600)
    ),
    "compute many": lambda cache: _without(
        cache, [A, B], lambda: cache.get_or_compute_many([A, B], lambda keys: dict.fromkeys(keys, "new"))
    ),
    "stats": lambda cache: cache.stats,
}


# Whether a key is new, or the last of its namespace, or a batch is all of one, makes a difference in memory alone:
# elsewhere the same lines run. In tiers one key is a batch of one, and the batch of two is tried.
_IN_MEMORY = {"set a new one", "set many alike", "delete all of a namespace"}
LEFT_OUT = {
    "file": _IN_MEMORY,
    ":memory:": _IN_MEMORY,
    "tiers": {"set a new one", "set many alike", "set", "delete", "compute"},
}
CASES = [(kind, operation) for kind in KINDS for operation in OPERATIONS if operation not in LEFT_OUT.get(kind, ())]


def _used(cache: Any) -> tuple[list[Any], dict[Any, Any], Any]:
    """Use a cache on another thread than the one that was interrupted."""
    after = [cache.get([key]).get(key) for key in (A, B)]
    kept = cache.get([C])
    cache.delete([A])
    following = cache.get_or_compute(A, lambda: "next", lease=600)
    cache.set({A: ("last", None)})
    return after, kept, following


# Where something was interrupted already, in the same kind of cache: two operations have most lines in common.
DONE: defaultdict[str, set[Place]] = defaultdict(set)
IN_MEMORY = ("memory", "divided", "bounded", "by worth")


def done_before(kind: str) -> set[Place]:
    return DONE["memory" if kind in IN_MEMORY else kind]


@pytest.mark.parametrize(("kind", "operation"), CASES, indirect=["kind"])
def test_an_exception_at_any_line(cache: Any, kind: str, operation: str, elsewhere: Elsewhere) -> None:
    interrupts, turns = Interrupts(**within(kind, operation), done=done_before(kind)), cycle(range(8))
    again = True
    while again:
        cache.set({A: ("old", None), B: ("old", None), C: ("kept", None)})
        do = OPERATIONS[operation](cache)
        before = [cache.get([key]).get(key) for key in (A, B)]
        again = interrupts.at_next(do)
        check_order(cache)
        check_counts(cache)
        after, kept, following = (soon if next(turns) == 0 else elsewhere.soon)(partial(_used, cache))
        if operation.startswith("set many"):
            assert after in (["old", "old"], ["new", "new"], [LONGER, LONGER]), interrupts.place
        assert all(now in (was, "new", LONGER, "computed", None) for was, now in zip(before, after, strict=True))
        assert kept == {C: "kept"}, interrupts.place
        assert following == "next"
        assert cache.get([A]) == {A: "last"}
    assert interrupts.passed > 2
    soon(cache.clear)
    check_counts(cache)
    assert cache.stats().entries == 0


def test_what_was_put_off_is_carried_out_though_an_earlier_catching_up_was_interrupted_at_any_line() -> None:
    interrupts = Interrupts()
    again = True
    while again:
        done: list[str] = []
        first, second = Exclusive(), Exclusive()
        first.put_off(partial(second.run, second.put_off, partial(done.append, "first")))
        again = interrupts.at_next(first.catch_up)
        second.run(second.put_off, partial(done.append, "second"))
        assert "second" in done, interrupts.place
    assert done == ["first", "second"]
    assert interrupts.passed > 10


def test_a_function_has_the_same_key_after_a_decoration_that_was_interrupted_at_any_line() -> None:
    def pinned() -> int:
        return 1

    def other() -> int:
        return 2

    key = hitrate.stable_key(other)
    interrupts = Interrupts()
    again = True
    while again:
        with InMemoryCache() as cache:
            again = interrupts.at_next(partial(hitrate.cached(cache, version="1"), pinned))
        assert hitrate.stable_key(other) == key, interrupts.place
        assert hitrate.stable_key(pinned) != key, interrupts.place
    assert interrupts.passed > 100


def test_counting_anew_what_is_empty_counts_nothing_as_left() -> None:
    with InMemoryCache() as cache:
        for _ in range(2):
            cache._store._recount()
            check_counts(cache)
            assert cache._store.arrivals.dead == 0
            cache.set({A: (1, None)})
            cache.delete([A])


def _refresh(far: Any) -> None:
    """Store a result under a lease over a value that is there, as who computes it anew before it expires does."""
    (key,) = far._encode_keys([A])
    token = b"the same token16"  # an earlier one, which was interrupted, may have the lease still
    far._store.lease([key], token, 60)
    far._store.settle({key: ("msgpack", ormsgpack.packb("new"), None, 0.0)}, token)


CHANGES: dict[str, Callable[[Any], Any]] = {
    "refresh": _refresh,
    "set": lambda far: far.set({A: ("new", None)}),
    "set many": lambda far: far.set({A: ("new", 60), B: ("new", None)}),
    "delete": lambda far: far.delete([A]),
    "clear": lambda far: far.clear([A[0]]),
    "clear under": lambda far: far.clear_under(A[0]),
    "compute": lambda far: far.get_or_compute_many([A], lambda keys: dict.fromkeys(keys, "new"), lease=60),
}


@pytest.mark.parametrize("change", CHANGES)
def test_an_exception_in_the_far_cache_leaves_no_old_copy_in_a_near_one(
    change: str, tmp_path: Path, elsewhere: Elsewhere
) -> None:
    with SqliteCache(path=tmp_path / "cache.db") as far, TieredCache(InMemoryCache(), far) as cache:
        # What is above the store has done nothing to copies before it, and does nothing after it.
        interrupts = Interrupts(within=("sqlite.py", "stores/", "exclusive.py"), done=DONE["far"])
        again = True
        while again:
            if change == "compute":
                cache.delete([A])
                cache.get([A])
            else:
                cache.set({A: ("old", None), B: ("old", None)})
                assert cache.get([A, B]) == {A: "old", B: "old"}
            again = interrupts.at_next(lambda: CHANGES[change](far))
            assert elsewhere.soon(lambda: cache.get([A, B])) == far.get([A, B]), interrupts.place
        assert interrupts.passed > 10
        assert change != "refresh" or far.get([A]) == {A: "new"}


async def _cancelled(tasks: set[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _computed() -> str:
    return "computed"


async def _all_computed(keys: list[Any]) -> dict[Any, Any]:
    return dict.fromkeys(keys, "computed")


ASYNC_OPERATIONS: dict[str, Callable[[Any], Callable[[], Any]]] = {
    "get": lambda cache: lambda: cache.aget([A, B]),
    "set": lambda cache: lambda: cache.aset({A: ("new", None)}),
    "delete": lambda cache: lambda: cache.adelete([A]),
    "clear": lambda cache: lambda: cache.aclear([("a",)]),
    "compute": lambda cache: _without(cache, [A], lambda: cache.aget_or_compute(A, _computed)),
    "compute under a lease": lambda cache: _without(
        cache, [A], lambda: cache.aget_or_compute(A, lambda: "computed", lease=600)
    ),
    "compute many": lambda cache: _without(cache, [A], lambda: cache.aget_or_compute_many([A], _all_computed)),
}


# What goes for room goes at the same lines whichever face has stored: the plain one has tried them. In tiers one key is
# computed as a batch of one is.
ASYNC_CASES = [
    (kind, operation)
    for kind in KINDS
    if kind not in ("bounded", "by worth")
    for operation in ASYNC_OPERATIONS
    if (kind, operation) != ("tiers", "compute")
]


@pytest.mark.parametrize(("kind", "operation"), ASYNC_CASES, indirect=["kind"])
def test_an_exception_at_any_line_of_a_coroutine(cache: Any, kind: str, operation: str, elsewhere: Elsewhere) -> None:
    interrupts, turns = Interrupts(**within(kind, operation), done=done_before(kind)), cycle(range(8))
    again = True
    while again:
        cache.set({A: ("old", None), B: ("old", None), C: ("kept", None)})
        do = ASYNC_OPERATIONS[operation](cache)

        async def main() -> Any:
            return await do()  # noqa: B023

        loop = asyncio.new_event_loop()
        loop.set_exception_handler(lambda loop, context: None)
        try:
            again = interrupts.at_next(lambda: loop.run_until_complete(main()))  # noqa: B023
            loop.run_until_complete(_cancelled(asyncio.all_tasks(loop)))
        finally:
            loop.close()
        asyncio.run(cache.aset({C: ("kept", None)}))  # what was asked for before is done then: it is a queue
        check_order(cache)
        check_counts(cache)
        follow = soon if next(turns) == 0 else elsewhere.soon
        assert follow(lambda: cache.get([C])) == {C: "kept"}, interrupts.place
        follow(lambda: cache.delete([A]))
        assert follow(lambda: cache.get_or_compute(A, lambda: "next", lease=600)) == "next"
    assert interrupts.passed > 2
