"""What the other processes of these tests do. Imports little, so that they start fast."""

from __future__ import annotations

import asyncio
import importlib
import json
import logging
import os
import random
import resource
import signal
import sys
import threading
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NoReturn

from hitrate import InMemoryCache, SqliteCache
from hitrate.base import FullKey
from hitrate.errors import StoreError
from hitrate.stores import withholding
from hitrate.stores.sqlite import connections

MEMBERS: list[FullKey] = [(("batch",), f"member {number}") for number in range(5)]


def say(what: Any) -> None:
    """Say a line, in one piece."""
    os.write(1, (what if isinstance(what, str) else json.dumps(what)).encode() + b"\n")


def drop_warnings_on_purpose() -> None:
    """Take the log lines of a cache that is meant to fail off stderr."""
    logging.getLogger("hitrate").addHandler(logging.NullHandler())
    logging.getLogger("hitrate").propagate = False


def import_what_a_file_needs() -> None:
    """Import what is imported where a cache is opened, and by the first call of a loop."""
    SqliteCache(path=":memory:", mode=0o660).close()
    for name in ("near", "read_only", "snapshots", "worker"):
        importlib.import_module(f"hitrate.stores.sqlite.{name}")


def each(calls: list[tuple[str, list[Any]]]) -> None:
    """Call functions one after the other, each in a process that is forked for it and ends as a program does."""
    import_what_a_file_needs()
    for function, arguments in calls:
        child = os.fork()
        if child == 0:
            globals()[function](*arguments)
            sys.exit()
        if ended(child):
            sys.exit(f"{function} with {arguments} ended badly")


# Paths


def open_without_privilege(paths: list[str]) -> None:
    """Try to open files as somebody who owns none of them."""
    SqliteCache(path=":memory:").close()  # imports what is needed while that can still be read
    if os.getuid() == 0:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
    told = []
    for path in paths:
        try:
            SqliteCache(path=path)
            told.append("opened")
        except Exception as error:
            told.append(type(error).__name__)
    say(told)


def as_user(user: int, group: int, groups: list[int] | None = None) -> None:
    """Go on as another user, if this one may; what is needed is imported before."""
    import_what_a_file_needs()
    os.setgroups(groups or [])
    os.setgid(group)
    os.setuid(user)
    os.umask(0o002)


def use_with_rights_of(user: int, group: int, path: str) -> None:
    """Open a file with the rights of another user, as a service does that root has started; say what was raised."""
    SqliteCache(path=":memory:").close()
    os.setgroups([])
    os.setegid(group)
    os.seteuid(user)
    try:
        SqliteCache(path=path)
    except Exception as error:
        say({"error": type(error).__name__, "text": str(error)})
    else:
        say({"error": None})


def use_as(user: int, group: int, groups: list[int], path: str, options: dict[str, Any], name: str) -> None:
    """Open a file as another user, set an entry and say all that is there; or say what was raised."""
    drop_warnings_on_purpose()
    as_user(user, group, groups)
    try:
        with SqliteCache[Any](path=path, **options) as cache:
            cache.set({(("users",), name): (name, None)})
            found = cache.get([(("users",), str(number)) for number in range(10)])
            say({"found": sorted(found.values()), "errors": cache.stats().errors})
    except Exception as error:
        say({"error": type(error).__name__, "text": str(error)})


def replace_when_told(user: int, group: int, path: str, options: dict[str, Any]) -> None:
    """Have a file open as another user while it is damaged, and go on with the new one."""
    drop_warnings_on_purpose()
    as_user(user, group)
    with SqliteCache[Any](path=path, **options) as cache:
        cache.set({(("users",), "0"): ("0", None)})
        say("open")
        sys.stdin.readline()
        with open(path, "rb+") as file:
            file.write(b"no database" * 2000)
        for _ in range(10):
            with SqliteCache[Any](path=path, **options) as other:
                other.set({(("users",), "1"): ("1", None)})
        say({"mode": os.stat(path).st_mode & 0o777, "group": os.stat(path).st_gid})


def keep_setting(path: str) -> None:
    """Have a file open; when told, set until that works again."""
    drop_warnings_on_purpose()
    connections._LOOK_SECONDS = 0.0
    key = (("bad", "days"), "theirs")
    with SqliteCache[Any](path=path) as cache:
        cache.set({key: ("before", None)})
        say("set")
        sys.stdin.readline()
        while cache.get([key]) != {key: "works"}:
            cache.set({key: ("works", None)})
        say("works")
        sys.stdin.readline()


