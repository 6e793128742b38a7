"""What makes a cache one for graphs: LangGraph's base class, and a value that cannot be stored is no failure."""

from __future__ import annotations

from langgraph.cache.base import BaseCache as LangGraphCache

from hitrate.base import FullKey, ValueT
from hitrate.cache import Cache
from hitrate.errors import SerializationError
from hitrate.failsafe import log


class GraphCache(Cache[ValueT], LangGraphCache[ValueT]):  # pyright: ignore[reportIncompatibleVariableOverride]
    """A cache that leaves out what it cannot store, so that the run goes on.

    A class for a store inherits from this one first, and then from hitrate's class for that store.
    """

    _types_logged: frozenset[str] = frozenset()

    def _cannot_store(self, full_key: FullKey, error: SerializationError) -> None:
        """Leave the entry out of its batch: count it, and log it if it is the first with this type."""
        self._counters.errors += 1
        if error.type_name in self._types_logged:
            return
        self._types_logged |= {error.type_name}
        namespace, key = full_key
        log.warning(
            "%s: the result of namespace %r, key %r is not cached, nor are others with a %s (logged once): %s",
            *(type(self).__name__, namespace, key, error.type_name, error),
        )
