"""The client that a program gave: of which kind it is, and how to open connections with its settings.

Connections are always the driver's sync ones, opened with the client's own settings for address, login, TLS and
Sentinel. The client's settings for decoding, retries and the version of the protocol are left out.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from types import ModuleType
from typing import Any
from urllib.parse import SplitResult, urlsplit

from hitrate.stores.reasons import CannotConnect, reason_of
from hitrate.stores.redis.driver import import_driver

_OWN_SETTINGS = {
    "decode_responses",
    "encoder_class",
    "event_dispatcher",
    "health_check_interval",
    "himport_registry",
    "legacy_responses",
    "parser_class",
    "protocol",
    "retry",
    "retry_on_error",
    "retry_on_timeout",
}
_OWN_BEGINNINGS = ("maint", "orig_", "oss_cluster_")
_MAY_HAVE_AN_AT = {"username", "password", "client_name"}
_SERVERS = {"Redis", "StrictRedis", "Valkey", "StrictValkey"}
_CLUSTERS = {"RedisCluster", "ValkeyCluster"}

Errors = tuple[type[Exception], ...]

Connect = Callable[[], Any]
"""Opens a connection of the driver."""


@dataclass(frozen=True)
class Target:
    """Where a cache's server is.

    Args:
        name: what messages call it.
        errors: what the driver raises.
        connect: opens a connection to the one server; None for a cluster.
        connect_to: opens a connection to a node of a cluster.
        seeds: nodes of a cluster to ask for the others.
        remap: turns an address that a cluster tells into one that can be reached from here.
    """

    name: str
    errors: Errors
    connect: Connect | None = None
    connect_to: Callable[[str, int], Any] | None = None
    seeds: list[tuple[str, int]] = field(default_factory=list)
    remap: Callable[[tuple[str, int]], tuple[str, int]] | None = None


def target_of(client: Any, connect_timeout: float) -> Target:
    """Return where the server of a client, or of a URL, is; as ``RedisCache``, which says what is raised.

    Args:
        client: a URL, or a client of redis-py or valkey-py, sync or async: of a server, a cluster, or a Sentinel's.
        connect_timeout: seconds to connect in, and for each reply while connecting.
    """
    if isinstance(client, str):
        client = _from_url(client)
    driver = _driver_of(client)
    overrides = {"socket_timeout": connect_timeout, "socket_connect_timeout": connect_timeout, "protocol": 2}
    kinds = {kind.__name__ for kind in type(client).__mro__ if kind.__module__.split(".")[0] == driver.__name__}
    errors = (getattr(driver, "RedisError", None) or driver.ValkeyError, OSError)
    if kinds & _CLUSTERS:
        return _cluster_of(client, driver, errors, overrides)
    if kinds & _SERVERS:
        return _server_of(client, driver, errors, overrides)
    raise _not_a_client(client)


def _not_a_client(client: Any) -> TypeError:
    return TypeError(
        "client is a URL, or a Redis, RedisCluster or Sentinel client of redis-py or valkey-py, sync or async, not one "
        f"of type {type(client).__name__}"  # not itself: it may show a password
    )


def _from_url(url: str) -> Any:
    scheme, colon, rest = url.partition("://")
    scheme = {"valkey": "redis", "valkeys": "rediss"}.get(scheme, scheme)
    if not colon or scheme not in ("redis", "rediss", "unix"):
        # Nothing of the URL itself, here and below: it may be a password.
        raise ValueError("a URL begins with redis://, rediss://, valkey://, valkeys:// or unix://, not as this one")
    kind = import_driver("redis").Redis
    database = rest.partition("?")[0].partition("/")[2]
    if scheme != "unix" and "@" not in rest.partition("/")[2] and database and not _DATABASE.fullmatch(database):
        # The driver would take database 0 in its place, or read /1/2 as 12.
        raise ValueError("what follows the host in a Redis URL is the number of a database: redis://localhost:6379/0")
    try:
        parts = urlsplit(f"{scheme}://{rest}")
        client = None if _may_be_cut(parts) else kind.from_url(f"{scheme}://{rest}")
    except (ValueError, TypeError, LookupError):
        client = None
    if client is None:
        raise ValueError(
            "the URL cannot be understood; it is redis://user:password@host:port/database, and in the password each of "
            "% / ? # @ : is written as a per cent sign and its code, as urllib.parse.quote(password, safe='') does"
        )
    if not _is_known_to_driver(client.connection_pool):
        raise ValueError(
            "the URL gives an option that the Redis driver does not have; those of RedisCache, such as prefix, are its "
            "arguments, or stand in a URL for hitrate.open"
        )
    return client


def _is_known_to_driver(pool: Any) -> bool:
    """Tell whether the driver has all options that a URL gives; it says so when it makes a connection."""
    try:
        pool.connection_class(**_settings(pool.connection_kwargs, {}))  # which does not connect yet
    except TypeError:
        return False
    return True


_DATABASE = re.compile("[0-9]{1,9}/?")


def _may_be_cut(parts: SplitResult) -> bool:
    """Tell whether a URL may have ended its host in the middle of a password: at a slash, question or number sign."""
    query = [each for each in parts.query.split("&") if each.partition("=")[0] not in _MAY_HAVE_AN_AT]
    if parts.scheme != "unix" or (parts.netloc and "@" not in parts.netloc):
        query.append(parts.path)
    return "@" in "".join([parts.fragment, *query])


def _driver_of(client: Any) -> ModuleType:
    for kind in type(client).__mro__:
        name = kind.__module__.split(".")[0]
        if name in ("redis", "valkey"):
            return import_driver(name)
    raise _not_a_client(client)


def _settings(given: dict[str, Any], overrides: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of a client that are for its connections, with those that we decide."""
    return {
        name: value
        for name, value in given.items()
        if name not in _OWN_SETTINGS and not name.startswith(_OWN_BEGINNINGS) and not inspect.iscoroutinefunction(value)
    } | overrides