def leave_a_wal(path: str) -> None:
    """End without closing."""
    cache: SqliteCache[Any] = SqliteCache(path=path)
    cache.set({(("bad", "days"), "a"): (1, None)})
    os._exit(0)


# A full disk


def limit_files(size: int) -> None:
    """Let no file grow beyond a size, as if the disk were full; -1 lifts it."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def noise(number: int, size: int) -> bytes:
    return random.Random(number).randbytes(size)


def fill_the_disk(path: str, on_error: Any, lift: bool) -> None:
    """Write until the disk is full and beyond; say which single keys and which batches were stored."""
    drop_warnings_on_purpose()
    withholding._AGAIN_SECONDS = 0.0
    cache: SqliteCache[Any] = SqliteCache(path=path, on_error=on_error)
    cache.set({(("first",), str(number)): (noise(number, 500), None) for number in range(20)})
    limit_files(400_000)
    stored: list[int] = []
    batches: list[int] = []
    latest = -1
    raised = 0
    for number in range(120):
        errors = cache.stats().errors
        try:
            if number % 3:
                cache.set({(("single",), str(number)): (noise(number, 5000), None)})
            else:
                cache.set({key: ({"batch": number, "noise": noise(number, 4000)}, None) for key in MEMBERS})
        except StoreError:
            raised += 1
        else:
            if cache.stats().errors == errors:
                (stored if number % 3 else batches).append(number)
        latest = latest if number % 3 else number
        found = cache.get(MEMBERS)
        # What was not taken leaves the old batch only to a caller that was told.
        served = on_error == "raise" or batches[-1:] == [latest]
        assert [found[key]["batch"] for key in found] == (batches[-1:] * len(MEMBERS) if served else [])
        for check in stored[::7]:
            assert cache.get([(("single",), str(check))]) == {(("single",), str(check)): noise(check, 5000)}
        assert len(cache.get([(("first",), str(first)) for first in range(20)])) == 20
    errors = cache.stats().errors
    assert errors == raised if on_error == "raise" else (raised == 0 and errors)
    assert len(stored) + len(batches) + errors == 120
    if lift:
        limit_files(-1)
        cache.set({(("single",), "after"): (noise(1000, 5000), None)})
        assert cache.get([(("single",), "after")])
        assert cache.stats().errors == errors
    say({"stored": stored, "batches": batches, "errors": errors, "entries": cache.stats().entries, "served": served})
    cache.close()


def remove_on_a_full_disk(path: str) -> None:
    """Remove what is stored while nothing can be written, and then when something can."""
    drop_warnings_on_purpose()
    withholding._AGAIN_SECONDS = 0.0
    entries: dict[FullKey, Any] = {(("kept",), "a"): 0}
    removals: list[tuple[FullKey, Callable[[SqliteCache[Any]], Any]]] = [
        ((("a",), "deleted"), lambda cache: cache.delete([(("a",), "deleted")])),
        ((("b",), "cleared"), lambda cache: cache.clear([("b",)])),
        ((("c", "d"), "cleared"), lambda cache: cache.clear_under(("c",))),
        ((("e",), "overwritten"), lambda cache: cache.set({(("e",), "overwritten"): ("new", None)})),
        ((("e",), "removed"), lambda cache: cache.set({(("e",), "removed"): ("new", 0)})),
    ]
    entries |= {key: 1 for key, _ in removals}
    with SqliteCache[Any](path=path) as cache, SqliteCache[Any](path=path) as other:
        cache.set({key: (value, None) for key, value in entries.items()})
        limit_files(0)
        for number, (key, remove) in enumerate(removals):
            assert cache.get([key]) == {key: 1}
            remove(cache)
            assert cache.get([key]) == {}
            assert other.get([key]) == {key: 1}
            assert cache.stats().errors == number + 1
        assert cache.get(list(entries)) == {(("kept",), "a"): 0}
        limit_files(-1)
        cache.set({(("kept",), "b"): (0, None)})
        assert other.get(list(entries)) == cache.get(list(entries)) == {(("kept",), "a"): 0}


def open_on_a_full_disk(path: str) -> None:
    """Use a cache that can write nothing, until it can."""
    drop_warnings_on_purpose()
    limit_files(0)
    cache: SqliteCache[Any] = SqliteCache(path=path)
    key = MEMBERS[0]
    cache.set({key: (1, None)})
    assert cache.get([key]) == {}
    assert cache.delete([key]) == 0
    cache.clear()
    before = cache.stats().errors
    assert before >= 4
    limit_files(-1)
    cache.set({key: (1, None)})
    assert cache.get([key]) == {key: 1}
    cache.close()


# Killed


def write_until_killed(path: str, generation: int) -> None:
    """Write by both faces from several threads; say what was acknowledged, in one line each, once it was."""
    cache: SqliteCache[Any] = SqliteCache(path=path, on_error="raise")
    batch_lock = threading.Lock()
    batches = iter(range(generation * 1_000_000, (generation + 1) * 1_000_000))

    def singles() -> None:
        for number in range(1_000_000):
            cache.set({(("single",), f"{generation}.{number}"): ([generation, number], None)})
            say(["single", generation, number])

    def one_batch() -> int:
        number = next(batches)
        cache.set({key: ({"batch": number, "noise": "x" * (number % 3000)}, None) for key in MEMBERS})
        return number

    def in_batches() -> None:
        while True:
            with batch_lock:
                say(["batch", one_batch()])

    async def tasks() -> None:
        async def task(lane: int) -> None:
            for number in range(1_000_000):
                if number % 5 == lane % 5:
                    keys = {((f"async {lane}",), f"{member}"): ([generation, number], None) for member in range(4)}
                    await cache.aset(keys)
                    say(["async batch", lane, generation, number])
                else:
                    await cache.aset({((f"async {lane}",), f"{generation}.{number}"): (number, None)})
                    say(["async", lane, generation, number])

        await asyncio.gather(*map(task, range(3)))

    for work in (singles, in_batches):
        threading.Thread(target=work, daemon=True).start()
    asyncio.run(tasks())


# Many processes


def open_new_files(process: int) -> None:
    """Open each file named on stdin, store in it and read it."""
    say("ready")
    for line in sys.stdin:
        with SqliteCache[Any](path=line.strip()) as cache:
            cache.set({(("opened",), str(process)): (process, None)})
            assert cache.get([(("opened",), str(process))]) == {(("opened",), str(process)): process}
            say(str(cache.stats().errors))


def write_with_others(path: str, options: dict[str, Any], process: int) -> None:
    """Write keys that other processes write too, from several threads by both faces."""
    if options:
        drop_warnings_on_purpose()  # of the first eviction
    cache: SqliteCache[Any] = SqliteCache(path=path, **options)
    say("ready")
    sys.stdin.readline()

    def check(found: dict[FullKey, Any]) -> None:
        for (_, name), value in found.items():
            assert value["key"] == name
        batch = [value["who"] for (namespace, _), value in found.items() if namespace == ("batch",)]
        assert len(set(batch)) <= 1, f"half a batch: {batch}"

    def value(full_key: FullKey, number: int, thread: int) -> Any:
        return {"key": full_key[1], "who": f"{process} {thread} {number}", "noise": "x" * (number * 37 % 700)}

    def work(thread: int) -> None:
        rng = random.Random(process * 10 + thread)
        for number in range(25):
            own = ((f"own {process}",), f"{thread}.{number}")
            shared = ((f"shared {rng.randrange(3)}",), str(rng.randrange(20)))
            cache.set({own: (value(own, number, thread), None)})
            cache.set({shared: (value(shared, number, thread), None)})
            cache.set({key: (value(key, number, thread), None) for key in MEMBERS})
            check(cache.get([own, shared, *MEMBERS]))

    async def task(thread: int) -> None:
        for number in range(25):
            await cache.aset({key: (value(key, number, thread), None) for key in MEMBERS})
            check(await cache.aget(MEMBERS))

    async def tasks() -> None:
        await asyncio.gather(*(task(thread) for thread in range(10, 13)))

    with ThreadPoolExecutor(3) as threads:
        done = [threads.submit(work, thread) for thread in range(2)] + [threads.submit(asyncio.run, tasks())]
        for each in done:
            each.result()
    stats = cache.stats()
    say({"errors": stats.errors, "sets": stats.sets, "bytes": stats.bytes, "evictions": stats.evictions})
    cache.close()


# Forks


def fork(check: Callable[[], None], by_exit: bool) -> int:
    """Return the id of a child that runs a check and leaves at once, or as a program that ends."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # forking with threads is what is tested
        child = os.fork()
    if child == 0:
        signal.alarm(60)
        try:
            check()
        except BaseException as error:
            os.write(2, f"in the child: {error!r}\n".encode())
            os._exit(1)
        if by_exit:
            sys.exit(0)
        os._exit(0)
    return child


