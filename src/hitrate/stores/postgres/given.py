"""What the program gave to reach the server by, and what follows from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import psycopg

from hitrate.stores.postgres.connections import Connections, OwnPool, Settings


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
        try:
            psycopg.conninfo.conninfo_to_dict(given)
        except psycopg.Error as error:
            raise ValueError(f"conninfo cannot be understood: {str(error).strip()}") from error
        return Connections(OwnPool(Settings(given, None, connect_timeout), most))
    try:
        from psycopg_pool import AsyncConnectionPool, ConnectionPool
    except ModuleNotFoundError as error:
        if error.name != "psycopg_pool":  # it is there, and what it needs itself is not
            raise
    else:
        if isinstance(given, ConnectionPool | AsyncConnectionPool):
            own = OwnPool(Settings(given.conninfo, given.kwargs, connect_timeout), most)
            if isinstance(given, ConnectionPool):
                return Connections(own, pool=given)
            return Connections(own, apool=given)
    raise TypeError(
        "conninfo_or_pool is a connection string, a psycopg_pool.ConnectionPool or an AsyncConnectionPool, "
        f"not {type(given).__name__}"
    )


def may_prepare(given: Any) -> bool:
    """Tell whether a pool that was given lets statements be prepared: it is told so where a proxy shares sessions."""
    options = getattr(given, "kwargs", None)
    return not isinstance(options, Mapping) or options.get("prepare_threshold", 0) is not None
