"""The graphs in a graph: those that are its nodes, and those that the functions of its nodes and tasks reach."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

from langchain_core.runnables import Runnable
from langgraph.pregel import Pregel

_DEEPEST = 6
"""Steps from a node to a graph: a partial of a method of an object that has it in a dict is four."""
_LOOKED_AT = 20_000
"""Objects, at most."""


def graphs_and_tasks_of(graph: Any) -> tuple[list[Any], list[Any]]:
    """Return a graph and all graphs in it, each once, and the functions that are tasks of theirs."""
    graphs: list[Any] = []
    tasks: list[Any] = []
    seen: dict[int, Any] = {}  # holds the objects: once one is gone, another may have its id
    left: list[tuple[Any, int]] = [(graph, 0)]
    while left and len(seen) < _LOOKED_AT:
        each, depth = left.pop()
        if id(each) in seen:
            continue
        seen[id(each)] = each
        if isinstance(each, Pregel):
            graphs.append(each)
            for node in each.nodes.values():
                left += [(bound, 0) for bound in (*(node.subgraphs or ()), node.bound)]
        elif _is_task(each):
            tasks.append(each)
            left.append((each.func, 0))
        elif depth < _DEEPEST:
            left += [(inner, depth + 1) for inner in _reached_by(each)]
    return graphs, tasks


def _is_task(value: Any) -> bool:
    cls = type(value)
    return cls.__module__.startswith("langgraph.") and hasattr(cls, "clear_cache") and hasattr(value, "func")


def _reached_by(value: Any) -> Iterable[Any]:
    """Return what a function, an object or a container has at hand."""
    if isinstance(value, FunctionType):
        return _reached_by_function(value)
    if isinstance(value, partial):
        return (value.func, *value.args, *value.keywords.values())
    if isinstance(value, MethodType):
        return (value.__self__, value.__func__)
    if isinstance(value, dict):
        return value.values()
    if isinstance(value, (list, tuple, set, frozenset)):
        return value
    if isinstance(value, (type, ModuleType)):
        return ()
    of_builtin = getattr(value, "__self__", None)  # `graph.invoke` of a compiled class
    called = None if isinstance(value, Runnable) else vars(type(value)).get("__call__")
    return (*getattr(value, "__dict__", {}).values(), of_builtin, getattr(value, "__wrapped__", None), called)


def _reached_by_function(function: FunctionType) -> Iterable[Any]:
    reached: list[Any] = [*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()]
    reached.append(getattr(function, "__wrapped__", None))
    for cell in function.__closure__ or ():
        try:
            reached.append(cell.cell_contents)
        except ValueError:  # the variable has no value yet
            continue
    codes = [function.__code__]
    for code in codes:
        codes += [each for each in code.co_consts if isinstance(each, CodeType)]
        named = [function.__globals__[name] for name in code.co_names if name in function.__globals__]
        reached += named
        for module in named:  # `flows.draft.invoke(...)` names a module, and then what is in it
            if isinstance(module, ModuleType):
                reached += [vars(module)[name] for name in code.co_names if name in vars(module)]
    return reached
