"""What the program gave to reach the server by, and what follows from it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from typing import Any

import psycopg

from hitrate.stores.postgres.connections import Connections, OwnPool, connect


def check_seconds(name: str, seconds: object) -> None:
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise TypeError(f"{name} is a number of seconds, not {seconds!r} of type {type(seconds).__name__}")
    if not 0 < seconds < 1e6:
        raise ValueError(f"{name} is a number of seconds above 0, not {seconds!r}")


def connections_of(given: Any, connect_timeout: float, most: int) -> Connections:
    """Return where connections come from.

    Raises:
        TypeError: it is neither a connection string nor a pool.
        ValueError: the connection string cannot be understood.
    """
    if isinstance(given, str):
        if not _is_understood(given):
            # Nothing of it, nor of what libpq says of it: it may be a password.
            raise ValueError(
                "conninfo cannot be understood; it is postgresql://user:password@host:port/database, where in the "
                "password each of % / ? # @ : is written as a per cent sign and its code, as "
                "urllib.parse.quote(password, safe='') does, or it is host=... user=... password='...'"
            )
        return Connections(OwnPool(partial(connect, given, None, connect_timeout), most))
    try:
        from psycopg_pool import AsyncConnectionPool, ConnectionPool
    except ModuleNotFoundError as error:
        if error.name != "psycopg_pool":  # it is there, and what it needs itself is not
            raise
    else:
        if isinstance(given, ConnectionPool | AsyncConnectionPool):
            own = OwnPool(partial(connect, given.conninfo, given.kwargs, connect_timeout), most)
            if isinstance(given, ConnectionPool):
                return Connections(own, pool=given)
            return Connections(own, apool=given)
    raise TypeError(
        "conninfo_or_pool is a connection string, a psycopg_pool.ConnectionPool or an AsyncConnectionPool, "
        f"not {type(given).__name__}"
    )


def _is_understood(conninfo: str) -> bool:
    """Tell whether libpq reads a connection string, and does not take a piece of a password for a host or a port."""
    try:
        parts = psycopg.conninfo.conninfo_to_dict(conninfo)
    except (psycopg.Error, ValueError):
        return False
    hosts, ports = (str(parts.get(name) or "").split(",") for name in ("host", "port"))
    # In postgresql://user:12/34@host/database the database would be "34@host/database".
    is_torn = "://" in conninfo and "@" in str(parts.get("dbname") or "")
    return (
        not is_torn
        and all("@" not in host[1:] for host in hosts)
        and all(port.isdecimal() or not port for port in ports)
    )


# What repr shows has to look like what it is: libpq takes a malformed URL for the name of a database, and hands on a
# port that is none. A list of hosts or ports has commas; a socket is an absolute path.
_HOST = r"(?:/[\w./-]+|[\w-]+(?:\.[\w-]+)*\.?|[0-9a-fA-F:.%]+)"
_PLAIN = {
    "host": re.compile(rf"{_HOST}(?:,{_HOST})*"),
    "hostaddr": re.compile(rf"{_HOST}(?:,{_HOST})*"),
    "port": re.compile(r"[0-9]+(?:,[0-9]+)*"),
    "dbname": re.compile(r"[\w.-]+"),
    "service": re.compile(r"[\w.-]+"),
}


def described(conninfo: Any, table: str) -> str:
    """Return where the tables are, without user and password, as far as a connection string plainly tells.

    Args:
        conninfo: a connection string, or a function that returns one, which is not called.
        table: the quoted name.
    """
    where = []
    if isinstance(conninfo, str):
        try:
            known = psycopg.conninfo.conninfo_to_dict(conninfo)
        except psycopg.Error:
            known = {}
        shown = {name: str(known[name]) for name in _PLAIN if known.get(name)}
        if all(_PLAIN[name].fullmatch(text) for name, text in shown.items()):
            where = [f"{name}={text!r}" for name, text in shown.items()]
    return ", ".join([*where, f"table={table.replace(chr(34), '')!r}"])


def may_prepare(given: Any) -> bool:
    """Tell whether a pool that was given lets statements be prepared: it is told so where a proxy shares sessions."""
    options = getattr(given, "kwargs", None)
    return not isinstance(options, Mapping) or options.get("prepare_threshold", 0) is not None
