"""Caches for graphs: LangGraph's base class, and what only a cache of its tasks has to do."""

from __future__ import annotations

from collections import deque
from collections.abc import Coroutine, Mapping, Sequence
from sys import _getframe
from typing import Any

from langgraph.cache.base import BaseCache as LangGraphCache

from hitrate.base import TTL, FullKey, Namespace, ValueT
from hitrate.cache import Cache
from hitrate.errors import SerializationError
from hitrate.events import noting
from hitrate.failsafe import log
from hitrate.langgraph.dict_messages import dicts_in
from hitrate.langgraph.messages import (
    calls_in,
    calls_now,
    given_in,
    ids_now,
    is_plain,
    rename_calls,
    renew,
    take_kept,
    with_kept,
)
from hitrate.langgraph.tasks import Asking, Tasks, are_of_a_graph
from hitrate.langgraph.unkeyed import is_unkeyed
from hitrate.runs import BYPASS, USE, current_mode

_OF_ONE_RUN = frozenset({"__resume__", "__interrupt__", "__error__"})
"""LangGraph's channels for a person's answer to this run, a question that is still open, and a failure."""


class GraphCache(Cache[ValueT], LangGraphCache[ValueT]):  # pyright: ignore[reportIncompatibleVariableOverride]
    """A cache of the results of tasks; it leaves out what it cannot store, so that the run goes on.

    A class for a store inherits from this one first, and then from hitrate's class for that store.

    Attributes:
        new_message_ids: whether messages and tool calls of a hit get new ids, so that they follow those in a thread
            in place of replacing or repeating them. True unless set.
    """

    new_message_ids: bool = True
    _types_logged: frozenset[str] = frozenset()

    def get(self, keys: Sequence[FullKey]) -> dict[FullKey, ValueT]:
        """Get the cached values for the given keys; for a graph, once for each of its tasks."""
        if not are_of_a_graph(keys):
            return super().get(keys)
        mode, asking = current_mode(), self._tasks.asking(keys, _getframe(1))
        found = super().get(_to_ask(keys, asking)) if mode == USE else {}
        return self._answered(found, asking, mode)

    def aget(self, keys: Sequence[FullKey]) -> Coroutine[Any, Any, dict[FullKey, ValueT]]:
        """Asynchronously get the cached values for the given keys; as ``get``."""
        if not are_of_a_graph(keys):
            return super().aget(keys)
        return self._aget(keys, self._tasks.asking(keys, _getframe(1)), current_mode())

    async def _aget(self, keys: Sequence[FullKey], asking: Asking | None, mode: int) -> dict[FullKey, ValueT]:
        found = await super().aget(_to_ask(keys, asking)) if mode == USE else {}
        return self._answered(found, asking, mode)

    def _answered(self, found: dict[FullKey, ValueT], asking: Asking | None, mode: int) -> dict[FullKey, ValueT]:
        """Make hits the run's own, and note which tasks will bring a result."""
        channels = () if asking is None else asking.channels
        for full_key, value in [*found.items()]:
            if is_plain(value) and not (channels and dicts_in(value, channels)):
                continue
            if not self._made_own(value, asking, full_key):
                del found[full_key]
                counts = self._counters[self._encode_keys([full_key])[0][0]]
                counts.hits -= 1
                counts.misses += 1
        if asking is not None and (len(found) < len(asking.keys) or asking.hits_return):
            self._tasks.note(asking, found, mode)
        return found

    def _made_own(self, value: Any, asking: Asking | None, full_key: FullKey) -> bool:
        """Make the messages of a hit the run's own; False if it edits or removes some that the run has not."""
        taken = take_kept(value)
        if taken is None:
            return False
        kept, calls = taken
        task, channels = (None, ()) if asking is None else (asking.tasks[full_key], asking.channels)
        given = getattr(task, "input", None)
        # Without the task that asks, its input is not known, and ids of messages of the input stay as they are.
        ids = ids_now(kept, given_in(given)) if kept and task is not None else {each.id: each.id for each in kept}
        if ids is None:
            return False
        if calls and task is not None:
            names = calls_now(value, ids, calls, given, channels)
            if names is None:
                return False
            if names:
                rename_calls(value, names, channels)
                calls = [names.get(call, call) for call in calls]
        renew(
            value,
            ids,
            new_ids=self.new_message_ids,
            taken=lambda: calls_in(given),
            calls=calls,
            channels=channels,
        )
        return True

    def set(self, pairs: Mapping[FullKey, tuple[ValueT, TTL | None]]) -> None:
        """Set the cached values for the given keys and TTLs; of a graph's, those that are good for other runs."""
        kept = self._to_keep(pairs)
        if kept is not None:
            super().set(kept)

    def aset(self, pairs: Mapping[FullKey, tuple[ValueT, TTL | None]]) -> Coroutine[Any, Any, None]:
        """Asynchronously set the cached values for the given keys and TTLs; as ``set``."""
        kept = self._to_keep(pairs)
        return _nothing() if kept is None else super().aset(kept)

    def _to_keep(
        self, pairs: Mapping[FullKey, tuple[ValueT, TTL | None]]
    ) -> Mapping[FullKey, tuple[ValueT, TTL | None]] | None:
        """Return what is to be stored; None if nothing is."""
        if not (type(pairs) is dict or isinstance(pairs, Mapping)) or not are_of_a_graph([*pairs]):
            return pairs
        kept: dict[FullKey, tuple[ValueT, TTL | None]] = {}
        for full_key, pair in pairs.items():
            known = self._tasks.take(full_key)
            if BYPASS in (known.mode, current_mode()) or is_unkeyed(full_key) or self._tasks.is_answered(full_key):
                continue
            if type(pair) is tuple and len(pair) == 2:
                value, ttl = pair
                if not _is_of_one_run(value):
                    kept[full_key] = (with_kept(value, known.given, known.channels), ttl)
            else:
                kept[full_key] = pair  # which the cache refuses with an error that says why
        notes = noting.get()
        if notes is not None:
            notes.kept = kept
        return kept or None

    @classmethod
    def _first_use_of(cls, namespace: Namespace) -> None:
        """Prepare for graphs when a namespace of LangGraph's tasks is first used."""

    @property
    def _tasks(self) -> Tasks:
        """The tasks that asked, made when first used."""
        tasks: Tasks = vars(self).get("_graph_tasks") or vars(self).setdefault("_graph_tasks", Tasks())
        return tasks

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


def _to_ask(keys: Sequence[FullKey], asking: Asking | None) -> Sequence[FullKey]:
    if asking is None:
        return keys
    return [key for key in asking.keys if key not in asking.resumed] if asking.resumed else asking.keys


def _is_of_one_run(writes: Any) -> bool:
    """Tell whether what a task wrote says how it was interrupted or failed, or what a person answered."""
    if type(writes) is deque:
        for write in writes:
            if type(write) is tuple and len(write) == 2 and write[0] in _OF_ONE_RUN:
                return True
    return False


async def _nothing() -> None:
    pass
