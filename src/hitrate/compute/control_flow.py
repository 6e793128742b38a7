"""What belongs to one run of a host, such as LangGraph, and must not reach other runs: its control flow, and its
answers.

LangGraph stops a run by raising in a node (``interrupt``), and answers that run's question when it is resumed. Neither
may reach another run that asked for the same key. The hosts are looked up among the imported modules, never imported.
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


def is_resumed() -> bool:
    """Tell whether the caller is a LangGraph task that was given answers: what it computes may depend on them."""
    if "langgraph.types" not in sys.modules:
        return False
    current = getattr(sys.modules.get("langchain_core.runnables.config"), "var_child_runnable_config", None)
    return False if current is None else holds_answers(current.get())


def holds_answers(config: Any) -> bool:
    """Tell whether a LangGraph task with this config was given answers, or may take one that its run was given."""
    scratchpad = config["configurable"].get("__pregel_scratchpad") if config and "configurable" in config else None
    if scratchpad is None:
        return False
    answer = getattr(scratchpad, "get_null_resume", None)
    return bool(getattr(scratchpad, "resume", None)) or (answer is not None and answer(False) is not None)