def ended(child: int) -> int:
    """Wait for a child; return how it ended, 0 for well."""
    return os.waitpid(child, 0)[1]


def made(kind: str, path: str) -> Any:
    return InMemoryCache() if kind == "memory" else SqliteCache(path=":memory:" if kind == ":memory:" else path)


def read_and_write(cache: Any, who: str) -> None:
    """Use every operation of a cache that was forked while others were using it, by both faces."""
    found = cache.get(MEMBERS)
    assert len({value["batch"] for value in found.values()}) == 1
    assert len(found) == len(MEMBERS), "half a batch"
    key = (("forked",), who)
    cache.set({key: (who, None)})
    assert cache.get([key]) == {key: who}

    async def both() -> None:
        await cache.aset({key: (who * 2, None)})
        assert await cache.aget([key]) == {key: who * 2}

    asyncio.run(both())
    cache.set({(("gone",), who): (1, None)})
    assert cache.delete([(("gone",), who)]) == 1
    cache.clear([("nothing there",)])
    assert cache.stats().errors == 0


def fork_while_writing(kind: str, path: str, with_loop: bool) -> None:
    """Fork again and again while threads, and tasks if so wanted, write; each child uses the cache too."""
    cache = made(kind, path)
    stop = threading.Event()
    written = [0, 0]

    def store_batch(number: int) -> dict[FullKey, Any]:
        return {key: ({"batch": number, "noise": "x" * (number % 2000)}, None) for key in MEMBERS}

    cache.set(store_batch(0))

    def write(thread: int) -> None:
        while not stop.is_set():
            written[thread] += 1
            cache.set({((f"thread {thread}",), str(written[thread])): (written[thread], None)})
            cache.set(store_batch(written[thread]))
            cache.get(MEMBERS)

    def fork_often() -> None:
        for number in range(12):
            child = fork(lambda number=number: read_and_write(cache, f"child {number}"), by_exit=number % 2 == 0)
            cache.set({(("parent",), str(number)): (number, None)})
            status = ended(child)
            assert status == 0, f"child {number} ended with {status}"

    async def fork_in_a_loop() -> None:
        async def write_on() -> None:
            number = 0
            while not stop.is_set():
                number += 1
                await cache.aset({(("task",), str(number)): (number, None)})
                assert await cache.aget([(("task",), str(number))]) == {(("task",), str(number)): number}
                await asyncio.sleep(0)  # what is in memory is there without a wait

        tasks = [asyncio.create_task(write_on()) for _ in range(3)]
        await asyncio.sleep(0.01)
        for number in range(6):
            child = fork(lambda number=number: read_and_write(cache, f"loop {number}"), by_exit=False)
            await cache.aset({(("parent",), f"loop {number}"): (number, None)})
            status = await asyncio.to_thread(ended, child)
            assert status == 0, f"child {number} ended with {status}"
        stop.set()
        await asyncio.wait_for(asyncio.gather(*tasks), 20)

    threads = [threading.Thread(target=write, args=[thread]) for thread in range(2)]
    for thread in threads:
        thread.start()
    try:
        if with_loop:
            asyncio.run(fork_in_a_loop())
        else:
            fork_often()
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    for thread in range(2):
        keys = [((f"thread {thread}",), str(number + 1)) for number in range(written[thread])]
        assert len(cache.get(keys)) == len(keys)
    assert cache.stats().errors == 0
    read_and_write(cache, "parent")
    say({"parent": len(cache.get([(("parent",), str(number)) for number in range(12)]))})
    cache.close()


