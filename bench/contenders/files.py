"""Contenders that keep entries in a SQLite file."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

from bench.contenders.base import TUPLES, Calls, Contender, Documented, single
from bench.payloads import FullKey

_LOCK_SECONDS = 30


class Hitrate(Documented):
    name = "hitrate"

    def open(self) -> None:
        from hitrate import SqliteCache

        options: dict[str, Any] = {} if self.terms.near else {"near_bytes": 0}
        self.cache = SqliteCache(
            path=file_in(self.folder), durability=self.durability, max_entries=self.terms.max_entries, **options
        )

    def close(self) -> None:
        self.cache.close()


class LangGraph(Documented):
    name = "LangGraph"
    note = f"synchronous=FULL always, it has no choice of it; {TUPLES}"

    def open(self) -> None:
        from langgraph.cache.sqlite import SqliteCache

        self.cache = SqliteCache(path=str(file_in(self.folder)))

    def close(self) -> None:
        # It has no close of its own; what its __del__ does is done here, when it is due.
        self.cache._conn.close()


class Diskcache(Contender):
    """diskcache.Cache: keys are strings, namespaces tags, ``transact`` makes a batch, an executor serves asyncio."""

    name = "diskcache"
    note = "pickles values; reads a batch one by one, having no other way"

    def open(self) -> None:
        from diskcache import Cache  # type: ignore[import-untyped]

        self.cache = Cache(
            str(self.folder),
            sqlite_synchronous=2 if self.durability == "full" else 1,
            tag_index=True,
            timeout=_LOCK_SECONDS,
        )

    def close(self) -> None:
        self.cache.close()

    def gets(self, batches: Sequence[list[FullKey]]) -> Calls:
        if single(batches):
            return self.cache.get, [_joined(key) for [key] in batches]
        return self._get_many, [[_joined(key) for key in batch] for batch in batches]

    def sets(self, batches: Sequence[dict[FullKey, Any]]) -> Calls:
        items = [[(_joined(key), value, ":".join(key[0])) for key, value in batch.items()] for batch in batches]
        if single(batches):
            return self._set, [item for [item] in items]
        return self._set_many, items

    def _get_many(self, keys: list[str]) -> dict[str, Any]:
        get = self.cache.get
        return {key: get(key) for key in keys}

    def _set(self, item: tuple[str, Any, str]) -> None:
        key, value, tag = item
        self.cache.set(key, value, expire=self.terms.ttl, tag=tag)

    def _set_many(self, items: list[tuple[str, Any, str]]) -> None:
        with self.cache.transact():
            for key, value, tag in items:
                self.cache.set(key, value, expire=self.terms.ttl, tag=tag)

    def agets(self, batches: Sequence[list[FullKey]]) -> Calls:
        call, arguments = self.gets(batches)
        return _in_executor(call), arguments

    def asets(self, batches: Sequence[dict[FullKey, Any]]) -> Calls:
        call, arguments = self.sets(batches)
        return _in_executor(call), arguments

    def clears(self, namespaces: Sequence[tuple[str, ...]]) -> Calls:
        return self.cache.evict, [":".join(namespace) for namespace in namespaces]

    def read(self, keys: list[FullKey]) -> dict[FullKey, Any]:
        return {key: self.cache[joined] for key in keys if (joined := _joined(key)) in self.cache}


_SCHEMA = """
    CREATE TABLE IF NOT EXISTS entries (namespace TEXT, key TEXT, value BLOB, PRIMARY KEY (namespace, key))
