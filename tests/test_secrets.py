"""What is given to reach a server has a password in it, and no text that leaves the cache has any part of it."""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
import redis.asyncio

import hitrate
import hitrate.langgraph
from hitrate import InMemoryCache, PostgresCache, RedisCache, TieredCache

MARKER = "qzx"
KEY = (("n",), "k")

# Passwords that a URL does not hold as they are, the marker on every side of what is special.
PASSWORDS = [
    *(f"{MARKER}1{special}{MARKER}2" for special in "/?#@:%[]&=+ \\'\""),
    *(f"{MARKER}1{special}{MARKER}2" for special in ("%%", "%2", "%zz", "://", "/?", "?#", "@@", ":@", "\u2100", "\n")),
    f"/{MARKER}",
    f"{MARKER}/",
    f"?{MARKER}=1",
    f"#{MARKER}",
    f"[{MARKER}]",
    f"{MARKER}?timeout={MARKER}",
    f"{MARKER}?max_entries={MARKER}&x=1",
    f"1234/{MARKER}",
]
REDIS_URLS = [
    *(f"redis://u:{password}@127.0.0.1:1/0" for password in PASSWORDS),
    f"redis://{MARKER}/a@127.0.0.1:1",
    f"redis://{MARKER}?a@127.0.0.1:1",
    f"redis://:{MARKER}@127.0.0.1:{MARKER}",
    f"redis://:{MARKER}@127.0.0.1:99999",
    f"redis://:{MARKER}@127.0.0.1:1?socket_timeout={MARKER}",
    f"redis://:{MARKER}@127.0.0.1:1?{MARKER}={MARKER}",
    f"redis://:{MARKER}@nowhere..invalid:1",
    f"redis:/u:{MARKER}@127.0.0.1",
    f"redis:u:{MARKER}@127.0.0.1",
    f"unix:/u:{MARKER}@/nowhere/socket",
    f"unix:/u:{MARKER}/{MARKER}@/nowhere/socket",
    f"unix:u:{MARKER}@/nowhere/socket",
    f"rdis://u:{MARKER}@127.0.0.1",
    f"rediss://u:{MARKER}@127.0.0.1:1",
    f"valkey://u:{MARKER}@127.0.0.1:1",
    f"unix://u:{MARKER}@/nowhere/socket",
    f"unix://u:{MARKER}/{MARKER}@/nowhere/socket",
    f"//u:{MARKER}@127.0.0.1",
    f"u:{MARKER}@127.0.0.1",
    MARKER,
]
POSTGRES = [
    *(f"postgresql://u:{password}@127.0.0.1:1/db" for password in PASSWORDS),
    f"postgresql://u:{MARKER}@127.0.0.1:{MARKER}/db",
    f"postgresql://u:{MARKER}@127.0.0.1:1/db?{MARKER}={MARKER}",
    f"postgresql://u:{MARKER}@127.0.0.1:1/db?sslmode={MARKER}",
    f"postgresql://u:{MARKER}@{MARKER}..invalid:1/db",
    f"postgresql://u:{MARKER}@127.0.0.1:1,127.0.0.1:2/db",
    f"postgresql:/u:{MARKER}@127.0.0.1/db",
    f"postgres:u:{MARKER}@127.0.0.1/db",
    f"postgresqll://u:{MARKER}@127.0.0.1/db",
    f"host=127.0.0.1 port=1 user=u password={MARKER}1 {MARKER}2",
    f"host=127.0.0.1 port=1 user=u password='{MARKER}",
    f"host=127.0.0.1 port=1 user=u password={MARKER}",
    f"host=127.0.0.1 port=1 passwort={MARKER}",
    f"host=127.0.0.1 port={MARKER} password={MARKER}",
    f"host=127.0.0.1 port=1 {MARKER}",
    MARKER,
]

# Where a piece of a password is taken for a host it is looked up, which is no business of these tests.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


