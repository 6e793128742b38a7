"""What is the file's own: slots, totals, clearing, eviction, housekeeping."""

import os
import threading
import time
from contextlib import closing

import apsw
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hitrate import SerializationError, SqliteCache
from hitrate.entry import fingerprint
from hitrate.keys import encode_namespace
from hitrate.stores.sqlite import clearing, schema, usage
from hitrate.stores.sqlite.clearing import remove_cleared
from hitrate.stores.sqlite.rows import pack_key, slot_of
from hitrate.testing import Clock

# Pairs of keys of this namespace whose fingerprints begin with the same 40 bits; found by search.
COLLISIONS = ("collisions",)
PAIRS = [("key-492775", "key-740052"), ("key-715327", "key-1123555"), ("key-1205970", "key-1213612")]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "cache.db"


@pytest.fixture
def clock():
    return Clock()


def rows(path, sql="SELECT count(*) FROM hitrate_entries", *args):
    # Not by sqlite3: two SQLite libraries in one process must not have one file open.
    with closing(apsw.Connection(str(path))) as con:
        con.set_busy_timeout(5000)
        return con.execute(sql, args).fetchall()


def until(condition, seconds=60.0):
    """Wait for a condition that a background thread brings about."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came about"
        time.sleep(0.005)


def check_totals(path):
    """The totals on the newest row are what counting and adding give."""
    newest = rows(path, "SELECT total_entries, total_bytes FROM hitrate_entries ORDER BY id DESC LIMIT 1")
    counted = rows(path, "SELECT count(*), total(length(key) + length(payload) + 64) FROM hitrate_entries")
    assert newest == ([] if counted[0][0] == 0 else counted)


@pytest.mark.parametrize("pair", PAIRS)
def test_keys_that_share_a_slot_are_two_entries(path, pair):
    name = encode_namespace(COLLISIONS)
    one, other = pair
    assert slot_of(fingerprint(name, one.encode())) == slot_of(fingerprint(name, other.encode()))
    first, second = (COLLISIONS, one), (COLLISIONS, other)
    with SqliteCache(path=path) as cache:
        cache.set({first: ("one", None)})
        assert cache.get([second]) == {}
        cache.set({second: ("other", None)})
        assert cache.get([first]) == {first: "one"}
        assert cache.get([second, first]) == {second: "other", first: "one"}
        cache.set({first: ("one more", None)})
        cache.set({first: ("again", None), second: ("both", None)})
        assert cache.get([first, second]) == {first: "again", second: "both"}
        assert cache.delete([first]) == 1
        assert cache.get([first, second]) == {second: "both"}
        assert cache.stats().entries == 1
    check_totals(path)


@given(st.binary(max_size=40) | st.binary(min_size=16, max_size=16).map(lambda raw: raw.hex().encode()))
def test_a_packed_key_meets_no_other(key):
    # Keys are UTF-8, which never holds 0xff; the packed form begins with it.
    packed = pack_key(key)
    if packed != key:
        assert packed[0] == 0xFF
        assert packed[1:].hex().encode() == key
        assert len(packed) == 17


def test_a_digest_with_capital_letters_is_another_key(path):
    low, high = (("ns",), "ab" * 16), (("ns",), "AB" * 16)
    with SqliteCache(path=path) as cache:
        cache.set({low: (1, None), high: (2, None)})
        assert cache.get([low, high]) == {low: 1, high: 2}


keys = st.tuples(st.sampled_from([("a",), ("b",), ()]), st.sampled_from("xyz"))
changes = st.one_of(
    st.tuples(st.just("set"), st.dictionaries(keys, st.integers(0, 10**9).map(str), min_size=1)),
    st.tuples(st.just("delete"), st.lists(keys)),
    st.tuples(st.just("clear"), st.none() | st.lists(st.sampled_from([("a",), ("b",), ()]))),
    st.tuples(st.just("expire"), st.dictionaries(keys, st.just("short"), min_size=1)),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(changes, max_size=25), st.sampled_from([None, 2, 4]))
def test_the_totals_are_exact_after_any_history(tmp_path_factory, history, max_entries):
    path = tmp_path_factory.mktemp("totals") / "cache.db"
    clock = Clock()
    with SqliteCache(path=path, clock=clock, max_entries=max_entries) as cache:
        for what, argument in history:
            if what == "set":
                cache.set({key: (value, None) for key, value in argument.items()})
            elif what == "expire":
                cache.set({key: (value, 5) for key, value in argument.items()})
                clock.advance(10)
            elif what == "delete":
                cache.delete(argument)
            else:
                cache.clear(argument)
            stats = cache.stats()
            assert stats.entries >= 0
            assert stats.bytes >= 0
            assert max_entries is None or stats.entries <= max_entries
        until(lambda: rows(path, "SELECT count(*) FROM hitrate_cleared") == [(0,)])
        until(lambda: [(cache.stats().entries,)] == rows(path))  # the keeper may be removing what has expired
    check_totals(path)


def test_clearing_removes_the_rows_in_the_background(path):
    with SqliteCache(path=path) as cache:
        cache.set({(("big",), str(number)): (number, None) for number in range(5000)})
        cache.set({(("small",), "kept"): ("kept", None)})
        cache.clear([("big",)])
        assert cache.stats().entries == 1
        cache.set({(("big",), "new"): ("new", None)})
        until(lambda: rows(path) == [(2,)])
        assert cache.get([(("small",), "kept"), (("big",), "new"), (("big",), "7")]) == {
            (("small",), "kept"): "kept",
            (("big",), "new"): "new",
        }
    check_totals(path)


def steps_of(cache, call):
    """How many steps SQLite's machine takes for a call, in hundreds."""
    steps = []
    handle = cache._store._connections.idle[-1]
    handle.con.set_progress_handler(lambda: bool(steps.append(1)), 100)
    try:
        return call(), len(steps)
    finally:
        handle.con.set_progress_handler(None)


