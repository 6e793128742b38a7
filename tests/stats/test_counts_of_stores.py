"""The counters that a store keeps beyond the process."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import uuid4

import apsw
import psycopg
import pytest
import redis

import hitrate
from hitrate import RedisCache, SqliteCache
from hitrate.errors import StoreError
from hitrate.keys import encode_namespace
from hitrate.stores import lifetime
from hitrate.stores.base import Store
from servers.shared import PATIENT

NAME, OTHER = encode_namespace(("a", "b")), encode_namespace(("é\ud800", ""))


def store_of(cache: Any) -> Store:
    store: Store = cache._store
    return store


def test_amounts_add_up_and_outlive_the_cache(url: str) -> None:
    with hitrate.open(url) as cache:
        store = store_of(cache)
        assert store.read_counts() == {}
        assert store.add_counts({(NAME, "hits"): 2, (NAME, "seconds_saved"): 0.25, (OTHER, "tokens:mödel"): 7})
        assert store.add_counts({(NAME, "hits"): 3, (b"", "hits"): 1})
    with hitrate.open(url) as cache:
        assert store_of(cache).add_counts({(NAME, "hits"): 1})
        assert store_of(cache).read_counts() == {
            (NAME, "hits"): 6,
            (NAME, "seconds_saved"): 0.25,
            (OTHER, "tokens:mödel"): 7,
            (b"", "hits"): 1,
        }


def test_a_clear_leaves_the_counters(url: str) -> None:
    with hitrate.open(url) as cache:
        cache.set({(("a", "b"), "k"): (1, None)})
        store_of(cache).add_counts({(NAME, "hits"): 2})
        cache.clear([("a", "b")])
        cache.clear_under(("a",))
        cache.clear()
        assert store_of(cache).read_counts() == {(NAME, "hits"): 2}


def test_namespaces_beyond_the_bound_are_summed(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lifetime, "NAMESPACES_AT_MOST", 3)
    names = [encode_namespace((f"n{i}",)) for i in range(6)]
    with hitrate.open(url) as cache, hitrate.open(url) as another:
        store_of(cache).add_counts({(name, "hits"): 1 for name in names[:2]})
        store_of(another).add_counts({(name, "hits"): 1 for name in names[2:]})
        store_of(cache).add_counts({(name, "hits"): 1 for name in names})
        counts = store_of(cache).read_counts()
        assert counts == {**{(name, "hits"): 2 for name in names[:3]}, (lifetime.REST, "hits"): 6}


def test_a_namespace_of_any_length_is_counted(url: str) -> None:
    long = encode_namespace(("x" * 5000,))
    with hitrate.open(url) as cache:
        store_of(cache).add_counts({(long, "hits"): 1, (long, "misses"): 2})
        assert store_of(cache).read_counts() == {(lifetime.REST, "hits"): 1, (lifetime.REST, "misses"): 2}


def test_a_cluster_keeps_them_too(cluster_url: str) -> None:
    client = redis.RedisCluster.from_url(cluster_url)
    with RedisCache(client, prefix=f"{uuid4().hex}:", **PATIENT) as cache:
        store_of(cache).add_counts({(NAME, "hits"): 2})
        store_of(cache).add_counts({(NAME, "hits"): 2})
        assert store_of(cache).read_counts() == {(NAME, "hits"): 4}
    client.close()


def test_what_is_only_read_is_read_and_not_written(tmp_path: Path) -> None:
    path = tmp_path / "cache.db"
    with SqliteCache(path=path) as cache:
        cache.set({(("a",), "k"): (1, None)})
        store_of(cache).add_counts({(NAME, "hits"): 2})
    before = path.read_bytes()
    with SqliteCache(path=path, read_only=True) as cache:
        assert cache.get([(("a",), "k")])
        assert not store_of(cache).add_counts({(NAME, "hits"): 5})
        assert (store_of(cache).read_counts() or {})[NAME, "hits"] == 2
    assert path.read_bytes() == before


def test_rows_that_were_written_by_hand_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "cache.db"
    with SqliteCache(path=path) as cache:
        cache.set({(("a",), "k"): (1, None)})
        store_of(cache).add_counts({(NAME, "hits"): 2})
    con = apsw.Connection(str(path))
    con.set_busy_timeout(10_000)
    con.execute("INSERT INTO counts_of_hitrate VALUES ('text', x'00', 1.0), (x'00', x'ff', 1.0), (x'01', 'text', 1.0)")
    con.execute("INSERT INTO counts_of_hitrate VALUES (x'02', x'61', 'much')")
    con.close()
    with SqliteCache(path=path) as cache:
        own = {(encode_namespace(("a",)), "sets"): 1}
        assert store_of(cache).read_counts() == {(NAME, "hits"): 2, **own}
        store_of(cache).add_counts({(NAME, "hits"): 1})
        assert store_of(cache).read_counts() == {(NAME, "hits"): 3, **own}
        assert cache.get([(("a",), "k")]) == {(("a",), "k"): 1}


def test_another_definition_of_the_table_is_a_tampered_file(tmp_path: Path) -> None:
    path = tmp_path / "cache.db"
    SqliteCache(path=path).close()
    con = apsw.Connection(str(path))
    con.execute("CREATE TABLE counts_of_hitrate (name)")
    con.close()
    with pytest.raises(StoreError, match="counts_of_hitrate"):
        SqliteCache(path=path, on_error="raise").get([(("a",), "k")])


def test_without_the_right_to_make_a_table_nothing_else_fails(postgres_url: str) -> None:
    table, user = f"t{uuid4().hex[:12]}", f"u{uuid4().hex[:12]}"
    joint = "&" if "?" in postgres_url else "?"
    with hitrate.open(f"{postgres_url}{joint}table={table}") as cache:
        cache.set({(("a",), "k"): (1, None)})
    with psycopg.connect(postgres_url, autocommit=True) as con:
        con.execute(f"CREATE ROLE {user} LOGIN")
        con.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
        tables = f"SELECT tablename FROM pg_tables WHERE tablename LIKE '{table}%' AND tablename NOT LIKE '%lifetime'"
        for (each,) in con.execute(tables).fetchall():  # type: ignore[arg-type]
            con.execute(f"GRANT ALL ON {each} TO {user}")
        con.execute(f"DROP TABLE IF EXISTS {table}_lifetime")
    url = psycopg.conninfo.make_conninfo(postgres_url, user=user)
    with hitrate.PostgresCache(url, table=table) as cache:
        with pytest.raises(StoreError, match="permission"):
            store_of(cache).add_counts({(NAME, "hits"): 1})
        assert cache.get([(("a",), "k")]) == {(("a",), "k"): 1}


def test_another_programs_table_of_that_name_is_left_alone(postgres_url: str) -> None:
    table = f"t{uuid4().hex[:12]}"
    with psycopg.connect(postgres_url, autocommit=True) as con:
        con.execute(f"CREATE TABLE {table}_lifetime (x int)")
    joint = "&" if "?" in postgres_url else "?"
    with hitrate.open(f"{postgres_url}{joint}table={table}") as cache:
        with pytest.raises(StoreError, match="another program"):
            store_of(cache).add_counts({(NAME, "hits"): 1})
        cache.set({(("a",), "k"): (1, None)})
        assert cache.get([(("a",), "k")]) == {(("a",), "k"): 1}
