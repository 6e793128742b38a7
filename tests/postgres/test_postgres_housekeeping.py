"""What expires by the server's clock, what is cleared, what is evicted, and what goes away in the background."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from postgres_days import KEY, OTHER, SLACK, ask, assert_sound, eventually, within

from hitrate import PostgresCache
from hitrate.stores.postgres.statements import parts
from hitrate.testing import Clock
from servers.shared import PATIENT

NAMED = [(b"\x09namespace", b"key")]


def rows(url: str, table: str) -> int:
    ((count,),) = ask(url, f"SELECT count(*) FROM {table}")
    return int(count)


# The server's clock


def test_entries_expire_by_the_server_s_clock(postgres_url: str, table: str) -> None:
    with PostgresCache[Any](postgres_url, table=table, on_error="raise", **PATIENT) as cache:
        cache.set({KEY: ("value", 100), OTHER: ("for ever", None)})
        ((left,),) = ask(postgres_url, f"SELECT expiry - extract(epoch FROM now()) FROM {table} WHERE key = 'key'")
        assert 90 < left <= 100
        ask(postgres_url, f"UPDATE {table} SET expiry = expiry - 90")
        assert cache.get([KEY, OTHER]) == {KEY: "value", OTHER: "for ever"}
        ask(postgres_url, f"UPDATE {table} SET expiry = expiry - 11")
        assert cache.get([KEY, OTHER]) == {OTHER: "for ever"}
        assert cache.get([KEY]) == {}


@pytest.mark.parametrize("off", [-1e6, 1e6])
def test_a_process_whose_clock_is_wrong_neither_loses_nor_keeps_entries(
    postgres_url: str, table: str, off: float
) -> None:
    with (
        PostgresCache[Any](postgres_url, table=table, on_error="raise", **PATIENT) as right,
        PostgresCache[Any](postgres_url, table=table, on_error="raise", **PATIENT) as wrong,
    ):
        store: Any = wrong._store
        wrong._clock = store._clock.now = lambda: time.time() + off  # type: ignore[attr-defined]
        wrong.set({KEY: ("value", 100)})
        assert wrong.get([KEY]) == wrong.get([KEY, OTHER]) == {KEY: "value"}
        for found in (store.get(NAMED)[0], store.get([*NAMED, *NAMED])[1]):
            assert found[2] == pytest.approx(time.time() + off + 100, abs=10), "an expiry in another clock"
        assert right.get([KEY]) == {KEY: "value"}
        ((left,),) = ask(postgres_url, f"SELECT expiry - extract(epoch FROM now()) FROM {table}")
        assert 80 < left <= 100


@pytest.mark.parametrize("ttl", [10**12, 1e18, 1e300, 10**400])
def test_a_very_long_ttl_is_kept_by_the_server(postgres_url: str, table: str, ttl: float) -> None:
    with PostgresCache[Any](postgres_url, table=table, on_error="raise", **PATIENT) as cache:
        cache.set({KEY: ("value", ttl)})
        assert cache.get([KEY]) == cache.get([KEY, OTHER]) == {KEY: "value"}


def test_expired_entries_go_a_bounded_number_per_write(postgres_url: str, table: str) -> None:
    with PostgresCache[Any](postgres_url, table=table, on_error="raise", **PATIENT) as cache:
        cache.set({(("n",), str(number)): (number, 100) for number in range(300)})
        ask(postgres_url, f"UPDATE {table} SET expiry = expiry - 200")
        before = rows(postgres_url, table)
        cache._store._writer._purge_at = 0.0  # type: ignore[attr-defined] # a second has passed since the last look
        for _ in range(6):
            cache.set({KEY: (1, None)})
            after = rows(postgres_url, table)
            assert before - after <= 64
            before = after
        assert before == 1
        assert cache.stats().expirations == 300
    assert_sound(postgres_url, table)


# Clearing


def test_a_clear_is_as_quick_with_many_entries_as_with_few(postgres_url: str, table: str) -> None:
    with PostgresCache[Any](postgres_url, table=table, timeout=60, on_error="raise") as cache:
        for batch in range(10):
            cache.set({(("many",), f"{batch}.{number}"): (number, None) for number in range(10_000)})
        cache.set({KEY: ("stays", None)})
        keeper: Any = cache._store._keeper  # type: ignore[attr-defined]
        request, keeper.request = keeper.request, lambda: None
        cache.clear([("many",)])
        assert cache.get([(("many",), "0.0"), KEY]) == {KEY: "stays"}
        assert rows(postgres_url, table) == 100_001, "whoever clears removes no row, however many there are"
        cache.set({(("many",), "0.0"): ("new", None)})
        assert cache.stats().entries == 2
        cache.clear()
        assert cache.get([(("many",), "0.0"), KEY]) == {}
        assert rows(postgres_url, table) == 100_002
        keeper.request = request
        cache.set({KEY: ("new", None)})
        assert cache.get([KEY]) == {KEY: "new"}
        assert cache.stats().entries == 1
        eventually(lambda: keeper.request() or rows(postgres_url, table) == 1)
        assert cache.stats().entries == 1
    assert_sound(postgres_url, table)


def test_what_one_process_left_to_remove_another_does(postgres_url: str, table: str) -> None:
    with PostgresCache[Any](postgres_url, table=table, on_error="raise", **PATIENT) as cache:
        cache._store._keeper.request = lambda: None  # type: ignore[attr-defined]
        cache.set({(("many",), str(number)): (number, None) for number in range(1000)})
        cache.clear([("many",)])
        cache.set({(("more",), str(number)): (number, None) for number in range(1000)})
        cache.clear()
        assert rows(postgres_url, table) == 2000
        assert cache.stats().entries == cache.stats().bytes == 0
    with PostgresCache[Any](postgres_url, table=table, on_error="raise", **PATIENT) as cache:
        cache.set({KEY: ("new", None)})
        eventually(lambda: rows(postgres_url, table) == 1)
    assert_sound(postgres_url, table)


def test_a_clear_waits_for_nobody_and_keeps_nobody_waiting(postgres_url: str, table: str) -> None:
    keys = [(("busy",), str(number)) for number in range(100)]
    with PostgresCache[Any](postgres_url, table=table, timeout=20, on_error="raise") as cache:
        cache.set(dict.fromkeys(keys, ("old", None)))
        with psycopg.connect(postgres_url) as holder:
            holder.execute(f"SELECT FROM {table} FOR UPDATE")  # as a writer of all of them would
            with within(SLACK):
                cache.clear([("busy",)])
                assert cache.get(keys) == {}
                cache.set(dict.fromkeys(keys, ("new", None)))
                cache.clear()
                cache.set(dict.fromkeys(keys, ("newer", None)))
                assert cache.get(keys) == dict.fromkeys(keys, "newer")
                assert cache.stats().entries == 100
        eventually(lambda: cache._store._keeper.request() or rows(postgres_url, table) == 100)  # type: ignore[attr-defined]
    assert_sound(postgres_url, table)


@pytest.mark.parametrize("everything", [False, True])
def test_sets_that_begin_after_a_clear_survive_it(postgres_url: str, table: str, everything: bool) -> None:
    with PostgresCache[Any](postgres_url, table=table, timeout=20, on_error="raise") as cache:
        done = threading.Event()

        def clear() -> None:
            while not done.is_set():
                cache.clear(None if everything else [("n",)])

        with ThreadPoolExecutor(1) as threads:
            clearing = threads.submit(clear)
            try:
                for number in range(300):
                    cache.set({(("n",), str(number)): (number, None)})
                    assert cache.get([(("n",), str(number))]) in ({}, {(("n",), str(number)): number})
            finally:
                done.set()
            clearing.result()
        cache.set({KEY: ("after", None), (("n",), "after"): ("after", None)})
        assert len(cache.get([KEY, (("n",), "after")])) == 2
        eventually(lambda: cache._store._keeper.request() or rows(postgres_url, table) == cache.stats().entries)  # type: ignore[attr-defined]
    assert_sound(postgres_url, table)


def test_an_entry_that_lands_in_a_cleared_namespace_is_removed_later(postgres_url: str, table: str) -> None:
    """A writer that had begun before the clear may store under the number that the namespace had."""
    with PostgresCache[Any](postgres_url, table=table, on_error="raise", **PATIENT) as cache:
        cache.set({KEY: ("old", None)})
        cache.clear([KEY[0]])
        eventually(lambda: ask(postgres_url, f"SELECT emptied FROM {table}_cleared") == [(True,)])
        ask(postgres_url, f"INSERT INTO {table} (namespace, key, value) SELECT id, 'late', '' FROM {table}_cleared")
        ask(postgres_url, f"INSERT INTO {table}_counts VALUES (77, 1, {len('late') + parts.ROW_OVERHEAD})")
        assert cache.get([(KEY[0], "late")]) == {}
        ask(postgres_url, f"UPDATE {table}_cleared SET at = at - {parts.NOTE_SECONDS}")
        for number in range(8):
            cache.set({KEY: (number, None)})
        eventually(lambda: cache._store._keeper.request() or rows(postgres_url, table) == 1)  # type: ignore[attr-defined]
        ask(postgres_url, f"UPDATE {table}_cleared SET at = at - {parts.NOTE_SECONDS}")
        eventually(
            lambda: cache._store._keeper.request() or ask(postgres_url, f"SELECT FROM {table}_cleared") == []  # type: ignore[attr-defined]
        )
    assert_sound(postgres_url, table)


def test_namespaces_without_entries_go_away(postgres_url: str, table: str) -> None:
    def namespaces() -> int:
        ((count,),) = ask(postgres_url, f"SELECT count(*) FROM {table}_namespaces")
        return int(count)

    with PostgresCache[Any](postgres_url, table=table, on_error="raise", **PATIENT) as cache:
        passing = [((f"thread {number}",), "key") for number in range(300)]
        cache.set({KEY: ("stays", None), **dict.fromkeys(passing, ("passes", None))})
        assert namespaces() == 301
        assert cache.delete(passing) == 300
        marked = f"SELECT count(*) FROM {table}_namespaces WHERE leaving IS NOT NULL"
        eventually(lambda: ask(postgres_url, marked) == [(300,)])
        cache.set({passing[0]: ("is back", None)})
        assert ask(postgres_url, marked) == [(299,)]
        ask(postgres_url, f"UPDATE {table}_namespaces SET leaving = leaving - {parts.NOTE_SECONDS}")
        ask(  # by a writer that had begun before the mark
            postgres_url,
            f"""INSERT INTO {table} (namespace, key, value)
                SELECT id, 'late', '' FROM {table}_namespaces WHERE leaving IS NOT NULL LIMIT 1""",
        )
        eventually(lambda: cache._store._keeper.request() or namespaces() == 3)  # type: ignore[attr-defined]
        assert cache.get([KEY, *passing]) == {KEY: "stays", passing[0]: "is back"}


# Eviction


def test_entries_that_another_process_reads_outlive_those_that_nobody_does(
    postgres_url: str, table: str, clock: Clock
) -> None:
    keys = [(("n",), str(number)) for number in range(3000)]
    with (
        PostgresCache[Any](postgres_url, table=table, max_entries=3000, on_error="raise", **PATIENT) as reader,
        PostgresCache[Any](postgres_url, table=table, max_entries=3000, on_error="raise", **PATIENT) as writer,
    ):
        writer.set({key: (key[1], None) for key in keys})
        reader.get(keys[:1500])
        eventually(lambda: rows(postgres_url, f"{table}_visited") == 1500)
        for number in range(0, 1000, 10):
            writer.set({(("new",), str(number + each)): (number, None) for each in range(10)})
        assert len(reader.get(keys[:1500])) == 1500
        assert writer.stats().evictions >= 1000
        assert writer.stats().entries <= 3000
    assert_sound(postgres_url, table)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_marks_of_visits_go_with_the_hand(postgres_url: str, table: str) -> None:
    with PostgresCache[Any](postgres_url, table=table, max_entries=20, on_error="raise", **PATIENT) as cache:
        for number in range(400):
            cache.set({(("n",), str(number)): (number, None)})
            cache.get([(("n",), str(each)) for each in range(number - 5, number)])
            if number % 7 == 0:
                cache.delete([(("n",), str(number - 1))])
        ((marks,),) = ask(postgres_url, f"SELECT count(*) FROM {table}_visited")
        assert marks <= 2 * 20
        assert cache.stats().entries <= 20
    assert_sound(postgres_url, table)


def test_writers_do_not_take_turns_while_there_is_room(postgres_url: str, table: str) -> None:
    with PostgresCache[Any](postgres_url, table=table, timeout=20, on_error="raise") as cache:
        cache.set({KEY: (0, None)})
        with psycopg.connect(postgres_url) as holder:
            holder.execute(cache._store.statements.bounds.lock.text)  # type: ignore[attr-defined]
            with within(SLACK):
                for number in range(20):
                    cache.set({KEY: (number, None), (("n",), str(number)): (number, None)})
                    cache.delete([OTHER])


def test_totals_are_exact_when_a_thousand_writes_meet(postgres_url: str, table: str) -> None:
    with PostgresCache[Any](postgres_url, table=table, timeout=20, on_error="raise") as cache:

        def write(number: int) -> None:
            cache.set({(("n",), str(each)): ("x" * (number % 50), None) for each in range(number % 7, number % 7 + 5)})
            if number % 3 == 0:
                cache.delete([(("n",), str(number % 11))])

        with ThreadPoolExecutor(8) as threads:
            list(threads.map(write, range(1000)))
        assert cache.stats().entries == rows(postgres_url, table)
    assert_sound(postgres_url, table)


def test_a_read_of_many_keys_stays_quick_whatever_the_server_believes_of_the_table(
    postgres_url: str, table: str
) -> None:
    """A statement that was planned for an empty table still finds its rows by the index when there are many."""
    with PostgresCache[Any](postgres_url, table=table, timeout=30, max_connections=1, on_error="raise") as cache:
        for _ in range(10):
            cache.get([KEY])
            cache.get([KEY, OTHER])
            cache.get([KEY, (("another",), "key")])
            cache.set({KEY: (1, None)})
            cache.set({KEY: (1, None), OTHER: (2, None)})
            cache.delete([KEY, OTHER])
        for batch in range(10):
            cache.set({(("n",), f"{batch}.{number}"): (number, None) for number in range(5000)})
        scans = f"SELECT seq_scan, seq_tup_read FROM pg_stat_user_tables WHERE relname = '{table}'"
        flush = "SELECT pg_stat_force_next_flush()"
        ask(postgres_url, flush)
        before = eventually(lambda: ask(postgres_url, scans))
        keys = [(("n",), f"3.{number}") for number in range(50)]
        for _ in range(10):
            assert len(cache.get(keys)) == 50
            assert len(cache.get([*keys, KEY])) == 50
            cache.set(dict.fromkeys(keys, (1, None)))
            cache.delete([KEY])
        cache.close()
        ((_, read),) = before
        ((_, read_now),) = ask(postgres_url, scans)
        assert read_now - read < 50_000, "it looked through the table"


# Counts


@pytest.mark.parametrize("emptied", ["{0}", "{0}_counts", "{0}, {0}_namespaces"])
@pytest.mark.parametrize("bounded", [True, False])
def test_counts_heal_after_tables_were_emptied_by_hand(
    postgres_url: str, table: str, emptied: str, bounded: bool
) -> None:
    with PostgresCache[Any](
        postgres_url, table=table, max_entries=200 if bounded else None, max_bytes=None, on_error="raise", **PATIENT
    ) as cache:
        keys = [(("n",), str(number)) for number in range(150)]
        cache.set(dict.fromkeys(keys, (1, None)))
        ask(postgres_url, f"TRUNCATE {emptied.format(table)}")
        cache.delete(keys[:101])
        assert cache.stats().entries == rows(postgres_url, table)
        cache.clear()
        assert cache.stats().entries == 0
        assert cache.stats().bytes == 0
        cache.set({KEY: (1, None)})
        assert cache.stats().entries == 1


def test_nothing_is_evicted_for_entries_that_are_gone(postgres_url: str, table: str) -> None:
    with PostgresCache[Any](postgres_url, table=table, max_entries=100, on_error="raise", **PATIENT) as cache:
        cache.set({(("n",), str(number)): (number, None) for number in range(100)})
        ask(postgres_url, f"TRUNCATE {table}")
        kept = {(("n",), f"new {number}"): (number, None) for number in range(80)}
        for key, pair in kept.items():
            cache.set({key: pair})
        assert len(cache.get(list(kept))) == 80
        assert cache.stats().evictions == 0
        assert cache.stats().entries == 80
