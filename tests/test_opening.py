"""hitrate.open: a cache from one setting."""

import os

import pytest

import hitrate
from hitrate import InMemoryCache, MsgpackSerializer, SqliteCache, TieredCache
from hitrate.opening import _plan

KEY = (("ns",), "key")


def place(url):
    cls, where, options = _plan(hitrate, url)
    return cls.__name__, where.get("", where.get("path")), options


def test_memory():
    with hitrate.open("memory:", max_entries=3) as cache:
        assert type(cache) is InMemoryCache
        cache.set({KEY: (1, None)})
        assert cache.get([KEY]) == {KEY: 1}


def test_a_relative_and_an_absolute_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with hitrate.open("sqlite:///some%20folder/cache.db") as cache:
        assert type(cache) is SqliteCache
        cache.set({KEY: (1, None)})
    with hitrate.open(f"sqlite:///{tmp_path}/some folder/cache.db") as cache:
        assert cache.get([KEY]) == {KEY: 1}
    assert os.path.exists("some folder/cache.db")


def test_a_database_in_memory():
    with hitrate.open("sqlite:///:memory:") as cache:
        assert type(cache) is SqliteCache


def test_options_in_the_query():
    assert place("sqlite:///a.db?max_bytes=10000&durability=full&default_ttl=1.5&max_entries=none") == (
        "SqliteCache",
        "a.db",
        {"max_bytes": 10000, "durability": "full", "default_ttl": 1.5, "max_entries": None},
    )


def test_options_of_the_driver_are_left_to_it():
    assert place("redis://user:pass@host:1/2?max_entries=5&protocol=3&prefix=app:") == (
        "RedisCache",
        "redis://user:pass@host:1/2?protocol=3",
        {"max_entries": 5, "prefix": "app:"},
    )
    assert place("postgresql://host/db?sslmode=require&table=cache") == (
        "PostgresCache",
        "postgresql://host/db?sslmode=require",
        {"table": "cache"},
    )
    assert place("postgresql:///db?host=/run/postgresql")[1] == "postgresql:///db?host=%2Frun%2Fpostgresql"


@pytest.mark.parametrize(
    ("url", "driver"),
    [
        ("redis://localhost", "redis://localhost"),
        ("rediss://h:1/0", "rediss://h:1/0"),
        ("unix:///run/redis.sock?db=1", "unix:///run/redis.sock?db=1"),
        ("valkey://h", "redis://h"),
        ("valkeys://h", "rediss://h"),
    ],
)
def test_urls_of_redis(url, driver):
    assert place(url) == ("RedisCache", driver, {})


@pytest.mark.parametrize("listed", [False, True])
def test_tiers_are_joined_by_a_plus_or_listed(tmp_path, listed):
    urls = ["memory:?max_entries=5", f"sqlite:///{tmp_path}/a+b.db"]
    with hitrate.open(urls if listed else "+".join(urls), staleness=2.0, default_ttl=60) as cache:
        assert type(cache) is TieredCache
        near, far = cache.tiers
        assert (type(near), type(far)) == (InMemoryCache, SqliteCache)
        cache.set({KEY: (1, None)})
        assert near.get([KEY]) == far.get([KEY]) == {KEY: 1}
    assert (tmp_path / "a+b.db").exists()


