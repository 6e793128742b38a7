"""What and where a cache is, in a line: no secret, and whatever state it is in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import hitrate
import hitrate.langgraph
from hitrate import InMemoryCache, PostgresCache, RedisCache, SqliteCache, TieredCache

HOMES = pytest.mark.parametrize("home", [hitrate, hitrate.langgraph], ids=lambda home: home.__name__)


@HOMES
def test_memory_says_how_much_it_holds(home: Any) -> None:
    cache = home.InMemoryCache()
    assert repr(cache) == "InMemoryCache(entries=0, bytes=0)"
    cache.set({(("n",), "key"): ("value", None)})
    assert repr(cache) == f"InMemoryCache(entries=1, bytes={cache.stats().bytes})"
    for number in range(50):
        cache.set({((str(number % 3),), str(number)): (number, None)})
    assert repr(cache) == f"InMemoryCache(entries=51, bytes={cache.stats().bytes})"
    cache.close()
    assert repr(cache) == "InMemoryCache(entries=0, bytes=0, closed)"


@HOMES
def test_a_file_says_where_it_is(home: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for path in ("cache.db", tmp_path / 'it\'s "quoted".db', ":memory:"):
        with home.SqliteCache(path=path) as cache:
            assert repr(cache).startswith("SqliteCache(path=")
            assert repr(Path(path).name)[1:-1] in repr(cache)
        assert repr(cache).endswith(", closed)")


@HOMES
def test_tiers_name_each(home: Any, tmp_path: Path) -> None:
    with home.TieredCache(home.InMemoryCache(), home.SqliteCache(path=tmp_path / "cache.db")) as cache:
        assert repr(cache).startswith("TieredCache(InMemoryCache(entries=0, bytes=0), SqliteCache(path=")
    assert repr(cache).endswith("closed), closed)")


SECRET = "pa55word"


@HOMES
@pytest.mark.parametrize(
    ("url", "where"),
    [
        (f"redis://user:{SECRET}@127.0.0.1:1/3", "127.0.0.1:1, database 3"),
        (f"redis://user:{SECRET}@127.0.0.1:1/0", "127.0.0.1:1"),
        (f"rediss://:{SECRET}@127.0.0.1:1", "127.0.0.1:1"),
        (f"unix://user:{SECRET}@/nowhere/redis.sock", "/nowhere/redis.sock"),
        (f"redis://127.0.0.1:1?password={SECRET}", "127.0.0.1:1"),
    ],
)
def test_redis_says_where_it_is_and_no_password(home: Any, url: str, where: str) -> None:
    with home.RedisCache(url, prefix="app:") as cache:
        assert repr(cache) == f"RedisCache('server at {where}', prefix='app:')"


@HOMES
@pytest.mark.parametrize(
    ("conninfo", "where"),
    [
        (f"postgresql://user:{SECRET}@127.0.0.1:1/db", "host='127.0.0.1', port='1', dbname='db', "),
        (f"host=a,b port=1,2 user=u password='{SECRET}' dbname=db", "host='a,b', port='1,2', dbname='db', "),
        (f"postgresql://127.0.0.1/db?password={SECRET}&sslpassword={SECRET}", "host='127.0.0.1', dbname='db', "),
        ("", ""),
    ],
)
def test_postgres_says_where_it_is_and_no_password(home: Any, conninfo: str, where: str) -> None:
    with home.PostgresCache(conninfo, table="app.cache") as cache:
        assert repr(cache) == f"PostgresCache({where}table='app.cache')"
        assert SECRET not in repr(cache)


def test_a_pool_is_described_by_its_connection_string() -> None:
    from psycopg_pool import ConnectionPool

    pool = ConnectionPool(f"host=127.0.0.1 port=1 password={SECRET}", open=False)
    with PostgresCache(pool) as cache:
        assert repr(cache) == "PostgresCache(host='127.0.0.1', port='1', table='hitrate')"


@pytest.mark.parametrize("cls", [InMemoryCache, SqliteCache, RedisCache, PostgresCache, TieredCache])
def test_a_constructor_that_did_not_come_to_its_end(cls: Any) -> None:
    assert repr(cls.__new__(cls)) == f"<{cls.__name__}, not opened>"


def test_a_cache_stays_true() -> None:
    with InMemoryCache() as cache:
        assert cache
        assert not hasattr(cache, "__len__")


@pytest.mark.parametrize(
    "conninfo",
    [
        f"host=127.0.0.1 port={SECRET} password={SECRET}",
        f"postgresql:/u:{SECRET}@127.0.0.1/db",
        f"postgresql://u:{SECRET}@{SECRET}..invalid/db",
        f"dbname=u:{SECRET}@127.0.0.1",
    ],
)
def test_what_does_not_look_like_a_host_or_database_is_not_shown(conninfo: str) -> None:
    from psycopg_pool import ConnectionPool

    with PostgresCache(ConnectionPool(conninfo, open=False)) as cache:
        assert SECRET not in repr(cache)


def test_a_password_with_a_slash_is_not_taken_for_the_database() -> None:
    with pytest.raises(ValueError, match="conninfo cannot be understood"):
        PostgresCache(f"postgresql://u:12/{SECRET}@127.0.0.1:1/db")
    with PostgresCache("postgresql://[::1]:5432/db?options=-cuser%3Da@b") as cache:
        assert repr(cache) == "PostgresCache(host='::1', port='5432', dbname='db', table='hitrate')"
