"""Eviction by worth in a file, `SqliteCache(evict="cost")`: what it saves, and that a file may be used either way."""

import random
import subprocess
import sys
import time

import apsw
import pytest
from tests.test_worth import TRACES, Work, share_saved, share_saved_by_gdsf

import hitrate
from hitrate import SqliteCache, TieredCache
from hitrate.langgraph import SqliteCache as SqliteCacheForGraphs
from hitrate.testing import Clock

PLACES = "worth_of_hitrate"


def rows(path, statement, *values):
    con = apsw.Connection(str(path))
    con.set_busy_timeout(10_000)
    try:
        return con.execute(statement, values).fetchall()
    finally:
        con.close()


def without_place(path):
    """Return how many rows have no place, and how many places have no row."""
    ((lacking,),) = rows(path, f"SELECT count(*) FROM hitrate_entries WHERE id NOT IN (SELECT entry FROM {PLACES})")
    ((left,),) = rows(path, f"SELECT count(*) FROM {PLACES} WHERE entry NOT IN (SELECT id FROM hitrate_entries)")
    return lacking, left


def wait_until(true):
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def put(cache, clock, seconds, names, namespace="ns", value=b"value"):
    """Set values that took so long."""
    for name in names:
        key = ((namespace,), name)
        cache.get([key])
        clock.advance(seconds)
        cache.set({key: (value, None)})


def names(many, prefix=""):
    return [f"{prefix}{number:03}" for number in range(many)]


def kept(cache, namespace="ns"):
    return {entry.key for entry in cache.entries() if entry.namespace == (namespace,)}


@pytest.mark.parametrize("name", TRACES)
def test_it_saves_as_many_seconds_as_gdsf_with_a_heap(tmp_path, name):
    dice = random.Random(5)
    work, trace = Work(dice), TRACES[name](dice)[:6_000]
    capacity = 4_000_000
    clock = Clock()
    with SqliteCache(path=tmp_path / "cost.db", max_bytes=capacity, evict="cost", clock=clock) as cache:
        ours = share_saved(cache, clock, work, trace)
        assert cache.stats().bytes <= capacity
    best = share_saved_by_gdsf(work, trace, capacity)
    assert ours >= best - 1, f"{ours:.1f} %, with a heap {best:.1f} %"
    assert without_place(tmp_path / "cost.db") == (0, 0)


@pytest.mark.parametrize("limit", [{"max_entries": 3}, {"max_bytes": 3 * 1100}])
@pytest.mark.parametrize("kind", [SqliteCache, SqliteCacheForGraphs])
def test_what_was_cheap_to_make_goes_first(tmp_path, limit, kind):
    for path in (tmp_path / "cache.db", ":memory:"):
        clock = Clock()
        with kind(path=path, evict="cost", clock=clock, **limit) as cache:
            for name, seconds in [("a", 50), ("b", 1), ("c", 20), ("d", 60)]:
                put(cache, clock, seconds, [name], value=bytes(1000))
            assert kept(cache) == {"a", "c", "d"}
            assert cache.stats().evictions == 1


def test_what_is_large_goes_first_where_all_cost_the_same(tmp_path):
    with SqliteCache(path=tmp_path / "cache.db", max_entries=3, evict="cost") as cache:
        for name, size in [("a", 10), ("b", 100_000), ("c", 10), ("d", 10)]:
            cache.set({(("ns",), name): (bytes(size), None)})
        assert kept(cache) == {"a", "c", "d"}


def test_a_batch_is_ranked_as_single_entries_are(tmp_path):
    clock = Clock()
    with SqliteCache(path=tmp_path / "cache.db", max_entries=4, evict="cost", clock=clock) as cache:
        cache.set({(("ns",), name): (bytes(size), None) for name, size in [("a", 10), ("b", 100_000), ("c", 10)]})
        put(cache, clock, 1, ["d", "e"])
        assert kept(cache) == {"a", "c", "d", "e"}


