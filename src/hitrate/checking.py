"""Checking a cache: whether what is stored can be trusted."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import suppress
from typing import Any, NamedTuple

from hitrate.base import Namespace
from hitrate.cache import Cache
from hitrate.records import AT_ONCE, Damaged, records
from hitrate.stores.base import LookedAt


class Finding(NamedTuple):
    """Something that is wrong.

    Attributes:
        namespace: of the entry that it is about; None if it is about none, or that cannot be told.
        key: of that entry.
        what: what is wrong.
        mended: whether it was put right; a damaged entry is so by its removal.
        of: ``"pages"`` if it is about pages of a file, which cannot be put right in place; else ``"entry"``.
    """

    namespace: Namespace | None
    key: str | None
    what: str
    mended: bool
    of: str = "entry"


def findings(
    cache: Cache[Any], *, repair: bool, looked_at: LookedAt = lambda entries: None
) -> Generator[Finding, None, None]:
    """Yield what is wrong in a cache, and put it right with ``repair``; ``looked_at`` is told how far it has come.

    Raises:
        StoreError: the store failed.
    """
    problems = cache._open_store().check(repair, looked_at)
    if problems is None:
        for count, each in enumerate(records(cache), 1):
            if count % AT_ONCE == 0:
                looked_at(count)
            if isinstance(each, Damaged):
                mended = bool(repair and cache.delete([(each.namespace, each.key)]))
                yield Finding(each.namespace, each.key, each.why, mended)
        return
    full_key = cache._codec.key_decoder()
    for name, key, what, mended, of in problems:
        namespace = text = None
        if name is not None:
            with suppress(ValueError, IndexError):  # the key itself was damaged
                namespace, text = full_key(name, key or b"")
        yield Finding(namespace, None if key is None else text, what, mended, of)
