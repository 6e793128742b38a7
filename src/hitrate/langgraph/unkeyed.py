"""Tasks without a key by which their result could be found again: LangGraph wants one, and the result is not kept."""

from __future__ import annotations

from uuid import uuid4

from xxhash import xxh3_128_hexdigest

from hitrate.base import FullKey

_REMEMBERED = 65_536

_keys: dict[str, None] = {}


def unkeyed() -> str:
    """Return a key that no other task has, and whose result no cache of ``hitrate.langgraph`` keeps."""
    key = f"unkeyed:{uuid4()}"
    _keys[xxh3_128_hexdigest(key.encode())] = None  # LangGraph gives the cache this hash
    while len(_keys) > _REMEMBERED:
        _keys.pop(next(iter(_keys)), None)
    return key


def is_unkeyed(full_key: FullKey) -> bool:
    """Tell whether ``unkeyed`` made this key; True once for each, since one result comes under it."""
    return bool(_keys) and _keys.pop(full_key[1], True) is None