@pytest.mark.parametrize("known_before", [True, False])
def test_an_entry_without_seconds_counts_as_the_median(tmp_path, known_before):
    clock = Clock()
    path = tmp_path / "cache.db"
    cache = SqliteCache(path=path, max_entries=41, evict="cost", clock=clock)
    for name in names(40):
        put(cache, clock, 1 if int(name) % 2 else 100, [name], "timed")
    if not known_before:  # a process that has seen no seconds yet goes by what the file says
        put(cache, clock, 1, ["over", "and over"], "more")
        cache.close()
        cache = SqliteCache(path=path, max_entries=41, evict="cost", clock=clock)
    cache.set({(("ns",), "no"): (b"value", None)})
    put(cache, clock, 100, names(10), "later")
    left = kept(cache, "timed")
    assert all(name in left for name in names(40)[::2])
    assert kept(cache) == {"no"}
    cache.close()


def test_what_was_read_stays_longer(tmp_path):
    clock = Clock()
    with SqliteCache(path=tmp_path / "cache.db", max_entries=20, evict="cost", clock=clock, near_bytes=0) as cache:
        put(cache, clock, 1, names(20))
        cache.get([(("ns",), name) for name in names(5)])
        put(cache, clock, 1, names(14, "new "))
        assert kept(cache) >= {*names(5), *names(14, "new ")}


def test_what_was_worth_much_long_ago_goes_in_its_turn(tmp_path):
    clock = Clock()
    with SqliteCache(path=tmp_path / "cache.db", max_entries=20, evict="cost", clock=clock) as cache:
        put(cache, clock, 20, ["old"])
        put(cache, clock, 1, names(1000))
        assert "old" not in kept(cache)


def test_what_another_process_has_read_is_heeded(tmp_path):
    clock = Clock()
    path = tmp_path / "cache.db"
    with SqliteCache(path=path, max_entries=20, evict="cost", clock=clock) as cache:
        put(cache, clock, 1, names(20))
        rows(path, "UPDATE hitrate_entries SET visited = 1 WHERE id <= 5")
        put(cache, clock, 1, names(14, "new "))
        assert kept(cache) >= {*names(5), *names(14, "new ")}


# A file that is used with and without it


def test_a_file_without_places_is_given_them(tmp_path):
    path, clock = tmp_path / "cache.db", Clock()
    with SqliteCache(path=path, clock=clock) as cache:
        put(cache, clock, 100, names(100, "dear "))
        put(cache, clock, 1, names(100, "cheap "))
        put(cache, clock, 100, names(100, "dear too "))
    assert rows(path, "SELECT name FROM sqlite_schema WHERE name LIKE 'worth%'") == []
    with SqliteCache(path=path, max_entries=300, evict="cost", clock=clock) as cache:
        wait_until(lambda: without_place(path) == (0, 0) if has_places(path) else False)
        put(cache, clock, 100, names(90, "new "))
        assert {name.split()[0] for name in kept(cache)} == {"dear", "cheap", "new"}
        assert sum(name.startswith("cheap") for name in kept(cache)) <= 10


def has_places(path):
    return rows(path, "SELECT 1 FROM sqlite_schema WHERE name = 'worth_of_hitrate_order'") != []


def test_a_file_may_be_opened_with_either_in_turn(tmp_path):
    path, clock = tmp_path / "cache.db", Clock()
    for turn in range(3):
        with SqliteCache(path=path, max_entries=100, evict="cost", clock=clock) as cache:
            wait_until(lambda: has_places(path) and without_place(path)[0] == 0)
            put(cache, clock, 1, names(120, f"cost {turn} "))
            assert cache.stats().entries == 100
        with SqliteCache(path=path, max_entries=100, clock=clock) as cache:
            put(cache, clock, 1, names(60, f"sieve {turn} "))
            assert cache.stats().entries == 100
            cache.clear([("other",)])
    with SqliteCache(path=path, max_entries=100, evict="cost", clock=clock) as cache:
        put(cache, clock, 1, names(200, "last "))
        assert without_place(path) == (0, 0)
        assert not list(cache._store.check(False, int))


WRITER = """
import sys
from hitrate import SqliteCache
cache = SqliteCache(path=sys.argv[1], max_entries=300, evict=sys.argv[2])
for number in range(400):
    key = (("ns", sys.argv[3]), str(number % 250))
    if not cache.get([key]):
        cache.set({key: (number, None)})
    if number % 50 == 0:
        cache.delete([(("ns", sys.argv[3]), str(number % 250))])
assert cache.stats().errors == 0
cache.close()
"""


