"""What belongs to one run of a host, such as LangGraph, and must not reach other runs: its control flow, and its
answers.

LangGraph stops a run by raising in a node (``interrupt``), and answers that run's question when it is resumed. Neither
may reach another run that asked for the same key: what took an answer is not stored. The hosts are looked up among the
imported modules, never imported.
"""

from __future__ import annotations

import sys
from typing import Any

_CONTROL_FLOW = (
    ("langgraph.errors", "GraphBubbleUp"),  # raised for interrupts and for commands to a parent graph
    ("concurrent.futures", "CancelledError"),  # asyncio's is no `Exception` anyhow
    ("celery.exceptions", "TaskPredicate"),  # Retry, Ignore, Reject: what becomes of the task that raised it
    ("unittest", "SkipTest"),  # pytest's are no `Exception`
)
"""Classes of `Exception` that steer whoever called, by module and name: they say nothing about the value."""


def is_control_flow(error: BaseException) -> bool:
    """Tell whether an exception is for its own caller alone: no ``Exception``, or one by which a host steers a run."""
    if not isinstance(error, Exception):
        return True
    for module, name in _CONTROL_FLOW:
        kind = getattr(sys.modules.get(module), name, None)
        if isinstance(kind, type) and isinstance(error, kind):
            return True
    return isinstance(error, ExceptionGroup) and any(map(is_control_flow, error.exceptions))


_SCRATCHPAD = "__pregel_scratchpad"
"""Where LangGraph has what a task asked, was told, and ran: its counters, and its answers."""

_COUNTERS = ("interrupt_counter", "subgraph_counter", "call_counter")
"""What it counts of a task: what the task asked, and the graphs and tasks that it ran, which may have asked."""


def is_resumed() -> bool:
    """Tell whether the caller is a LangGraph task that was given answers: what it computes may depend on them."""
    variable = _config_variable()
    return variable is not None and _may_be_answered(variable.get())


def holds_answers(config: Any) -> bool:
    """Tell whether a LangGraph task with this config was given answers, or may take one that its run was given."""
    scratchpad = config["configurable"].get(_SCRATCHPAD) if config and "configurable" in config else None
    if scratchpad is None:
        return False
    answer = getattr(scratchpad, "get_null_resume", None)
    return bool(getattr(scratchpad, "resume", None)) or (answer is not None and _is_left(answer))


def _is_left(answer: Any) -> bool:
    """Tell whether an answer that was given to the run, and to no question by its id, is still to be had.

    The first that asks takes it. LangGraph goes on to tell it to the tasks of inner graphs, and to those that a task
    calls, which would all count as answered. What ``get_null_resume`` of a scratchpad holds tells them apart: the
    answer's write is gone from the list of pending writes.
    """
    if answer(False) is None:
        return False
    try:
        held = {
            name: cell.cell_contents for name, cell in zip(answer.__code__.co_freevars, answer.__closure__, strict=True)
        }
        write = held["null_resume_write"]
        if write is None:
            return _is_left(held["parent_scratchpad"].get_null_resume)
        return any(each is write for each in [*held["pending_writes"]])
    except (AttributeError, KeyError, TypeError, ValueError):  # another release of LangGraph, whose answer is that
        return True


def watched_answers() -> WatchedAnswers | None:
    """Watch, from here on, whether the running task takes an answer; None if it has been given none."""
    variable = _config_variable()
    if variable is None or not _may_be_answered(config := variable.get()):
        return None
    return WatchedAnswers(config["configurable"][_SCRATCHPAD])


class WatchedAnswers:
    """Tells whether a LangGraph task may have taken an answer since.

    It may if it asked (``interrupt`` returns the answer), or if it ran a graph or a task, which may have asked.
    """

    def __init__(self, scratchpad: Any) -> None:
        self._scratchpad = scratchpad
        self._counted = _counted(scratchpad)

    def may_be_taken(self) -> bool:
        """Tell whether the task asked, or ran what may have, since the watch began."""
        return self._counted is None or self._counted != _counted(self._scratchpad)


def _counted(scratchpad: Any) -> list[str] | None:
    """Return what the counters of a task are at; None where another release of LangGraph has others."""
    try:
        made = [getattr(scratchpad, name)._counter for name in _COUNTERS]
        return [repr(each and each.__self__) for each in made]  # 'count(2)': to call it would be to count
    except AttributeError:
        return None


def _config_variable() -> Any:
    """Return the context variable that has the config of the running task; None where there is no LangGraph."""
    if "langgraph.types" not in sys.modules:
        return None
    return getattr(sys.modules.get("langchain_core.runnables.config"), "var_child_runnable_config", None)


def _may_be_answered(config: Any) -> bool:
    """Tell whether a task, or a graph that it runs, may have been given answers."""
    if not config or _SCRATCHPAD not in config.get("configurable", ()):
        return False
    return bool(config["configurable"].get("__pregel_resume_map")) or holds_answers(config)
