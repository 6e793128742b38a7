"""Records: entries with their payloads as they are stored, for commands that look at, check, move or remove them.

Nothing here decodes a value. It is for the package itself; programs have ``entries()`` and ``get``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any, NamedTuple

from hitrate.base import FullKey, Namespace
from hitrate.cache import Cache
from hitrate.entry_info import EntryInfo
from hitrate.errors import DecodeError, HitrateError
from hitrate.stores.salvaged import Salvaged, UnreadableRows

AT_ONCE = 500
"""Entries that are read, written or removed in one step."""


class Record(NamedTuple):
    """An entry and its payload.

    Attributes:
        namespace: its namespace.
        key: its key.
        encoding: the name of its payload's encoding, in its envelope if it has one.
        payload: the serialised value.
        created: when it was stored, in seconds since the epoch; None if that is not known.
        expires: when it is gone, likewise; None for never.
        seconds: the seconds that its value took to make.
    """

    namespace: Namespace
    key: str
    encoding: str
    payload: bytes
    created: float | None
    expires: float | None
    seconds: float


def read_record(cache: Cache[Any], full_key: FullKey) -> Record | None:
    """Return the record of a key, whose ``created`` is not looked for; None if it is not there.

    Raises:
        DecodeError: it is damaged.
        StoreError: the store failed.
    """
    (found,) = cache._open_store().get(cache._encode_keys([full_key]))
    if found is None:
        return None
    if isinstance(found, HitrateError):
        raise type(found)(f"the entry of namespace {full_key[0]!r}, key {full_key[1]!r} is unusable: {found}")
    encoding, payload, expires, seconds = found
    return Record(*full_key, *_serialised(cache, encoding, payload), None, expires, seconds)


def _serialised(cache: Cache[Any], encoding: Any, payload: Any) -> tuple[str, bytes]:
    """Return the encoding and the payload of an entry, which a store in memory may hold as an object instead."""
    if isinstance(encoding, str):
        return encoding, payload
    return cache.serde.dumps_typed(payload if encoding is None else encoding(payload))


class Damaged(NamedTuple):
    """An entry that cannot be trusted.

    Attributes:
        namespace: its namespace.
        key: its key.
        why: what is wrong with it.
    """

    namespace: Namespace
    key: str
    why: str


def records(cache: Cache[Any], under: Namespace = ()) -> Iterator[Record | Damaged]:
    """List the records of a cache in steps; what is removed meanwhile is left out.

    Raises:
        StoreError: the store failed.
    """
    infos = cache.entries(under)
    while chunk := list(islice(infos, AT_ONCE)):
        yield from _read(cache, chunk)


def _read(cache: Cache[Any], infos: Sequence[EntryInfo]) -> Iterator[Record | Damaged]:
    store = cache._open_store()
    encoded = cache._encode_keys([info[:2] for info in infos])
    for info, found in zip(infos, store.get(encoded), strict=True):
        if isinstance(found, DecodeError):
            yield Damaged(info.namespace, info.key, str(found))
        elif isinstance(found, HitrateError):
            raise found
        elif found is not None:
            encoding, payload, expires, seconds = found
            stored = _serialised(cache, encoding, payload)
            yield Record(info.namespace, info.key, *stored, info.created, expires, seconds)


class Unreadable(NamedTuple):
    """Entries that cannot be read.

    Attributes:
        namespace: theirs; None if that cannot be told.
        entries: how many there are.
    """

    namespace: Namespace | None
    entries: int


def salvaged(cache: Cache[Any], under: Namespace = ()) -> Iterator[Record | Damaged | Unreadable] | None:
    """List what can be read of a cache of which a part cannot; None for one that is read whole or not at all.

    Raises:
        StoreError: the store failed otherwise.
    """
    found = cache._open_store().salvage(cache._encode_prefix(under))
    return None if found is None else _salvaged(cache, found)


def _salvaged(cache: Cache[Any], found: Iterable[Salvaged | UnreadableRows]) -> Iterator[Record | Damaged | Unreadable]:
    decode = cache._codec.key_decoder()
    for each in found:
        full_key = None
        with suppress(ValueError, IndexError):  # the key was damaged itself
            if each.name is not None:
                full_key = decode(each.name, each.key if isinstance(each, Salvaged) else b"")
        if not isinstance(each, Salvaged):
            yield Unreadable(full_key and full_key[0], each.entries)
        elif full_key is None or isinstance(each.entry, DecodeError):
            why = str(each.entry) if isinstance(each.entry, DecodeError) else "its key was damaged"
            yield Damaged(*(full_key or ((), "")), why)
        else:
            encoding, payload, expires, seconds = each.entry
            yield Record(*full_key, encoding, payload, each.created, expires, seconds)


def remove(cache: Cache[Any], keys: Iterable[FullKey]) -> int:
    """Remove keys in steps; return how many of them were there."""
    removed = 0
    rest = iter(keys)
    while chunk := list(islice(rest, AT_ONCE)):
        removed += cache.delete(chunk)
    return removed