# Classes that change


def store_instance(folder: str, path: str) -> None:
    sys.path.insert(0, folder)
    module = importlib.import_module("bad_day_shapes")
    with SqliteCache[Any](path=path, on_error="raise") as cache:
        cache.set({(("shapes",), name): (module.make(name), None) for name in module.NAMES})
        cache.set({(("shapes",), "plain"): ("plain", None)})


def load_instances(folder: str | None, path: str, names: list[str]) -> None:
    drop_warnings_on_purpose()
    if folder is not None:
        sys.path.insert(0, folder)
        importlib.import_module("bad_day_shapes")
    with SqliteCache[Any](path=path) as cache:
        keys = [(("shapes",), name) for name in [*names, "plain"]]
        found = {name: repr(value) for (_, name), value in cache.get(keys).items()}
        stats = cache.stats()
        say({"found": found, "errors": stats.errors, "misses": stats.misses})
    assert folder is not None or "bad_day_shapes" not in sys.modules


# Locks


def hold_the_lock(path: str, sql: str) -> None:
    """Hold a transaction on the file until told to let go."""
    import apsw

    con = apsw.Connection(path)
    con.set_busy_timeout(10_000)
    con.execute(sql)
    say("held")
    sys.stdin.readline()
    con.execute("COMMIT")
    con.close()
    say("released")
    sys.stdin.readline()


