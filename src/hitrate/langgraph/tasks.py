"""LangGraph's tasks, seen from its cache: which of them ask, and what must be known of one when its result comes.

LangGraph hands a cache keys and results only. A read is called by the method of its loop that has the tasks at hand, in
a dict by these very keys, and that dict is found there by what it is, in the frame of the caller. From it come

- which tasks ask for the first time. At each task that a run starts, LangGraph asks for all that have no result yet,
  and applies every answer again: n tasks make n squared reads, and each result is streamed many times. A task is asked
  for once here, and two tasks with one key are two;
- the messages that a task was given, which tell an edit of a message from a new one;
- whether it asked a person before, and is run again with the answer: then no other run may have its result;
- whether its run passes the cache by. A result may be handed over by a thread that knows nothing of that run.

A cache of the program's own may stand between, so some frames further up are looked at, too. Where there is no
such dict, as when a program calls ``get`` itself, all keys are asked for and nothing is known.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Collection, Container, Mapping, Sequence
from types import FrameType
from typing import Any, NamedTuple

from hitrate.base import FullKey
from hitrate.cache import NAMESPACE_OF_TASKS
from hitrate.compute.control_flow import holds_answers
from hitrate.langgraph.messages import Given, given_in
from hitrate.runs import BYPASS, USE

_REMEMBERED = 65_536
"""Tasks whose result has not come, at most: those that failed never bring one."""

_FRAMES = 8
"""How far up the tasks are looked for: a cache around ours has a frame or two."""

_INTERRUPT = "__interrupt__"


class Known(NamedTuple):
    """What is known of a task that asked.

    Attributes:
        key: the string that is its key: LangGraph makes one for each task, and its identity tells the task.
        mode: how it uses the cache.
        given: the messages in its input.
    """

    key: str
    mode: int
    given: Given


UNKNOWN = Known("", USE, [])


class Asking(NamedTuple):
    """Tasks that ask for the first time.

    Attributes:
        tasks: by key.
        resumed: the keys of those that have a person's answer: they neither take a result nor leave one.
    """

    tasks: Mapping[FullKey, Any]
    resumed: frozenset[FullKey]


class Tasks:
    """The tasks that asked one cache."""

    def __init__(self) -> None:
        self._known: dict[int, Known] = {}
        self._asked: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()
        self._answered: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()

    def asking(self, keys: Sequence[FullKey], frame: FrameType | None) -> Asking | None:
        """Return the tasks that ask for the first time; None where no tasks are found.

        Args:
            keys: what is asked for.
            frame: of the caller.
        """
        tasks, interrupted = _tasks_of(keys, frame)
        if tasks is None:
            return None
        fresh = {key: task for key, task in tasks.items() if self._asked.get(id(task)) is not task}
        try:
            for task in fresh.values():
                self._asked[id(task)] = task
        except TypeError:  # they cannot be referred to weakly, and so not be told from later ones
            fresh = {**tasks}
        resumed = (key for key, task in fresh.items() if _is_resumed(task, interrupted))
        return Asking(fresh, frozenset(resumed))

    def note(self, asking: Asking, found: Container[FullKey], mode: int) -> None:
        """Remember the tasks that got a result, and those that will bring one."""
        for full_key, task in asking.tasks.items():
            key = task.cache_key.key
            if full_key in found:
                try:
                    self._answered[id(key)] = task
                except TypeError:  # as above
                    continue
            else:
                its_mode = BYPASS if full_key in asking.resumed else mode
                self._known[id(key)] = Known(key, its_mode, given_in(task.input))
        while len(self._known) > _REMEMBERED:
            self._known.pop(next(iter(self._known)), None)

    def is_answered(self, full_key: FullKey) -> bool:
        """Tell whether what comes under this key came from the cache: LangGraph 1.0 stores hits again."""
        task = self._answered.get(id(full_key[1]))
        return task is not None and task.cache_key.key is full_key[1]

    def take(self, full_key: FullKey) -> Known:
        """Return, once, what is known of the task whose result comes under this key."""
        key = full_key[1]
        known = self._known.pop(id(key), UNKNOWN)
        return known if known.key is key else UNKNOWN


def caller() -> FrameType | None:
    """Return the frame that called the function that calls this one."""
    return sys._getframe(2)


def _tasks_of(keys: Sequence[FullKey], frame: FrameType | None) -> tuple[Mapping[FullKey, Any] | None, Collection[str]]:
    """Return the tasks by key, None if they are not found, and the ids of those that were interrupted before."""
    for _ in range(_FRAMES if keys else 0):
        if frame is None:
            break
        names = frame.f_locals
        for found in list(names.values()):
            if (
                type(found) is dict
                and len(found) >= len(keys)
                and all(map(found.__contains__, keys))
                and all(hasattr(task, "cache_key") and hasattr(task, "input") for task in found.values())
            ):
                asked = found if len(found) == len(keys) else {key: found[key] for key in keys}
                return asked, _interrupted_in(names.get("self"))
        frame = frame.f_back
    return None, ()


def _interrupted_in(loop: Any) -> Collection[str]:
    """Return the ids of the tasks of a run that were interrupted: their question is in what the checkpoint brought."""
    pending = getattr(loop, "checkpoint_pending_writes", None)
    return {write[0] for write in pending if write[1] == _INTERRUPT} if pending else ()


def _is_resumed(task: Any, interrupted: Collection[str]) -> bool:
    """Tell whether a task, or a graph in it however deep, asked a person, and runs again."""
    return getattr(task, "id", None) in interrupted or holds_answers(getattr(task, "config", None))


def are_of_a_graph(keys: Any) -> bool:
    """Tell whether keys are of LangGraph's tasks, by the namespace that it gives them."""
    try:
        return bool(keys) and keys[0][0][0] == NAMESPACE_OF_TASKS
    except (TypeError, IndexError, KeyError):
        return False