def test_an_option_goes_to_each_tier_that_has_it(tmp_path):
    serde = MsgpackSerializer()
    with hitrate.open(["memory:", f"sqlite:///{tmp_path}/c.db"], serde=serde, durability="full") as cache:
        assert all(tier.serde is serde for tier in cache.tiers)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("mysql://host", "names no cache"),
        ("cache.db", "names no cache.*sqlite:///cache.db"),
        ("", "names no cache"),
        ("sqlite://cache.db", "sqlite:///"),
        ("sqlite:///", "names no file"),
        ("memory:/x", "nothing more"),
        ("sqlite:///a.db?max_bytes=1GB", "max_bytes in the URL of SqliteCache is to be a whole number of bytes"),
        ("sqlite:///a.db?mode=999", "mode .* is to be an octal number, such as 660"),
        ("sqlite:///a.db?read_only=maybe", "read_only .* is to be 1 or 0"),
        ("memory:?default_ttl=1h", "default_ttl in the URL of InMemoryCache is to be a number"),
        ("sqlite:///a.db?max_byte=1", "is max_bytes meant"),
        ("sqlite:///a.db?secret=1", "none of [a-z_, ]*$"),
        ([], "no URL"),
        ("sqlite:///run#1.db", "has a #.*write %23"),
        ("sqlite:///a.db#", "has a #"),
        ("memory:#x", "has a #"),
        ("memory:?max_entries=5#x", "has a #"),
        ("redis://h?prefix=tenant#1", "has a #"),
        ("postgresql://h/db?table=cache#1", "has a #"),
        ("memory:+sqlite:///run#1.db", "has a #"),
        ("sqlite:///a\tb.db", "tab or a line break"),
        ("sqlite:///a\nb.db", "tab or a line break"),
        ("redis://h?prefix=a\rb", "tab or a line break"),
        ("memory:\n+sqlite:///b.db", "tab or a line break"),
    ],
)
def test_a_url_that_names_no_cache_is_a_value_error(url, message):
    with pytest.raises(ValueError, match=message):
        hitrate.open(url)


@pytest.mark.parametrize("url", ["SQLITE:///{}.db", " sqlite:///{}.db", "\tSqlite:///{}.db\r\n", "sqlite:{}.db"])
def test_a_scheme_in_capitals_and_space_around_a_url_name_the_same_file(tmp_path, monkeypatch, url):
    monkeypatch.chdir(tmp_path)
    with hitrate.open(url.format("a")) as cache, hitrate.open(["MEMORY:", url.format("b")]) as tiers:
        cache.set({KEY: (1, None)})
        assert type(tiers) is TieredCache
    assert (tmp_path / "a.db").exists()
    assert (tmp_path / "b.db").exists()


def test_names_that_are_not_in_utf8_stay_apart():
    names = ["%ff", "%fe", "%EF%BF%BD"]
    assert len({place(f"sqlite:///{name}.db")[1] for name in names}) == 3
    assert len({place(f"redis://h?prefix={name}")[2]["prefix"] for name in names}) == 3
    assert place("postgresql://h/db?application_name=%ff")[1] == "postgresql://h/db?application_name=%FF"
    with pytest.raises(ValueError, match="cannot be written in UTF-8"):
        hitrate.open("sqlite:///%ff.db")


@pytest.mark.parametrize("url", [None, 5, b"memory:", ["memory:", None]])
def test_what_is_no_url_is_a_type_error(url):
    with pytest.raises(TypeError, match="URL"):
        hitrate.open(url)


@pytest.mark.parametrize("url", ["memory:", "memory:+sqlite:///:memory:"])
def test_an_unknown_option_is_a_type_error(url):
    with pytest.raises(TypeError, match="max_byte"):
        hitrate.open(url, max_byte=1)


def test_a_tier_that_cannot_be_opened_leaves_none_open(tmp_path):
    with pytest.raises(IsADirectoryError):
        hitrate.open(["memory:", f"sqlite:///{tmp_path}"])


def test_messages_keep_passwords_to_themselves():
    with pytest.raises(ValueError, match="mysql") as caught:
        hitrate.open("mysql://user:secret@host/db")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("url", ["memory:", "sqlite:///:memory:", "memory:+sqlite:///:memory:"])
def test_graphs_have_their_own(url):
    from langgraph.cache.base import BaseCache

    import hitrate.langgraph

    with hitrate.langgraph.open(url) as cache:
        assert isinstance(cache, BaseCache)
        cache.set({KEY: (object(), None)})  # left out, where another cache refuses
        assert cache.get([KEY]) == {}
