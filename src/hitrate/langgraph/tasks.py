"""LangGraph's tasks, seen from its cache: which of them ask, and what must be known of one when its result comes.

LangGraph hands a cache keys and results only. A read is called by the method of its loop that has the tasks at hand, in
a dict by these very keys, and that dict is found there by what it is, in the frame of the caller. From it come

- which tasks ask for the first time. At each task that a run starts, LangGraph asks for all that have no result yet,
  and applies every answer again: n tasks make n squared reads, and each result is streamed many times. A task is asked
  for once here, and two tasks with one key are two;
- the ids of the messages that a task was given, which tell an edit of a message from a new one;
- whether its run passes the cache by. A result may be handed over by a thread that knows nothing of that run.

Where there is no such dict, as when a program calls ``get`` itself, all keys are asked for and nothing is known.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Iterable, Mapping, Sequence
from types import FrameType
from typing import Any, NamedTuple

from hitrate.base import FullKey
from hitrate.cache import NAMESPACE_OF_TASKS
from hitrate.langgraph.messages import ids_in
from hitrate.runs import USE

_REMEMBERED = 65_536
"""Tasks whose result has not come, at most: those that failed never bring one."""


class Known(NamedTuple):
    """What is known of a task that asked.

    Attributes:
        key: the string that is its key: LangGraph makes one for each task, and its identity tells the task.
        mode: how its run uses the cache.
        ids: of the messages in its input.
    """

    key: str
    mode: int
    ids: frozenset[str]


UNKNOWN = Known("", USE, frozenset())


class Tasks:
    """The tasks that asked one cache."""

    def __init__(self) -> None:
        self._known: dict[int, Known] = {}
        self._asked: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()

    def asking(self, keys: Sequence[FullKey], frame: FrameType | None) -> Mapping[FullKey, Any] | None:
        """Return by key the tasks that ask for the first time; None where no tasks are found.

        Args:
            keys: what is asked for.
            frame: of the caller.
        """
        tasks = _tasks_of(keys, frame)
        if tasks is None:
            return None
        fresh = {key: task for key, task in tasks.items() if self._asked.get(id(task)) is not task}
        try:
            for task in fresh.values():
                self._asked[id(task)] = task
        except TypeError:  # they cannot be referred to weakly, and so not be told from later ones
            return tasks
        return fresh

    def note(self, tasks: Iterable[Any], mode: int) -> None:
        """Remember tasks that will bring a result."""
        for task in tasks:
            key = task.cache_key.key
            self._known[id(key)] = Known(key, mode, ids_in(task.input))
        while len(self._known) > _REMEMBERED:
            self._known.pop(next(iter(self._known)), None)

    def take(self, full_key: FullKey) -> Known:
        """Return, once, what is known of the task whose result comes under this key."""
        key = full_key[1]
        known = self._known.pop(id(key), UNKNOWN)
        return known if known.key is key else UNKNOWN


def caller() -> FrameType | None:
    """Return the frame that called the function that calls this one."""
    return sys._getframe(2)


def _tasks_of(keys: Sequence[FullKey], frame: FrameType | None) -> Mapping[FullKey, Any] | None:
    if frame is None or not keys:
        return None
    for found in list(frame.f_locals.values()):
        if type(found) is dict and len(found) == len(keys) and all(map(found.__contains__, keys)):
            try:
                for task in found.values():
                    _ = task.cache_key, task.input
            except AttributeError:
                continue
            return found
    return None


def are_of_a_graph(keys: Any) -> bool:
    """Tell whether keys are of LangGraph's tasks, by the namespace that it gives them."""
    try:
        return bool(keys) and keys[0][0][0] == NAMESPACE_OF_TASKS
    except (TypeError, IndexError, KeyError):
        return False
