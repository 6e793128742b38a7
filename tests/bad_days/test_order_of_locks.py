"""Finalisers within changes, on two threads at once: neither waits for the other (``exclusive.py`` has the order)."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from bad_days.test_interrupts import KINDS
from hitrate import InMemoryCache, SqliteCache, TieredCache
from hitrate.exclusive import Exclusive, within_change

DEADLINE = 60.0


def key(name: str) -> Any:
    return ("n",), name


def exclusive_of(cache: Any) -> Any:
    store = cache._store
    if isinstance(cache, InMemoryCache):
        return store.exclusive
    return store._database.exclusive if hasattr(store, "_database") else store._exclusive


ASKED: dict[str, Callable[[Any], Any]] = {
    "get": lambda cache: cache.get([key("s")]),
    "set": lambda cache: cache.set({key("s"): ("by a finaliser", None)}),
    "set many": lambda cache: cache.set({key("s"): ("by a finaliser", None), key("t"): (1, 60)}),
    "delete": lambda cache: cache.delete([key("s")]),
    "clear": lambda cache: cache.clear([("n",)]),
    "clear under": lambda cache: cache.clear_under(("n",)),
    "compute": lambda cache: cache.get_or_compute(key("s"), lambda: "by a finaliser"),
    "compute under a lease": lambda cache: cache.get_or_compute(key("s"), lambda: "by a finaliser", lease=60),
    "list": lambda cache: list(cache.entries()),
    "stats": lambda cache: cache.stats(),
    "close": lambda cache: cache.close(),
}
AFTER = {
    "set": "by a finaliser",
    "set many": "by a finaliser",
    "delete": None,
    "clear": None,
    "clear under": None,
}


@pytest.mark.parametrize("asked", ASKED)
@pytest.mark.parametrize("there", ["memory", "file", ":memory:", "tiers"])
@pytest.mark.parametrize("here", ["memory", "file", ":memory:", "tiers"])
def test_finalisers_of_two_changes_that_ask_for_each_others_stores_wait_for_neither(
    here: str, there: str, asked: str, tmp_path: Path
) -> None:
    (tmp_path / "1").mkdir()
    (tmp_path / "2").mkdir()
    with KINDS[here](tmp_path / "1") as one, KINDS[there](tmp_path / "2") as two:
        for cache in (one, two):
            cache.set({key("s"): ("old", None)})
        both = threading.Barrier(2)

        def finalise(other: Any) -> None:
            both.wait(DEADLINE)
            ASKED[asked](other)

        within_each_others_change((one, two), finalise)
        if asked in AFTER:
            for cache in (one, two):
                assert cache.get([key("s")]).get(key("s")) == AFTER[asked]
        if asked != "close":
            for cache in (one, two):
                cache.set({key("s"): ("new", None)})
                assert cache.get([key("s")]) == {key("s"): "new"}


def within_each_others_change(caches: tuple[Any, Any], finalise: Callable[[Any], None]) -> None:
    """Have a finaliser run within a change of each of two caches, on two threads, and ask for the other."""
    threads = [
        threading.Thread(target=exclusive_of(mine).run, args=(finalise, other), daemon=True)
        for mine, other in (caches, caches[::-1])
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE)
    assert not any(thread.is_alive() for thread in threads), "they wait for each other"


@pytest.mark.parametrize("asked", ASKED)
@pytest.mark.parametrize("far", ["file", ":memory:"])
def test_a_finaliser_within_a_change_of_the_nearest_tier_waits_for_no_change_of_the_tiers(
    far: str, asked: str, tmp_path: Path
) -> None:
    """Whoever changes the tiers changes the nearest one under their lock, and waits for it."""
    near = InMemoryCache()
    with TieredCache(near, KINDS[far](tmp_path)) as tiers:
        tiers.set({key("s"): ("old", None)})
        within, go_on = threading.Event(), threading.Event()

        def finalise() -> None:
            within.set()
            assert go_on.wait(DEADLINE)
            ASKED[asked](tiers)

        def change() -> None:
            go_on.set()
            near.set({key("t"): (1, None)})

        def change_tiers() -> None:
            assert within.wait(DEADLINE)
            with exclusive_of(tiers).lock:
                change()

        threads = [
            threading.Thread(target=exclusive_of(near).run, args=(finalise,), daemon=True),
            threading.Thread(target=change_tiers, daemon=True),
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(DEADLINE)
        assert not any(thread.is_alive() for thread in threads), "they wait for each other"
        if asked in AFTER:
            assert tiers.get([key("s")]).get(key("s")) == AFTER[asked]


@pytest.mark.parametrize("kind", ["memory", "file", ":memory:", "tiers"])
def test_a_log_line_is_not_written_within_a_change(kind: str, tmp_path: Path) -> None:
    """A handler has a lock: whoever holds it may be the thread of a finaliser that waits for the change."""
    options: dict[str, Any] = {"max_bytes": 4000}
    cache: Any
    if kind == "memory":
        cache = InMemoryCache(**options)
    elif kind == "tiers":
        cache = TieredCache(InMemoryCache(**options), SqliteCache(path=tmp_path / "cache.db"))
    else:
        cache = SqliteCache(path=":memory:" if kind == ":memory:" else tmp_path / "cache.db", **options)
    held: list[bool] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            held.append(within_change())

    handler = Handler()
    logging.getLogger("hitrate").addHandler(handler)
    try:
        with cache:
            cache.set({key("large"): ("x" * 8000, None)})
            for number in range(40):
                cache.set({key(str(number)): ("x" * 300, None)})
    finally:
        logging.getLogger("hitrate").removeHandler(handler)
    assert held
    assert not any(held)


def test_two_thousand_changes_that_were_put_off_are_carried_out_one_after_the_other() -> None:
    """Each looks for what was put off itself when it is done, and not within the look that it is part of."""
    outer, inner = Exclusive(outer=True), Exclusive()
    done: list[int] = []

    def within() -> None:
        for number in range(2000):
            one, other = (outer, inner) if number % 2 else (inner, outer)
            one.put_off(partial(one.run, other.put_off, partial(done.append, number)))

    outer.run(inner.run, within)
    outer.run(int)
    assert sorted(done) == list(range(2000))
    assert not outer.waiting
    assert not inner.waiting