def test_processes_with_either_share_a_file(tmp_path):
    path = tmp_path / "cache.db"
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(path), evict, str(number)])
        for number, evict in enumerate(["cost", "sieve", "cost"])
    ]
    assert [writer.wait(120) for writer in writers] == [0, 0, 0]
    with SqliteCache(path=path, max_entries=300, evict="cost") as cache:
        stats = cache.stats()
        assert stats.entries == rows(path, "SELECT count(*) FROM hitrate_entries")[0][0] <= 300
        for number in range(600):
            cache.set({(("more",), str(number)): (number, None)})
        assert without_place(path) == (0, 0)
        assert not list(cache._store.check(False, int))


def test_the_usual_eviction_makes_no_table(tmp_path):
    with SqliteCache(path=tmp_path / "cache.db", max_entries=10) as cache:
        for number in range(50):
            cache.set({(("ns",), str(number)): (number, None)})
    assert not has_places(tmp_path / "cache.db")


def test_a_first_write_that_fails_leaves_the_table_to_the_next(tmp_path):
    path = tmp_path / "cache.db"
    with SqliteCache(path=path, evict="cost", on_error="raise") as cache:
        store = cache._store

        def fail(transaction):
            raise RuntimeError

        for _ in range(2):
            with pytest.raises(RuntimeError):
                store._database.transact(fail)
        cache.set({(("ns",), "key"): (1, None)})
        cache.set({(("ns",), "key2"): (1, None)})
        assert without_place(path) == (0, 0)


def test_a_prebuilt_file_is_read(tmp_path):
    path = tmp_path / "cache.db"
    with SqliteCache(path=path, max_entries=10, evict="cost") as cache:
        cache.set({(("ns",), "key"): (1, None)})
    with SqliteCache(path=path, read_only=True, evict="cost") as cache:
        assert cache.get([(("ns",), "key")]) == {(("ns",), "key"): 1}


ODD = [
    f"UPDATE {PLACES} SET priority = 'text'",
    f"UPDATE {PLACES} SET priority = x'00ff'",
    f"UPDATE {PLACES} SET priority = 9e999",
    f"UPDATE {PLACES} SET priority = -9e999",
    f"UPDATE {PLACES} SET rank = 'text'",
    f"UPDATE {PLACES} SET rank = -9223372036854775808",
    f"UPDATE {PLACES} SET hits = x'ff'",
    f"UPDATE {PLACES} SET hits = -5",
    f"UPDATE {PLACES} SET hits = 9223372036854775807",
    f"UPDATE {PLACES} SET entry = -entry",
    f"DELETE FROM {PLACES}",
    f"INSERT INTO {PLACES} SELECT entry + 1000000, priority, rank, hits FROM {PLACES}",
    "UPDATE hitrate_state SET value = 'text' WHERE name LIKE 'worth%'",
    "UPDATE hitrate_state SET value = x'ff' WHERE name LIKE 'worth%'",
    "UPDATE hitrate_state SET value = 9e999 WHERE name LIKE 'worth%'",
    "UPDATE hitrate_state SET value = -1e300 WHERE name LIKE 'worth%'",
    "UPDATE hitrate_state SET value = 9223372036854775807 WHERE name LIKE 'worth%'",
    "DELETE FROM hitrate_state WHERE name LIKE 'worth%'",
    "UPDATE hitrate_entries SET seconds = 'text'",
    "UPDATE hitrate_entries SET seconds = 9e999",
    "UPDATE hitrate_entries SET seconds = -1.0",
]


@pytest.mark.parametrize("odd", ODD)
def test_whatever_stands_in_the_table_sets_go_on_and_limits_hold(tmp_path, odd):
    path, clock = tmp_path / "cache.db", Clock()
    with SqliteCache(path=path, max_entries=30, evict="cost", clock=clock, on_error="raise") as cache:
        put(cache, clock, 1, names(60))
        rows(path, odd)
        for turn in range(4):
            cache.get([(("ns",), name) for name in names(60)])
            put(cache, clock, 1, names(20, f"{turn} "))
            assert cache.stats().entries <= 30
        cache.clear()
        put(cache, clock, 1, names(3))
        assert kept(cache) == {*names(3)}