"""
_GET = "SELECT value FROM entries WHERE namespace = ? AND key = ?"
_SET = "INSERT OR REPLACE INTO entries VALUES (?, ?, ?)"
_CLEAR = "DELETE FROM entries WHERE namespace = ?"


class _Raw(Contender):
    """SQLite itself: WAL, a connection for each thread, statements prepared once, ormsgpack.

    All keys of a batch share a namespace.
    """

    note = "no TTL, no bound, no checksum"

    def open(self) -> None:
        self._local = threading.local()
        self._opened: list[Any] = []
        self._connection().execute(_SCHEMA)

    def close(self) -> None:
        for connection in self._opened:
            connection.close()
        self._opened = []

    def _connection(self) -> Any:
        try:
            return self._local.connection
        except AttributeError:
            connection = self._local.connection = self._connect(str(file_in(self.folder)))
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute(f"PRAGMA synchronous = {self.durability}")
            self._opened.append(connection)
            return connection

    def _connect(self, path: str) -> Any:
        raise NotImplementedError

    def _get_many(self, batch: tuple[str, list[str]]) -> dict[str, Any]:
        raise NotImplementedError

    def gets(self, batches: Sequence[list[FullKey]]) -> Calls:
        if single(batches):
            return self._get, [(_joined_namespace(key), key[1]) for [key] in batches]
        return self._get_many, [(_joined_namespace(batch[0]), [key for _, key in batch]) for batch in batches]

    def sets(self, batches: Sequence[dict[FullKey, Any]]) -> Calls:
        items = [[(_joined_namespace(key), key[1], value) for key, value in batch.items()] for batch in batches]
        if single(batches):
            return self._set, [item for [item] in items]
        return self._set_many, items

    def _get(self, key: tuple[str, str]) -> Any:
        row = self._connection().execute(_GET, key).fetchone()
        return None if row is None else self.payload.loads(row[0])

    def _set(self, item: tuple[str, str, Any]) -> None:
        namespace, key, value = item
        self._connection().execute(_SET, (namespace, key, self.payload.dumps(value)))

    def _set_many(self, items: list[tuple[str, str, Any]]) -> None:
        dumps = self.payload.dumps
        rows = [(namespace, key, dumps(value)) for namespace, key, value in items]
        connection = self._connection()
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(_SET, rows)
        connection.execute("COMMIT")

    def agets(self, batches: Sequence[list[FullKey]]) -> Calls:
        call, arguments = self.gets(batches)
        return _in_executor(call), arguments

    def asets(self, batches: Sequence[dict[FullKey, Any]]) -> Calls:
        call, arguments = self.sets(batches)
        return _in_executor(call), arguments

    def clears(self, namespaces: Sequence[tuple[str, ...]]) -> Calls:
        def clear(namespace: str) -> None:
            self._connection().execute(_CLEAR, (namespace,))

        return clear, [":".join(namespace) for namespace in namespaces]

    def read(self, keys: list[FullKey]) -> dict[FullKey, Any]:
        found = {}
        for namespace, key in keys:
            value = self._get((":".join(namespace), key))
            if value is not None:
                found[namespace, key] = value
        return found


class RawSqlite3(_Raw):
    name = "sqlite3 + ormsgpack"

    def _connect(self, path: str) -> Any:
        import sqlite3

        return sqlite3.connect(path, timeout=_LOCK_SECONDS, isolation_level=None, check_same_thread=False)

    def _get_many(self, batch: tuple[str, list[str]]) -> dict[str, Any]:
        namespace, keys = batch
        marks = ",".join("?" * len(keys))
        rows = self._connection().execute(
            f"SELECT key, value FROM entries WHERE namespace = ? AND key IN ({marks})", (namespace, *keys)
        )
        loads = self.payload.loads
        return {key: loads(data) for key, data in rows}


class RawApsw(_Raw):
    name = "apsw + ormsgpack"

    def _connect(self, path: str) -> Any:
        import apsw

        connection = apsw.Connection(path)
        connection.set_busy_timeout(_LOCK_SECONDS * 1000)
        return connection

    def _get_many(self, batch: tuple[str, list[str]]) -> dict[str, Any]:
        import apsw

        namespace, keys = batch
        rows = self._connection().execute(
            "SELECT key, value FROM entries WHERE namespace = ? AND key IN (SELECT value FROM carray(?))",
            (namespace, apsw.carray(tuple(keys))),
        )
        loads = self.payload.loads
        return {key: loads(data) for key, data in rows}


FILES: dict[str, type[Contender]] = {kind.name: kind for kind in (Hitrate, LangGraph, Diskcache, RawSqlite3, RawApsw)}


def file_in(folder: Path | None) -> Path:
    if folder is None:
        raise ValueError("a contender that keeps files needs a folder")
    return folder / "cache.db"


def _joined(key: FullKey) -> str:
    namespace, name = key
    return ":".join((*namespace, name))


def _joined_namespace(key: FullKey) -> str:
    return ":".join(key[0])


def _in_executor(call: Callable[[Any], Any]) -> Callable[[Any], Coroutine[Any, Any, Any]]:
    async def run(argument: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(None, call, argument)

    return run
