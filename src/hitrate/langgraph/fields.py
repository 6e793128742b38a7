"""The fields of a node's input, by name: which there are, and which names of a policy's options are none of them."""

from __future__ import annotations

import difflib
import inspect
import sys
import typing
from collections.abc import Callable, Iterable
from typing import Any

from hitrate.content.selection import tree_of

_Named = dict[str, Any]

_INJECTED = frozenset({"config", "previous", "runtime", "store", "writer"})
"""Parameters that LangGraph fills in, so that their defaults say nothing."""


class FieldNames:
    """The names that the options of a policy give, and those that inputs have.

    Attributes:
        of_function: how messages call the function of the node or task.
        positional: the names of its parameters.
        closed_over: the names of the variables that it closes over.
    """

    def __init__(
        self, func: Callable[..., Any] | None, only: str | Iterable[str] | None, ignore: str | Iterable[str]
    ) -> None:
        self.of_function = getattr(func, "__qualname__", repr(func)) if func is not None else "a node or task"
        self._signature = _signature_of(func)
        self.positional: tuple[str, ...] = ()
        if self._signature is not None:
            kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
            self.positional = tuple(each.name for each in self._signature.parameters.values() if each.kind in kinds)
        self._declared = _declared_by(func) if func is not None else None
        self.closed_over = _closed_over_by(func)
        self._only = frozenset(tree_of("only", () if only is None else only))
        self._unchecked = [("only", name) for name in self._only]
        self._unchecked += [("ignore", name) for name in tree_of("ignore", ignore)]

    def bound(self, args: tuple[Any, ...], kwargs: _Named) -> tuple[tuple[Any, ...], _Named]:
        """Return the arguments so that it makes no difference how a task was given them."""
        if self._signature is None or (len(args) == 1 and not kwargs and len(self._signature.parameters) == 1):
            return args, kwargs
        try:
            bound = self._signature.bind_partial(*args, **kwargs)
        except TypeError:  # the call itself will raise it
            return args, kwargs
        bound.apply_defaults()
        for name in _INJECTED & bound.arguments.keys() - kwargs.keys():
            del bound.arguments[name]
        return bound.args, bound.kwargs

    def selected(self, value: Any) -> Any:
        """Return the fields of an instance that ``only`` names, which then count without its class; else the value."""
        if not self._only or isinstance(value, dict) or self._only.isdisjoint(fields := _fields_of(value)):
            return value
        return {name: getattr(value, name) for name in self._only & fields if hasattr(value, name)}

    def unknown(self, args: tuple[Any, ...], kwargs: _Named) -> tuple[str, str] | None:
        """Return a name in the options that may mean an argument given by position: without a function it has no name.

        Returns:
            The option that has the name, and what to log; None if there is no such name.
        """
        if not self._unchecked or not self._are_unknown(args):
            return None
        there = {*kwargs}.union(*map(_fields_of, (*args, *kwargs.values())))
        for option, name in self._unchecked:
            if name not in there and (option == "only" or len(args) > 1):
                return option, (
                    f"{option}= names {name!r}, and arguments were given by position: which has that name is known "
                    f"if the policy is given the function, as policy(func, {option}=...)"
                )
        return None

    def _are_unknown(self, args: tuple[Any, ...]) -> bool:
        return self._signature is None and any(not isinstance(each, dict) and not _fields_of(each) for each in args)

    def check(self, args: tuple[Any, ...], kwargs: _Named) -> None:
        """Check the names of the options, once, against what is there and what is declared.

        Raises:
            ValueError: one of them is none.
        """
        if not self._unchecked or self._are_unknown(args):
            return
        there = {*self.positional, *kwargs}
        for value in (*args, *kwargs.values()):
            there |= _fields_of(value)
        known = there if self._declared is None else there | self._declared
        given = {name for _, name in self._unchecked}
        for option, name in self._unchecked:
            if name in known or (option == "ignore" and name in self.closed_over):
                continue
            near = difflib.get_close_matches(name, known - given, 1)
            # If the input's fields are not declared, a missing one may be a field that has no value yet.
            if near or self._declared is not None or (option == "only" and given.isdisjoint(there)):
                advice = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(map(repr, sorted(known)))}"
                raise ValueError(
                    f"{option}= names {name!r}, which the input of {self.of_function} does not have: {advice}"
                )
        self._unchecked = []


def last_messages(value: Any, count: int) -> Any:
    """Return a value in which each list of messages, on top or in a field, is cut to the last of them."""
    if type(value) is list:
        return value[-count:] if _are_messages(value) else value
    if type(value) is dict:
        return {name: last_messages(each, count) if type(each) is list else each for name, each in value.items()}
    fields = _fields_of(value)
    if any(_are_messages(getattr(value, name, None)) for name in fields):
        content = {name: getattr(value, name) for name in sorted(fields) if hasattr(value, name)}
        cls = type(value)
        return f"{cls.__module__}:{cls.__qualname__}", last_messages(content, count)
    return value


def _are_messages(value: Any) -> bool:
    messages = sys.modules.get("langchain_core.messages")
    return (
        type(value) is list
        and bool(value)
        and messages is not None
        and all(isinstance(each, messages.BaseMessage) for each in value)
    )


def _closed_over_by(func: Callable[..., Any] | None) -> frozenset[str]:
    """Return the variables that a function, and what it wraps, closes over."""
    names: set[str] = set()
    while func is not None:
        names |= {*getattr(getattr(func, "__code__", None), "co_freevars", ())}
        func = getattr(func, "__wrapped__", None)
    return frozenset(names)


def _signature_of(func: Callable[..., Any] | None) -> inspect.Signature | None:
    try:
        return None if func is None else inspect.signature(func)
    except (TypeError, ValueError):
        return None


def _declared_by(func: Callable[..., Any]) -> set[str] | None:
    """Return the fields that a function's annotations declare for its input; None if they declare none."""
    try:
        hints = typing.get_type_hints(inspect.unwrap(func))
    except Exception:  # an annotation names what is not there, or this is no function
        return None
    hints.pop("return", None)
    declared: set[str] = set()
    for hint in hints.values():
        if typing.is_typeddict(hint):
            declared |= {*hint.__annotations__}
        elif isinstance(hint, type):
            declared |= {*getattr(hint, "__dataclass_fields__", ()), *getattr(hint, "__pydantic_fields__", ())}
    return declared or None


def _fields_of(value: Any) -> set[str]:
    if isinstance(value, dict):
        return {name for name in value if type(name) is str}
    cls = type(value)
    fields = {*getattr(cls, "__dataclass_fields__", ()), *getattr(cls, "__pydantic_fields__", ())}
    return fields | {*getattr(cls, "_fields", ())}