def _sync_kind(driver: ModuleType, kind: Any) -> Any:
    """Return the sync class of connections for an async one, or the class itself."""
    module = import_module(f"{driver.__name__}.connection")
    for each in kind.__mro__:
        if ".asyncio" in each.__module__:
            found = getattr(module, each.__name__, None)
            if found is not None:
                return found
    return kind


def _opener(kind: Any, settings: dict[str, Any], errors: Errors, pool: Any = None) -> Connect:
    expected: Errors = (*errors, ValueError, TypeError)

    def connect() -> Any:
        try:
            connection = kind(**settings)
            connection.connect()
        except expected as error:
            reason = reason_of(error)
        else:
            if pool is not None:
                connection.hitrate_pool = pool  # which is to live as long: its connections refer to it weakly
            return connection
        raise CannotConnect(reason)  # here, where the driver's error is not its context

    return connect


def _server_of(client: Any, driver: ModuleType, errors: Errors, overrides: dict[str, Any]) -> Target:
    pool = client.connection_pool
    if hasattr(pool, "sentinel_manager"):
        pool = _sentinel_pool(pool, driver, overrides)
        # The pool asks the sentinels for the primary each time a connection is opened.
        settings = _settings(pool.connection_kwargs, overrides)
        name = f"the Redis server {pool.service_name!r}{_database(settings)}"
        return Target(name, errors, connect=_opener(pool.connection_class, settings, errors, pool))
    kind = _sync_kind(driver, pool.connection_class)
    settings = _settings(pool.connection_kwargs, overrides)
    address = settings.get("path") or f"{settings.get('host', 'localhost')}:{settings.get('port', 6379)}"
    name = f"the Redis server at {address}{_database(settings)}"
    return Target(name, errors, connect=_opener(kind, settings, errors))


def _database(settings: dict[str, Any]) -> str:
    """Return what is said of the database, if it is not the first."""
    number = settings.get("db")
    return f", database {number}" if number else ""


def _sentinel_pool(pool: Any, driver: ModuleType, overrides: dict[str, Any]) -> Any:
    """Return a sync pool of our own with the settings of a Sentinel's."""
    module = import_module(f"{driver.__name__}.sentinel")
    manager = pool.sentinel_manager
    asked = module.Sentinel([], min_other_sentinels=manager.min_other_sentinels)
    kind: Any = getattr(driver, "Redis", None) or driver.Valkey
    for sentinel in manager.sentinels:
        given = sentinel.connection_pool
        settings = _settings(given.connection_kwargs, overrides)
        own = module.ConnectionPool(connection_class=_sync_kind(driver, given.connection_class), **settings)
        asked.sentinels.append(kind(connection_pool=own))
    tls = any(base.__name__ == "SSLConnection" for base in pool.connection_class.__mro__)
    settings = _settings(pool.connection_kwargs, overrides)
    settings.pop("connection_pool", None)
    return module.SentinelConnectionPool(
        pool.service_name, asked, is_master=pool.is_master, check_connection=pool.check_connection, ssl=tls, **settings
    )


def _cluster_of(client: Any, driver: ModuleType, errors: Errors, overrides: dict[str, Any]) -> Target:
    manager = client.nodes_manager
    nodes = [*manager.startup_nodes.values(), *manager.nodes_cache.values()]
    clients = [getattr(node, f"{driver.__name__}_connection", None) for node in nodes]
    pool = next((each.connection_pool for each in clients if each is not None), None)
    if pool is not None:
        kind, given = pool.connection_class, pool.connection_kwargs
    else:  # async: its nodes have the settings themselves
        kind, given = _sync_kind(driver, nodes[0].connection_class), nodes[0].connection_kwargs
    settings = _settings(given, overrides)
    for not_needed in ("host", "port", "redis_connect_func", "response_callbacks", "db", "server_type"):
        settings.pop(not_needed, None)
    seeds = list(dict.fromkeys((node.host, int(node.port)) for node in nodes))

    def connect_to(host: str, port: int) -> Any:
        return _opener(kind, {**settings, "host": host, "port": port}, errors)()

    return Target(
        f"the Redis cluster at {seeds[0][0]}:{seeds[0][1]}",
        errors,
        connect_to=connect_to,
        seeds=seeds,
        remap=getattr(manager, "address_remap", None),
    )
