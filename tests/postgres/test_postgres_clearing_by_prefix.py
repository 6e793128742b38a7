"""Clearing by prefix on a real server: exactly the namespaces that begin so, at once, and told to who has copies."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from postgres_days import SLACK, ask, assert_sound, eventually, within

from hitrate import InMemoryCache, PostgresCache, TieredCache
from hitrate.base import Namespace
from hitrate.keys import EncodedKey, encode_namespace
from hitrate.stores.postgres.rows import LONGEST
from hitrate.stores.postgres.wire import Link, Request
from servers.shared import PATIENT

AWKWARD: list[Namespace] = [
    (),
    ("",),
    ("", ""),
    ("a",),
    ("a", ""),
    ("a", "b"),
    ("a", "b", "c"),
    ("a", "bc"),
    ("ab",),
    ("a\x01b",),
    ("a" * 62,),
    ("a" * 63,),
    ("a" * 63, "b"),
    ("a" * 64,),
    ("a" * 64, "b"),
    ("a" * 127,),
    ("a" * 128,),
    ("a" * 128, "b"),
    ("a" * 255,),
    ("a" * 255, "x"),
    ("a" * 255, "y"),
    ("a" * 256,),
    ("a" * 10_000, "b" * 10_000),
    ("a" * 10_000, "b" * 10_001),
    ("\xff" * 100,),
    ("\xff" * 100, "b"),
    ("\U0010ffff",),
    ("\U0010ffff", "a"),
    ("\udfff" * 40,),
    ("\udfff" * 40, "z"),
    ("%", "_"),
    ("%",),
]


@pytest.fixture(params=["sync", "async"])
def clear_under(request: pytest.FixtureRequest) -> Callable[[PostgresCache[Any], Namespace], None]:
    def sync(cache: PostgresCache[Any], prefix: Namespace) -> None:
        cache.clear_under(prefix)

    def by_loop(cache: PostgresCache[Any], prefix: Namespace) -> None:
        asyncio.run(cache.aclear_under(prefix))

    return sync if request.param == "sync" else by_loop


def test_exactly_the_namespaces_that_begin_so_are_cleared(
    postgres_url: str, table: str, clear_under: Callable[[PostgresCache[Any], Namespace], None]
) -> None:
    with PostgresCache[Any](postgres_url, table=table, on_error="raise", **PATIENT) as cache:
        for prefix in AWKWARD:
            cache.set({(name, "key"): (list(name), None) for name in AWKWARD})
            clear_under(cache, prefix)
            left = {name for name, _ in cache.get([(name, "key") for name in AWKWARD])}
            assert left == {name for name in AWKWARD if name[: len(prefix)] != prefix}


@pytest.mark.parametrize("length", range(LONGEST - 3, LONGEST + 4))
def test_names_about_as_long_as_are_kept_whole_are_told_apart(postgres_url: str, table: str, length: int) -> None:
    prefix = ("p" * (length - 1),)
    assert len(encode_namespace(prefix)) == length
    inside = [prefix, (*prefix, ""), (*prefix, "x"), (*prefix, "x" * 100)]
    outside = [("p" * (length - 2),), ("p" * length,), ("p" * (length - 2) + "q",), ("q",)]
    with PostgresCache[Any](postgres_url, table=table, on_error="raise", **PATIENT) as cache:
        cache.set({(name, "key"): (1, None) for name in inside + outside})
        cache.clear_under(prefix)
        assert {name for name, _ in cache.get([(name, "key") for name in inside + outside])} == set(outside)


def test_ten_thousand_namespaces_are_cleared_as_one(
    postgres_url: str, table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    exchange = Link.exchange

    def counted(link: Link, calls: Sequence[Request], *, prepare: bool) -> Any:
        if threading.current_thread() is threading.main_thread():  # and not the one that removes what was cleared
            asked.append(len(calls))
        return exchange(link, calls, prepare=prepare)

    with PostgresCache[Any](postgres_url, table=table, timeout=60, on_error="raise") as cache:
        long = "long" * 30
        keys = [(("app", kind, str(number)), "key") for number in range(5000) for kind in ("short", long)]
        others = [(("apps", kind, str(number)), "key") for number in range(50) for kind in ("short", long)]
        cache.set(dict.fromkeys([*keys, *others], ("value", None)))
        with monkeypatch.context() as patch:
            patch.setattr(Link, "exchange", counted)
            cache.clear_under(("app",))
        assert asked == [1], "of one round trip with one statement"
        assert cache.get(keys[:100] + keys[-100:]) == {}
        assert len(cache.get(others)) == 100
        cache.set({keys[0]: ("new", None), keys[1]: ("new", None)})
        assert len(cache.get(keys)) == 2
        assert cache.stats().entries == 102
        rows = f"SELECT count(*) FROM {table}"
        eventually(lambda: ask(postgres_url, rows) == [(102,)], seconds=60)
    assert_sound(postgres_url, table)


def test_it_waits_for_nobody_and_keeps_nobody_waiting(postgres_url: str, table: str) -> None:
    keys = [(("busy", str(number)), "key") for number in range(100)]
    with PostgresCache[Any](postgres_url, table=table, timeout=20, on_error="raise") as cache:
        cache.set(dict.fromkeys(keys, ("old", None)))
        with psycopg.connect(postgres_url) as writer:
            writer.execute(f"SELECT FROM {table} FOR UPDATE")  # type: ignore[arg-type] # as one of all of them would
            with within(SLACK):
                cache.clear_under(("busy",))
                assert cache.get(keys) == {}
                cache.set(dict.fromkeys(keys, ("new", None)))
        assert cache.get(keys) == dict.fromkeys(keys, "new")
        assert cache.stats().entries == 100


def test_sets_that_begin_after_it_survive(postgres_url: str, table: str) -> None:
    with PostgresCache[Any](postgres_url, table=table, timeout=20, on_error="raise") as cache:
        done = threading.Event()

        def clear() -> None:
            while not done.is_set():
                cache.clear_under(("n",))

        with ThreadPoolExecutor(3) as threads:
            clearing = threads.submit(clear)

            def write(which: int) -> None:
                for number in range(150):
                    keys = [(("n", str(each), "l" * 80 * (each % 2)), str(which)) for each in range(number % 7 + 1)]
                    cache.set(dict.fromkeys(keys, (number, None)))
                    assert set(cache.get(keys).values()) <= {number}

            try:
                for writing in [threads.submit(write, which) for which in range(2)]:
                    writing.result()
            finally:
                done.set()
            clearing.result()
        after = [(("n", "after", "l" * 80 * each), "key") for each in range(2)]
        cache.set(dict.fromkeys(after, ("after", None)))
        assert len(cache.get(after)) == 2
        cache.clear_under(("n",))
        assert cache.get(after) == {}
    assert_sound(postgres_url, table)


class Told:
    """A listener that keeps what it is told."""

    def __init__(self) -> None:
        self.names: list[bytes] = []
        self.everything = 0

    def changed(self, keys: Collection[EncodedKey]) -> None:
        pass

    def cleared(self, names: Sequence[bytes] | None) -> None:
        if names is None:
            self.everything += 1
        else:
            self.names += names

    def cleared_under(self, prefix: bytes) -> None:
        raise AssertionError("the server tells names")


def test_other_processes_that_have_copies_are_told(postgres_url: str, table: str) -> None:
    told = Told()
    with (
        PostgresCache[Any](postgres_url, table=table, on_error="raise", **PATIENT) as cache,
        PostgresCache[Any](postgres_url, table=table, on_error="raise", **PATIENT) as other,
    ):
        names = [("app", str(number), "l" * 80 * (number % 2)) for number in range(2000)]
        outside = [("apps", str(number)) for number in range(10)]
        keys = [(encode_namespace(name), b"key") for name in names + outside]
        store: Any = cache._store
        channel = store.listen(told)
        try:
            other.set({(name, "key"): (1, None) for name in names + outside})
            channel.expect(keys[:1])
            eventually(lambda: channel._session is not None)
            channel.catch_up(lambda: None)
            channel.expect(keys)
            other.clear_under(("app",))
            eventually(lambda: len(told.names) >= len(names))
            assert sorted(told.names) == sorted(encode_namespace(name) for name in names)
            assert told.everything == 0
        finally:
            channel.close()


def test_near_tiers_of_other_processes_follow(postgres_url: str, table: str) -> None:
    def tiers() -> TieredCache[Any]:
        return TieredCache(InMemoryCache(), PostgresCache[Any](postgres_url, table=table, **PATIENT), on_error="raise")

    with tiers() as cache, tiers() as other:
        inside = [(("app", str(number), "l" * 80 * (number % 2)), "key") for number in range(500)]
        outside = [(("apps", str(number)), "key") for number in range(10)]
        keys = [*inside, *outside]
        store: Any = cache._store
        eventually(lambda: cache.get(inside[:1]) == {} and store._far.is_told)
        for number in range(3):
            cache.set(dict.fromkeys(keys, (number, None)))
            eventually(lambda: len(cache.get(keys)) == len(cache.tiers[0].get(keys)) == len(keys))
            other.clear_under(("app",))
            eventually(lambda number=number: cache.get(keys) == dict.fromkeys(outside, number))


@pytest.mark.parametrize(("durability", "persistence"), [("normal", "u"), ("full", "p")])
def test_what_tables_of_the_first_format_hold_in_long_namespaces_is_gone(
    postgres_url: str, table: str, durability: Any, persistence: str
) -> None:
    """They have only digests of the names, of which nobody can tell what they begin with."""
    short, long = (("app", "short"), "key"), (("app", "l" * 80), "key")
    with PostgresCache[Any](postgres_url, table=table, durability=durability, on_error="raise", **PATIENT) as cache:
        cache.set({short: (1, None), long: (1, None)})
    ask(postgres_url, f"DROP TABLE {table}_leases")
    ask(postgres_url, f"ALTER TABLE {table}_namespaces DROP long_name")
    for suffix in ("", "_namespaces", "_counts", "_cleared", "_visited", "_state"):
        ask(postgres_url, f"COMMENT ON TABLE {table}{suffix} IS 'hitrate cache, format 1'")
    with PostgresCache[Any](postgres_url, table=table, on_error="raise", **PATIENT) as cache:
        assert cache.get([short, long]) == {short: 1}
        cache.set({long: (2, None)})
        assert cache.get([long]) == {long: 2}
        cache.clear_under(("app",))
        assert cache.get([short, long]) == {}
        store: Any = cache._store
        assert list(store.lease([(encode_namespace(("app",)), b"key")], b"t" * 16, 60)) == [0.0]
        eventually(lambda: store._keeper.request() or ask(postgres_url, f"SELECT count(*) FROM {table}") == [(0,)])
    kinds = ask(
        postgres_url,
        """SELECT DISTINCT relpersistence::text FROM pg_class
            WHERE starts_with(relname, %s) AND NOT starts_with(relname, %s)""",
        *(table, f"{table}_lifetime"),  # the counters are logged in any case
    )
    assert kinds == [(persistence,)]
    assert_sound(postgres_url, table)