@pytest.mark.parametrize(
    ("kept", "cleared", "namespaces"),
    [
        (10, 0, 1),
        (10, 100, 1),
        (10, 30_000, 1),
        (10, 30_000, 400),
        (400, 30_000, 1),
        (0, 30_000, 3),
        (30_000, 500, 400),
    ],
)
def test_what_is_live_is_counted_without_a_look_at_all_that_was_cleared(path, kept, cleared, namespaces):
    with SqliteCache(path=path) as cache:
        cache._store._housekeeper._keeper.request = lambda: None  # nothing is removed meanwhile
        cache.set({(("gone", str(n % namespaces)), str(n)): ("x" * 100, None) for n in range(cleared)})
        cache.set({(("kept", str(n % namespaces)), str(n)): ("y" * 20, None) for n in range(kept)})
        before = cache.stats().bytes
        cache.clear([("gone", str(n)) for n in range(namespaces)])
        stats, hundreds = steps_of(cache, cache.stats)
        assert stats.entries == kept
        assert hundreds < 1000, "as many steps as rows wait to be removed"
        assert before == size_of(path, "gone") + size_of(path, "kept")
        exactly = size_of(path, "kept")
        if min(kept, cleared) < 200 and namespaces < 200:
            assert stats.bytes == exactly
        else:
            assert abs(stats.bytes - exactly) <= before / 20


@pytest.mark.parametrize(
    ("kept", "cleared", "namespaces", "all_at_once"),
    [
        (24_000, 9_000, 1, False),
        (9_000, 24_000, 3, False),
        (12_000, 12_000, 7, True),
        (12_000, 12_000, 600, False),
        (20_000, 6_000, 600, True),
    ],
)
def test_where_many_are_live_and_many_were_cleared_the_shorter_side_is_estimated(
    path, kept, cleared, namespaces, all_at_once, monkeypatch
):
    monkeypatch.setattr(usage, "_COUNTED_AT_MOST", 2048)
    monkeypatch.setattr(clearing, "STEP_SECONDS", 60)  # how much is removed below does not hang on the machine
    with SqliteCache(path=path) as cache:
        cache._store._housekeeper._keeper.request = lambda: None
        cache.set({(("gone", str(n % namespaces)), str(n)): ("x" * (n % 100), None) for n in range(cleared)})
        if all_at_once:
            cache.clear()
        before = cache.stats().bytes
        cache.set({(("kept", str(n % namespaces)), str(n)): ("y" * 30, None) for n in range(kept)})
        kept_bytes = cache.stats().bytes - before
        cache.clear([("gone", str(n)) for n in range(namespaces)])
        for _ in range(2):
            stats, hundreds = steps_of(cache, cache.stats)
            assert hundreds < 2_000, "as many steps as there are rows"
            assert abs(stats.entries - kept) <= 0.1 * min(kept, cleared)
            assert abs(stats.bytes - kept_bytes) <= 0.05 * kept_bytes
            for _ in range(20):  # what waits is as much again once the first of it is gone
                cache._store._database.transact(lambda transaction: remove_cleared(transaction, 256))