@pytest.mark.parametrize(
    "odd",
    [
        "DROP INDEX worth_of_hitrate_order; CREATE INDEX worth_of_hitrate_order ON worth_of_hitrate (hits)",
        "DROP TABLE worth_of_hitrate; CREATE TABLE worth_of_hitrate (entry)",
        "CREATE TRIGGER t AFTER DELETE ON worth_of_hitrate BEGIN DELETE FROM hitrate_entries; END",
        "DROP TABLE worth_of_hitrate; CREATE VIEW worth_of_hitrate AS SELECT 1",
    ],
)
def test_a_table_that_is_not_as_we_make_it_is_told(tmp_path, odd):
    path = tmp_path / "cache.db"
    with SqliteCache(path=path, evict="cost") as cache:
        cache.set({(("ns",), "key"): (1, None)})
    rows(path, odd)
    with pytest.raises(hitrate.StoreError, match="does not have hitrate's tables"):
        SqliteCache(path=path, on_error="raise")


# Work and counts


def test_an_eviction_moves_a_bounded_number_of_places(tmp_path):
    path = tmp_path / "cache.db"
    with SqliteCache(path=path, max_entries=3_000, evict="cost") as cache:
        cache.set({(("ns",), name): (1, None) for name in names(3_000)})
        rows(path, "UPDATE hitrate_entries SET visited = 1")
        cache.set({(("ns",), "new"): (1, None)})
        ((moved,),) = rows(path, f"SELECT count(*) FROM {PLACES} WHERE hits > 1")
        assert 0 < moved <= 400
        assert cache.stats().entries <= 3_000


@pytest.mark.parametrize(
    "limit", [{"max_entries": 50}, {"max_bytes": 40_000}, {"max_entries": 60, "max_bytes": 30_000}]
)
def test_limits_hold_and_each_row_has_one_place_whatever_happens(tmp_path, limit):
    dice, clock = random.Random(7), Clock()
    path = tmp_path / "cache.db"
    with SqliteCache(path=path, evict="cost", clock=clock, on_error="raise", **limit) as cache:
        for step in range(1_200):
            key = (("ns", str(dice.randrange(4))), str(dice.randrange(60)))
            what = dice.random()
            if what < 0.5:
                cache.get([key])
            elif what < 0.9:
                clock.advance(dice.random())
                cache.set({key: (bytes(dice.randrange(1500)), dice.choice([None, None, 3, 0]))})
            elif what < 0.95:
                cache.set({(key[0], str(n)): (n, 5) for n in range(5)})
            elif what < 0.99:
                cache.delete([key])
            else:
                cache.clear(dice.choice([None, [key[0]]]))
            if step % 100 == 99:
                assert rows(path, "SELECT count(*) FROM hitrate_entries")[0][0] <= limit.get("max_entries", 1000)
                assert cache.stats().bytes <= limit.get("max_bytes", 1 << 30)
                assert without_place(path) == (0, 0)
        cache._store.compact()
        assert not list(cache._store.check(False, int))


def test_a_url_and_tiers_may_ask_for_it(tmp_path):
    with hitrate.open(f"sqlite:///{tmp_path}/cache.db?evict=cost&max_entries=2") as cache:
        for name, size in [("a", 10), ("b", 100_000), ("c", 10)]:
            cache.set({(("ns",), name): (bytes(size), None)})
        assert kept(cache) == {"a", "c"}
    with TieredCache(
        hitrate.InMemoryCache(), SqliteCache(path=tmp_path / "far.db", max_entries=2, evict="cost")
    ) as cache:
        for name, size in [("a", 10), ("b", 100_000), ("c", 10)]:
            cache.set({(("ns",), name): (bytes(size), None)})
        assert kept(cache) == {"a", "c"}


@pytest.mark.parametrize("wrong", ["lru", "COST", "", None, 1, ["cost"]])
def test_another_policy_is_refused_with_a_sentence(tmp_path, wrong):
    with pytest.raises(ValueError, match=r'^evict must be "sieve" or "cost", not '):
        SqliteCache(path=tmp_path / "cache.db", evict=wrong)
    assert not list(tmp_path.iterdir())
