"""Contenders that keep entries in PostgreSQL: one server for all of them, with its usual settings."""

from __future__ import annotations

import atexit
import os
from collections.abc import Sequence
from functools import cache
from itertools import count
from typing import Any, LiteralString

from bench.contenders.base import Calls, Contender, Documented, single
from bench.payloads import FullKey

LIMIT = "psycopg + ormsgpack"

_numbers = count()


class Hitrate(Documented):
    name = "hitrate"

    def open(self) -> None:
        from hitrate import PostgresCache

        self.table = getattr(self, "table", f"bench_{next(_numbers)}")
        self.cache = PostgresCache(_server(), table=self.table, durability=self.durability, on_error="raise")

    def close(self) -> None:
        self.cache.close()


class Raw(Contender):
    """psycopg by hand: an UNLOGGED table, one connection, prepared statements, binary arrays, ormsgpack.

    All keys of a batch share a namespace.
    """

    name = LIMIT
    note = "no TTL, no bound, no checksum, no timeout"

    def open(self) -> None:
        import psycopg

        self.table = getattr(self, "table", f"raw_{next(_numbers)}")
        self._connection = psycopg.connect(_server(), autocommit=True)
        kind = "UNLOGGED" if self.durability == "normal" else ""
        self._connection.execute(
            f"""CREATE {kind} TABLE IF NOT EXISTS {self.table}
            (namespace text, key text, value bytea, PRIMARY KEY (namespace, key))"""  # type: ignore[arg-type]
        )
        self._cursor = self._connection.cursor(binary=True)

    def close(self) -> None:
        self._connection.close()

    def _execute(self, statement: LiteralString, parameters: tuple[Any, ...]) -> Any:
        return self._cursor.execute(statement, parameters, prepare=True)

    def gets(self, batches: Sequence[list[FullKey]]) -> Calls:
        if single(batches):
            statement = f"SELECT value FROM {self.table} WHERE namespace = %b AND key = %b"
            return self._get(statement), [(_joined(key), key[1]) for [key] in batches]
        statement = f"SELECT key, value FROM {self.table} WHERE namespace = %b AND key = ANY(%b)"
        return self._get_many(statement), [(_joined(batch[0]), [key for _, key in batch]) for batch in batches]

    def sets(self, batches: Sequence[dict[FullKey, Any]]) -> Calls:
        update = "ON CONFLICT (namespace, key) DO UPDATE SET value = excluded.value"
        if single(batches):
            statement = f"INSERT INTO {self.table} VALUES (%b, %b, %b) {update}"
            items = [(_joined(key), key[1], value) for batch in batches for key, value in batch.items()]
            return self._set(statement), items
        statement = f"INSERT INTO {self.table} SELECT %b, * FROM unnest(%b::text[], %b::bytea[]) {update}"
        many = [(_joined(next(iter(batch))), [key for _, key in batch], list(batch.values())) for batch in batches]
        return self._set_many(statement), many

    def _get(self, statement: Any) -> Any:
        def get(key: tuple[str, str]) -> Any:
            row = self._execute(statement, key).fetchone()
            return None if row is None else self.payload.loads(row[0])

        return get

    def _get_many(self, statement: Any) -> Any:
        def get(batch: tuple[str, list[str]]) -> dict[str, Any]:
            loads = self.payload.loads
            return {key: loads(data) for key, data in self._execute(statement, batch)}

        return get

    def _set(self, statement: Any) -> Any:
        def put(item: tuple[str, str, Any]) -> None:
            namespace, key, value = item
            self._execute(statement, (namespace, key, self.payload.dumps(value)))

        return put

    def _set_many(self, statement: Any) -> Any:
        def put(batch: tuple[str, list[str], list[Any]]) -> None:
            namespace, keys, values = batch
            dumps = self.payload.dumps
            self._execute(statement, (namespace, keys, [dumps(value) for value in values]))

        return put

    def read(self, keys: list[FullKey]) -> dict[FullKey, Any]:
        call, arguments = self.gets([[key] for key in keys])
        return {key: value for key, argument in zip(keys, arguments, strict=True) if (value := call(argument))}


POSTGRES: dict[str, type[Contender]] = {kind.name: kind for kind in (Hitrate, Raw)}


@cache
def _server() -> str:
    """Return where a server listens: that of HITRATE_POSTGRES_URL, or one that ends with this process."""
    if given := os.environ.get("HITRATE_POSTGRES_URL"):
        return given
    from tests.servers.postgres import PostgresServer

    # The server on one processor, this process on the others: where the system puts two processes that wait for each
    # other makes a round trip take 20 us or 60, which is more than anything that is measured here.
    processors = sorted(os.sched_getaffinity(0))
    if len(processors) > 1:
        os.sched_setaffinity(0, processors[-1:])
    server = PostgresServer(fsync="on", shared_buffers="256MB")
    atexit.register(server.remove)
    if len(processors) > 1:
        os.sched_setaffinity(0, processors[:-1])
    return server.url


def _joined(key: FullKey) -> str:
    return ":".join(key[0])
