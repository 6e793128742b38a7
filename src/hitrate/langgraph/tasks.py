"""LangGraph's tasks, seen from its cache: which tasks read, and what must be known of one when its result comes.

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

from collections.abc import Collection, Container, Mapping, Sequence
from functools import lru_cache
from inspect import signature
from types import FrameType
from typing import Any, NamedTuple

from hitrate.base import FullKey
from hitrate.compute.control_flow import holds_answers
from hitrate.langgraph.dict_messages import channels_of_messages
from hitrate.langgraph.messages import Given, given_in
from hitrate.langgraph.remembered import Remembered
from hitrate.open_cache import NAMESPACE_OF_TASKS
from hitrate.runs import BYPASS, USE

_REMEMBERED = 65_536
"""Tasks remembered until their result comes (that of a failed one never does), and tasks of a run that have asked."""

_FRAMES = 8
"""How far up the tasks are looked for: a cache around ours has a frame or two."""

_INTERRUPT = "__interrupt__"


class KnownTask(NamedTuple):
    """What is known of a task that asked.

    Attributes:
        key: the string that is its key.
        mode: how it uses the cache.
        given: the messages in its input.
        channels: those of its run in which a dict may be a message.
    """

    key: str
    mode: int
    given: Given
    channels: Container[str]


UNKNOWN = KnownTask("", USE, [], ())


class Asking(NamedTuple):
    """Tasks that ask for the first time.

    Attributes:
        keys: theirs.
        tasks: those of the run, these among them, by key.
        resumed: the keys of those that have a person's answer: they neither take a result nor leave one.
        hits_return: whether LangGraph will have the cache store what came from it.
        channels: those of the run in which a dict may be a message.
    """

    keys: Sequence[FullKey]
    tasks: Mapping[FullKey, Any]
    resumed: Container[FullKey]
    hits_return: bool
    channels: Container[str]


class _Run:
    """What is known of a run, by its loop in LangGraph.

    A task is told by the string that is its key, whose ``id`` is its own as long as the string is kept here. Neither
    the task nor its input is.

    Attributes:
        asked: the keys of the tasks that asked, by their ``id``.
        interrupted: the ids of the tasks that asked a person before the run began.
        hits_return: as in ``Asking``.
        channels: likewise.
    """

    __slots__ = ("asked", "channels", "hits_return", "interrupted")

    def __init__(self, loop: Any) -> None:
        self.asked: dict[int, str] = {}
        self.interrupted = _interrupted_in(loop)
        cls: Any = type(loop)
        self.hits_return = _stores_hits_again(cls)
        self.channels = channels_of_messages(loop)


class Tasks:
    """The tasks that asked one cache."""

    def __init__(self) -> None:
        self._run_of = Remembered(_Run)  # of a loop that takes no weak reference, tasks are not told from later ones
        self._known: dict[int, KnownTask] = {}
        self._answered: dict[int, str] = {}

    def asking(self, keys: Sequence[FullKey], frame: FrameType | None) -> Asking | None:
        """Return the tasks that ask for keys for the first time, by the caller's frame; None if it has no tasks."""
        further = _FRAMES if keys else 0
        while frame is not None and further:
            names = frame.f_locals
            for found in [*names.values()]:
                if type(found) is dict and len(found) >= len(keys):
                    tasks = found if keys == (*found,) else _chosen(found, keys)
                    asking = self._asking_of(tasks, names.get("self")) if tasks else None
                    if asking is not None:
                        return asking
            frame = frame.f_back
            further -= 1
        return None

    def _asking_of(self, tasks: Mapping[FullKey, Any], loop: Any) -> Asking | None:
        """Return which of some tasks of a run ask for the first time; None if they are no tasks."""
        run = self._run_of(loop)
        asked = run.asked
        fresh: list[FullKey] = []
        resumed: list[FullKey] = []
        try:
            for full_key, task in tasks.items():
                if id(task.cache_key.key) not in asked:
                    fresh.append(full_key)
        except AttributeError:
            return None
        for full_key in fresh:
            task = tasks[full_key]
            key = task.cache_key.key
            asked[id(key)] = key
            if (run.interrupted and task.id in run.interrupted) or holds_answers(getattr(task, "config", None)):
                resumed.append(full_key)
        _forget_oldest(asked)
        return Asking(fresh, tasks, resumed, run.hits_return, run.channels)

    def note(self, asking: Asking, found: Container[FullKey], mode: int) -> None:
        """Remember what must be known of the tasks that will bring a result, and which of them got one."""
        for full_key in asking.keys:
            if full_key in found:
                if asking.hits_return:
                    key = asking.tasks[full_key].cache_key.key
                    self._answered[id(key)] = key
                continue
            task = asking.tasks[full_key]
            its_mode = BYPASS if full_key in asking.resumed else mode
            given = given_in(getattr(task, "input", None))
            if given or its_mode != USE:
                key = task.cache_key.key
                self._known[id(key)] = KnownTask(key, its_mode, given, asking.channels)
        _forget_oldest(self._known)
        _forget_oldest(self._answered)

    def is_answered(self, full_key: FullKey) -> bool:
        """Tell whether what comes under this key came from the cache: LangGraph 1.0 stores hits again."""
        return id(full_key[1]) in self._answered  # _answered holds the key, so that no other string gets its id

    def take(self, full_key: FullKey) -> KnownTask:
        """Return, once, what is known of the task whose result comes under this key."""
        return self._known.pop(id(full_key[1]), UNKNOWN)  # _known holds the key, too


def _forget_oldest(known: dict[int, Any]) -> None:
    while len(known) > _REMEMBERED:
        known.pop(next(iter(known)), None)


def _chosen(found: dict[Any, Any], keys: Sequence[FullKey]) -> dict[Any, Any] | None:
    """Return what a dict has of some keys, None if not all are there."""
    return {key: found[key] for key in keys} if all(map(found.__contains__, keys)) else None


@lru_cache
def _stores_hits_again(cls: Any) -> bool:
    """Tell whether loops of a class store hits again, as those of LangGraph 1.0 do: later ones are told what is one."""
    try:
        return "cached" not in signature(cls.put_writes).parameters
    except (AttributeError, TypeError, ValueError):
        return True


def _interrupted_in(loop: Any) -> Collection[str]:
    """Return the ids of the tasks of a run that were interrupted: their question is in what the checkpoint brought."""
    pending = getattr(loop, "checkpoint_pending_writes", None)
    return frozenset(write[0] for write in pending if write[1] == _INTERRUPT) if pending else ()


def are_of_a_graph(keys: Any) -> bool:
    """Tell whether keys are of LangGraph's tasks, by the namespace that it gives them."""
    try:
        return bool(keys) and keys[0][0][0] == NAMESPACE_OF_TASKS
    except (TypeError, IndexError, KeyError):
        return False