@pytest.mark.parametrize(("kept", "cleared"), [(24_000, 9_000), (9_000, 24_000), (12_000, 12_000)])
def test_thousands_that_are_live_while_thousands_wait_are_counted_exactly(path, kept, cleared, monkeypatch):
    monkeypatch.setattr(usage, "_PATIENCE", 60)
    with SqliteCache(path=path) as cache:
        cache._store._housekeeper._keeper.request = lambda: None
        cache.set({(("gone",), str(n)): (n, None) for n in range(cleared)})
        cache.set({(("kept",), str(n)): (n, None) for n in range(kept)})
        cache.clear([("gone",)])
        assert cache.stats().entries == kept


def size_of(path, namespace):
    """The bytes of the rows whose payloads are those of one kind in the test."""
    letter = {"gone": b"x", "kept": b"y"}[namespace]
    sql = "SELECT total(length(key) + length(payload) + 64) FROM hitrate_entries WHERE instr(payload, ?) > 0"
    return rows(path, sql, letter * 20)[0][0]


def test_clearing_everything_leaves_no_bytes_while_rows_wait(path):
    with SqliteCache(path=path) as cache:
        cache._store._housekeeper._keeper.request = lambda: None
        cache.set({(("ns", str(n % 7)), str(n)): (n, None) for n in range(5_000)})
        cache.clear()
        stats = cache.stats()
        assert (stats.entries, stats.bytes) == (0, 0)
        assert rows(path) == [(5_000,)]


def test_what_a_dead_process_left_cleared_is_removed_by_the_next(path):
    with SqliteCache(path=path) as cache:
        cache._store._housekeeper._keeper.request = cache._store._housekeeper._tidy_up = lambda: (
            None
        )  # as if the process died right after
        cache.set({(("big",), str(number)): (number, None) for number in range(2000)})
        cache.clear()
    assert rows(path) == [(2000,)]
    with SqliteCache(path=path) as cache:
        assert cache.stats().entries == 0
        until(lambda: rows(path) == [(0,)])


def test_a_namespace_cleared_again_and_again_takes_no_room(path):
    with SqliteCache(path=path) as cache:
        for number in range(300):
            cache.set({(("ns",), str(each)): (number, None) for each in range(3)})
            cache.clear([("ns",)] if number % 3 else None)
        until(lambda: rows(path) == [(0,)])
    assert os.path.getsize(path) < 400_000


def test_the_bases_of_cleared_namespaces_are_used_again_once_all_have_been(path):
    last = (("last",), "key")
    with SqliteCache(path=path) as cache:
        cache.set({last: (1, None)})
        with closing(apsw.Connection(str(path))) as con:
            con.execute("UPDATE hitrate_state SET value = ? WHERE name = 'next_base'", (schema.BASES - 1,))
        for number in range(5):
            cache.set({((str(number),), "key"): (number, None)})
        assert cache.get([((str(number),), "key") for number in range(5)]) == {
            ((str(number),), "key"): number for number in range(5)
        }
        assert cache.get([last]) == {last: 1}
    bases = [base for (base,) in rows(path, "SELECT base FROM hitrate_namespaces")]
    assert len(set(bases)) == 6
    assert all(0 <= base < 2**63 - schema.SLOTS + 1 for base in bases)


def test_expired_entries_leave_the_file_a_bounded_number_per_write(path, clock):
    with SqliteCache(path=path, clock=clock) as cache:
        cache._store._housekeeper._keeper.request = lambda: None  # by the writes alone
        cache.set({(("ns",), str(number)): (number, 10) for number in range(200)})
        clock.advance(11)
        cache.set({(("ns",), "new"): (0, None)})
        left = rows(path)[0][0]
        assert 100 < left < 201
        for number in range(40):
            cache.set({(("ns",), f"new {number}"): (0, None)})
        assert rows(path) == [(41,)]
        assert cache.stats().expirations == 200
    check_totals(path)