@pytest.fixture(autouse=True)
def no_names(monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    real = socket.getaddrinfo

    def known_only(host: Any, *more: Any, **options: Any) -> Any:
        if host not in ("127.0.0.1", "localhost", None):
            raise socket.gaierror(-2, f"Name or service not known: {host}")
        return real(host, *more, **options)

    monkeypatch.setattr(socket, "getaddrinfo", known_only)


def assert_silent(text: str) -> None:
    assert MARKER not in text.lower(), text


def assert_no_error_tells(error: BaseException | None, seen: set[int]) -> None:
    """Look through an error, its causes and its contexts, suppressed ones too."""
    if error is None or id(error) in seen:
        return
    seen.add(id(error))
    assert_silent(f"{error} {error!r} {error.args!r} {getattr(error, '__notes__', '')}")
    assert_no_error_tells(error.__cause__, seen)
    assert_no_error_tells(error.__context__, seen)


def told_by(do: Callable[[], Any]) -> Any:
    """Do something; if it fails, look through the error."""
    try:
        return do()
    except Exception as error:
        assert_no_error_tells(error, set())
        assert_silent("".join(line for line in traceback.format_exception_only(error)))
        return None


def use(make: Callable[..., Any], caplog: pytest.LogCaptureFixture) -> None:
    """Make a cache that raises, and one that logs; use both faces of each."""
    for on_error in ("raise", "miss"):
        cache = told_by(lambda: make(on_error=on_error))  # noqa: B023 - called at once
        if cache is None:
            continue
        assert_silent(repr(cache))
        told_by(lambda: cache.get([KEY]))  # noqa: B023
        told_by(lambda: cache.set({KEY: (1, None)}))  # noqa: B023
        told_by(lambda: asyncio.run(cache.aget([KEY])))  # noqa: B023
        told_by(lambda: asyncio.run(cache.aget_or_compute(KEY, lambda: 1)))  # noqa: B023
        told_by(lambda: repr(cache.stats()))  # noqa: B023
        told_by(cache.close)
    for record in caplog.records:
        if record.name != "asyncio":
            assert_silent(record.getMessage())
            assert_silent(str(record.exc_text or record.exc_info or ""))


@pytest.fixture
def caplog_all(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    with caplog.at_level(logging.DEBUG):
        yield caplog


FAST: dict[str, Any] = {"timeout": 0.5, "connect_timeout": 0.5}


@pytest.mark.parametrize("url", REDIS_URLS)
def test_redis(url: str, caplog_all: pytest.LogCaptureFixture) -> None:
    use(lambda **options: RedisCache(url, **FAST, **options), caplog_all)


@pytest.mark.parametrize("conninfo", POSTGRES)
def test_postgres(conninfo: str, caplog_all: pytest.LogCaptureFixture) -> None:
    use(lambda **options: PostgresCache(conninfo, **FAST, **options), caplog_all)


@pytest.mark.parametrize("url", [*REDIS_URLS, *POSTGRES])
def test_open(url: str, caplog_all: pytest.LogCaptureFixture) -> None:
    for home in (hitrate, hitrate.langgraph):
        told_by(lambda: home.open(url, no_such_option=1))  # noqa: B023
        for given in (url, ["memory:", url], f"memory:+{url}"):
            cache = told_by(lambda: home.open(given))  # noqa: B023
            if cache is not None:
                assert_silent(repr(cache))
                cache.close()
    for wrong in ([url, None], [url.encode()], url.encode(), {url: 1}, [[url]]):
        told_by(lambda: hitrate.open(wrong))  # noqa: B023


@pytest.mark.parametrize("url", [*REDIS_URLS[:14:3], *POSTGRES[:14:3], *POSTGRES[-5:]])
def test_tiers(url: str, caplog_all: pytest.LogCaptureFixture) -> None:
    kind = PostgresCache if "postgres" in url or "=" in url else RedisCache

    def make(**options: Any) -> Any:
        return TieredCache(InMemoryCache(), kind(url, **FAST, **options), **options)

    use(make, caplog_all)
    told_by(lambda: TieredCache(url, InMemoryCache()))  # type: ignore[arg-type]
    told_by(lambda: TieredCache(InMemoryCache(), url))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "client",
    [
        lambda: redis.Redis(host="127.0.0.1", port=1, username="u", password=MARKER, retry=None),
        lambda: redis.Redis(host=f"{MARKER}.invalid", port=1, password=MARKER, retry=None),
        lambda: redis.Redis(host="127.0.0.1", port=1, password=MARKER, ssl=True, ssl_ca_certs=f"/no/{MARKER}"),
        lambda: redis.asyncio.Redis(host="127.0.0.1", port=1, password=MARKER, retry=None),
        lambda: redis.Redis(unix_socket_path="/nowhere", password=MARKER, retry=None),
        lambda: f"redis://:{MARKER}@127.0.0.1".encode(),
        lambda: {"password": MARKER},
        lambda: [MARKER],
    ],
)
def test_clients_of_redis(client: Callable[[], Any], caplog_all: pytest.LogCaptureFixture) -> None:
    given = client()
    named = MARKER in str(getattr(getattr(given, "connection_pool", None), "connection_kwargs", {}).get("host"))
    if not named:  # a host that the program itself gave as such is one
        use(lambda **options: RedisCache(given, **FAST, **options), caplog_all)


@pytest.mark.parametrize("conninfo", POSTGRES[-6:-1])
@pytest.mark.parametrize("face", ["sync", "async", "function"])
def test_pools_of_psycopg(conninfo: str, face: str, caplog_all: pytest.LogCaptureFixture) -> None:
    from psycopg_pool import AsyncConnectionPool, ConnectionPool

    caplog_all.handler.addFilter(lambda record: record.name.startswith("hitrate"))  # the program's own pool logs too
    pool: Any
    if face == "async":
        pool = AsyncConnectionPool(conninfo, open=False)
    else:
        pool = ConnectionPool((lambda: conninfo) if face == "function" else conninfo, open=False)  # type: ignore[arg-type]
    use(lambda **options: PostgresCache(pool, **FAST, **options), caplog_all)
