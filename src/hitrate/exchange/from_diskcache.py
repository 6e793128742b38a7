"""diskcache's Cache and FanoutCache: raw values, binary and text files, what a JSONDisk wrote. No pickle is loaded."""

from __future__ import annotations

import json
import os
import re
import zlib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from hitrate.exchange.foreign import Left, NotTheirs, instant_of, left, record_of, table_of
from hitrate.records import Damaged, Record

_RAW, _BINARY, _TEXT, _PICKLE = 1, 2, 3, 4
_SHARD = re.compile(r"\d{3,}")
_FILE_NAME = re.compile(r"[0-9a-f]{2}/[0-9a-f]{2}/[0-9a-f]+\.val")
_COLUMNS = """key, typeof(key) = 'text', raw, store_time, expire_time, mode, filename, value, typeof(value) = 'text'"""
_KEYS_LOOKED_AT = 100
_LARGEST_JSON = 1 << 30
_FILE = "cache of diskcache"
_NAMESPACE = ("diskcache",)


def records_of(folder: Path) -> Iterator[Record | Damaged]:
    """Yield what a folder of diskcache holds, the shards of a FanoutCache one after the other.

    Entries are put into the namespace ``("diskcache",)``. A key that is a str stays as it is. One that is an int, a
    float or bytes becomes its repr, in a namespace that has ``"int"``, ``"float"`` or ``"bytes"`` as one more part.
    Tags are left out.

    Raises:
        NotTheirs: it is none.
    """
    shards = [folder] if (folder / "cache.db").is_file() else []
    if not shards and folder.is_dir():
        shards = sorted(each for each in folder.iterdir() if _SHARD.fullmatch(each.name))
    if not shards or not all((shard / "cache.db").is_file() for shard in shards):
        raise NotTheirs(f"{folder} is no folder of diskcache: there is no cache.db in it, or in all of its shards")
    for shard in shards:
        yield from _of_shard(shard)


def _of_shard(folder: Path) -> Iterator[Record | Damaged]:
    # Nothing says what kind of disk wrote it. Keys that are all compressed JSON are a JSONDisk's.
    with table_of(folder / "cache.db", "Cache", "key", _FILE) as keys:
        is_json = all(_is_zipped(key) for (key,) in islice(keys, _KEYS_LOOKED_AT))
    with table_of(folder / "cache.db", "Cache", _COLUMNS, _FILE) as rows:
        for key, key_is_text, raw, stored, expires, mode, filename, value, value_is_text in rows:
            try:
                if not raw or mode == _PICKLE:
                    raise Left("it is a pickle, which is never loaded" if raw else "its key is a pickle")
                name = _plain(key, key_is_text)
                held = _plain(value, value_is_text) if mode == _RAW else _content(folder, filename, mode)
                if is_json:
                    name, held = _unzipped(name), _unzipped(held)
            except (Left, OSError, ValueError, zlib.error, RecursionError) as error:
                yield left(error)
                continue
            where, text = (_NAMESPACE, name) if type(name) is str else ((*_NAMESPACE, type(name).__name__), repr(name))
            times = {"created": instant_of(stored), "expires": instant_of(expires)}
            yield record_of(where, text, held, **times)


def _plain(value: Any, is_text: Any) -> Any:
    return value.decode() if is_text else value


def _content(folder: Path, filename: Any, mode: Any) -> Any:
    """Return what is in a file of the folder; the database names it, and may name no other."""
    name = filename.decode() if type(filename) is bytes else ""
    if mode not in (_BINARY, _TEXT) or not _FILE_NAME.fullmatch(name):
        raise ValueError("it names no file of diskcache")
    descriptor = os.open(folder / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        content = file.read()
    return content.decode() if mode == _TEXT else content


def _is_zipped(key: Any) -> bool:
    try:
        _unzipped(key)
    except (ValueError, zlib.error, RecursionError):
        return False
    return True


def _unzipped(value: Any) -> Any:
    """Return what a JSONDisk was given."""
    if type(value) is not bytes:
        raise ValueError("it is no JSON of a JSONDisk")
    reader = zlib.decompressobj()
    text = reader.decompress(value, _LARGEST_JSON)
    if not reader.eof:
        raise ValueError("it is longer than is read")
    return json.loads(text)
