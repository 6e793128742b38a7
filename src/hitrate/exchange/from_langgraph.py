"""LangGraph's SqliteCache: entries keep their keys, so that the next run of the same graph hits.

Its serializer restores objects by importing what the bytes name. So each payload is looked through first, constructing
nothing, and one that names anything but LangGraph's own list of safe types is left: in its strict mode, LangGraph would
restore something else in their place. Pickles are never loaded.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ormsgpack

from hitrate.base import Namespace
from hitrate.exchange.foreign import Left, instant_of, left, record_of, table_of, text_of
from hitrate.records import Damaged, Record
from hitrate.serde.depth import is_shallow

_TASKS = "__pregel_ns_writes,"
_METHOD = 3
_NUMPY = 6
_DEEPEST = 16
_FILE = "file of LangGraph's SqliteCache"


def records_of(path: Path) -> Iterator[Record | Damaged]:
    """Yield what a file of LangGraph's SqliteCache holds.

    Raises:
        NotTheirs: it is none.
        ModuleNotFoundError: langgraph is not installed.
    """
    load = _loader()
    with table_of(path, "cache", "ns, key, expiry, encoding, val", _FILE) as rows:
        for ns, key, expiry, encoding, value in rows:
            try:
                namespace, text = _namespace(text_of(ns)), text_of(key)
                restored = load(text_of(encoding), value)
            except Exception as error:
                yield left(error)
            else:
                yield record_of(namespace, text, restored, expires=instant_of(expiry))


def _namespace(joined: str) -> Namespace:
    """Return the namespace whose parts were joined by commas: of a task, only its node's name may have some."""
    return tuple(joined.split(",", 2) if joined.startswith(_TASKS) else joined.split(","))


def _loader() -> Callable[[str, Any], Any]:
    try:
        from langgraph.checkpoint.serde._msgpack import SAFE_MSGPACK_METHODS, SAFE_MSGPACK_TYPES
        from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
    except ImportError as error:
        raise ModuleNotFoundError(
            "LangGraph's values are read by LangGraph, which is not installed, or too old: pip install -U langgraph"
        ) from error
    serde = JsonPlusSerializer(allowed_msgpack_modules=None)

    def check(payload: bytes, depth: int) -> None:
        if depth == 0 or not is_shallow(payload):
            raise Left("it is nested too deeply")
        problem: list[Left] = []

        def look(code: int, data: bytes) -> None:
            try:
                check_extension(code, data, depth)
            except Left as why:
                problem.append(why)  # unpackb drops what its hook raises

        ormsgpack.unpackb(payload, ext_hook=look, option=ormsgpack.OPT_NON_STR_KEYS)
        if problem:
            raise problem[0]

    def check_extension(code: int, data: bytes, depth: int) -> None:
        check(data, depth - 1)
        parts = ormsgpack.unpackb(data, ext_hook=lambda code, data: None, option=ormsgpack.OPT_NON_STR_KEYS)
        if code == _NUMPY:
            return
        if code > _NUMPY or type(parts) is not list or len(parts) < 3:
            raise Left("it holds an extension that is not known")
        module, name = parts[:2]
        safe = (module, name) in SAFE_MSGPACK_TYPES
        if code == _METHOD:
            safe = (module, name, parts[3]) in SAFE_MSGPACK_METHODS
        if not safe:
            raise Left(f"it holds a {module}.{name}, which is imported for no file")

    def load(encoding: str, value: Any) -> Any:
        if encoding == "pickle":
            raise Left("it is a pickle, which is never loaded")
        if encoding == "json":
            plain = json.loads(value)
            if '"lc"' in json.dumps(plain):
                raise Left("it is JSON that names classes")
            return plain
        if encoding == "msgpack":
            check(value, _DEEPEST)
        return _as_writes(serde.loads_typed((encoding, value)))

    return load


def _as_writes(value: Any) -> Any:
    """Return what a node wrote with its pairs as the tuples that they were; LangGraph's bytes know only lists."""
    if type(value) is deque and all(type(pair) is list and len(pair) == 2 for pair in value):
        return deque(map(tuple, value))
    return value