# The end of the interpreter

ENDED: FullKey = (("ended",), "acknowledged")


def end_idle(path: str) -> None:
    cache: SqliteCache[Any] = SqliteCache(path=path)
    cache.set({ENDED: (1, None)})
    asyncio.run(cache.aset({MEMBERS[0]: (1, None)}))
    globals()["kept"] = cache


def end_with_threads_writing(path: str) -> None:
    cache: SqliteCache[Any] = SqliteCache(path=path)
    going = threading.Barrier(4)

    def write(thread: int) -> None:
        for number in range(1_000_000):
            cache.set({((f"{thread}",), str(number)): (number, None)})
            cache.get([((f"{thread}",), str(number))])
            if number == 5:
                going.wait()

    for thread in range(3):
        threading.Thread(target=write, args=[thread], daemon=True).start()
    cache.set({ENDED: (1, None)})
    going.wait()


def end_with_tasks_pending(path: str) -> None:
    cache: SqliteCache[Any] = SqliteCache(path=path)

    async def main() -> None:
        await cache.aset({ENDED: (1, None)})
        pending = [asyncio.create_task(cache.aset({MEMBERS[0]: (number, None)})) for number in range(300)]
        pending += [asyncio.create_task(cache.aget(MEMBERS)) for _ in range(300)]
        await asyncio.sleep(0)
        globals()["kept"] = pending

    asyncio.run(main())


def end_with_a_loop_left_alone(path: str) -> None:
    cache: SqliteCache[Any] = SqliteCache(path=path)
    loop = asyncio.new_event_loop()
    loop.run_until_complete(cache.aset({ENDED: (1, None)}))

    async def submit() -> list[Any]:
        return [cache._store._worker.submit("write", {(b"n", b"k"): None}) for _ in range(500)]  # type: ignore[attr-defined]

    globals()["kept"] = loop.run_until_complete(submit())
    loop.close()


def end_with_a_clear_under_way(path: str) -> None:
    cache: SqliteCache[Any] = SqliteCache(path=path)
    cache.set({(("many",), str(number)): (number, None) for number in range(3000)})
    cache.clear([("many",)])
    cache.set({ENDED: (1, None)})


def end_in_an_exit_handler(path: str) -> None:
    import atexit

    cache: SqliteCache[Any] = SqliteCache(path=path)
    cache.set({ENDED: (0, None), MEMBERS[0]: (1, None)})

    def last() -> None:
        cache.set({ENDED: (1, None)})
        cache.clear([("batch",)])
        assert cache.get([ENDED]) == {ENDED: 1}

    atexit.register(last)


def end_by_an_exception_in_a_loop(path: str) -> NoReturn:
    cache: SqliteCache[Any] = SqliteCache(path=path)

    async def main() -> None:
        await cache.aset({ENDED: (1, None)})
        waiting = [asyncio.ensure_future(cache.aget([ENDED])) for _ in range(50)]
        await asyncio.sleep(0)
        globals()["kept"] = waiting
        raise SystemExit(0)

    asyncio.run(main())
    raise AssertionError


def let_go_of_caches(path: str) -> None:
    """Use caches by both faces and forget them unclosed; say how many files and threads that has left."""
    import gc

    from hitrate.stores import keeper
    from hitrate.stores.sqlite import worker

    worker._IDLE_SECONDS = keeper._LINGER_SECONDS = 0.05

    def count() -> tuple[int, int]:
        return len(os.listdir("/proc/self/fd")), threading.active_count()

    before = count()

    def use(number: int) -> None:
        cache: SqliteCache[Any] = SqliteCache(path=f"{path}.{number}")
        cache.set(dict.fromkeys(MEMBERS, (number, None)))
        asyncio.run(cache.aget(MEMBERS))
        cache.clear([("batch",)])
        memory: InMemoryCache[Any] = InMemoryCache()
        memory.set(dict.fromkeys(MEMBERS, (number, None)))
        private: SqliteCache[Any] = SqliteCache(path=":memory:")
        private.set(dict.fromkeys(MEMBERS, (number, None)))

    for number in range(5):
        use(number)
    for _ in range(200):
        gc.collect()
        if count() <= before:
            break
        threading.Event().wait(0.05)
    say([before, count()])
