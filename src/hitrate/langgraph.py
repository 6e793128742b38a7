"""hitrate's caches as LangGraph's own: true subclasses of its ``BaseCache``, for ``compile(cache=...)`` and ``@entrypoint``.

A run must not fail because of its cache. Here a value that cannot be stored exactly is left out of the batch, logged once
for each type and counted as an error; everything else is as in ``hitrate.memory`` and ``hitrate.sqlite``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langgraph.cache.base import BaseCache as LangGraphCache

import hitrate.memory
import hitrate.sqlite
from hitrate.base import ValueT
from hitrate.failsafe import log

if TYPE_CHECKING:
    from hitrate.base import FullKey
    from hitrate.errors import SerializationError
    from hitrate.stats import Counters

__all__ = ["InMemoryCache", "SqliteCache"]


class _GraphCache(LangGraphCache[ValueT]):
    """Leaves out what cannot be stored, so that the run goes on."""

    if TYPE_CHECKING:
        _counters: Counters

    def _cannot_store(self, full_key: FullKey, error: SerializationError) -> None:
        self._counters.errors += 1
        logged = self.__dict__.setdefault("_types_logged", set())
        if error.type_name not in logged:
            logged.add(error.type_name)
            namespace, key = full_key
            log.warning(
                "%s: not caching the result of namespace %r, key %r, nor others like it: %s",
                *(type(self).__name__, namespace, key, error),
            )


class InMemoryCache(_GraphCache[ValueT], hitrate.memory.InMemoryCache[ValueT]):  # type: ignore[misc]
    __doc__ = hitrate.memory.InMemoryCache.__doc__

    def __init__(self, **options: Any) -> None:
        hitrate.memory.InMemoryCache.__init__(self, **options)