def test_entries_that_another_process_expired_are_purged_too(path, clock):
    with SqliteCache(path=path, clock=clock) as one, SqliteCache(path=path, clock=clock) as other:
        one.set({(("ns",), "short"): (1, 5)})
        clock.advance(6)
        for number in range(20):
            other.set({(("ns",), str(number)): (number, None)})
        assert rows(path) == [(20,)]


def test_an_entry_that_was_read_outlives_those_that_were_not(path):
    with SqliteCache(path=path, max_entries=10) as cache:
        for number in range(10):
            cache.set({(("ns",), str(number)): (number, None)})
        cache.get([(("ns",), "0"), (("ns",), "3")])
        for number in range(10, 17):
            cache.set({(("ns",), str(number)): (number, None)})
        left = set(cache.get([(("ns",), str(number)) for number in range(17)]).values())
        assert left == {0, 3, 9, *range(10, 17)}
        assert cache.stats().evictions == 7
    check_totals(path)


def test_bytes_are_bounded_whatever_the_sizes(path):
    with SqliteCache(path=path, max_bytes=50_000) as cache:
        for number in range(200):
            cache.set({(("ns",), str(number)): ("x" * (number * 37 % 3000), None)})
            assert cache.stats().bytes <= 50_000
        assert cache.stats().evictions > 50
        assert cache.stats().entries > 10
    check_totals(path)


def test_a_value_larger_than_the_cache_is_not_stored_and_says_so(path, caplog):
    with SqliteCache(path=path, max_bytes=5_000) as cache:
        cache.set({(("ns",), "kept"): ("small", None)})
        cache.set({(("ns",), "large"): ("x" * 6_000, None)})
        assert cache.get([(("ns",), "large"), (("ns",), "kept")]) == {(("ns",), "kept"): "small"}
    assert "max_bytes" in caplog.text


def test_two_handles_on_one_file_are_one_cache(path):
    with SqliteCache(path=path) as one, SqliteCache(path=path) as other:
        key = (("ns",), "key")
        one.set({key: ("by one", None)})
        assert other.get([key]) == {key: "by one"}
        other.clear([("ns",)])
        assert one.get([key]) == {}
        one.set({key: ("again", None)})
        assert other.get([key]) == {key: "again"}
        assert one.stats().entries == other.stats().entries == 1


def test_a_read_does_not_wait_for_a_writer(path):
    key = (("ns",), "key")
    with SqliteCache(path=path) as cache, closing(apsw.Connection(str(path))) as writer:
        cache.set({key: ("old", None)})
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("DELETE FROM hitrate_entries")
        assert cache.get([key]) == {key: "old"}
        writer.execute("ROLLBACK")


def test_the_wal_is_folded_into_the_file_by_the_keeper(path):
    with SqliteCache(path=path) as cache:
        for number in range(3000):
            cache.set({(("ns",), str(number)): ("x" * 500, None)})
        until(lambda: os.path.getsize(path) > 1_000_000)
        # And the -wal begins anew.
        until(lambda: cache.set({(("ns",), "more"): (1, None)}) or cache._store._connections.wal_pages < 1000)


def test_threads_each_find_what_they_wrote(path):
    wrong = []
    with SqliteCache(path=path) as cache:

        def work(thread):
            for number in range(200):
                key = ((str(thread),), str(number % 20))
                cache.set({key: ((thread, number), None)})
                if cache.get([key]) != {key: (thread, number)}:
                    wrong.append(key)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert wrong == []
        assert cache.stats().entries == 160
        assert cache.stats().errors == 0
    check_totals(path)


@pytest.mark.parametrize(
    "returned", [("text", "no bytes"), ("text", 7), (None, b"bytes"), ("\ud800", b"bytes"), None, ("one",)]
)
def test_a_serializer_that_breaks_its_protocol_is_named_and_harms_no_file(path, returned):
    class Broken:
        def dumps_typed(self, obj):
            return returned

        def loads_typed(self, data):
            return data

    with SqliteCache(path=path) as cache:
        cache.set({(("ns",), "kept"): ("kept", None)})
    with SqliteCache(path=path, serde=Broken()) as cache, pytest.raises(SerializationError, match="Broken"):
        cache.set({(("ns",), "key"): ("value", None)})
    with SqliteCache(path=path) as cache:
        assert cache.get([(("ns",), "kept")]) == {(("ns",), "kept"): "kept"}
