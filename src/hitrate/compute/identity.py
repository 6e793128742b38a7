"""Which function is cached: its namespace, and what tells apart functions that would otherwise share entries."""

from __future__ import annotations

import ast
import dis
import inspect
from collections.abc import Callable
from functools import partial
from hashlib import blake2b
from textwrap import dedent
from types import CellType, CodeType, MethodType
from typing import Any

from hitrate.base import Namespace
from hitrate.content.calls import stable_key
from hitrate.keys import check_namespace
from hitrate.serde import is_immutable

_CHANGES = frozenset(
    {
        *("add", "append", "appendleft", "clear", "discard", "extend", "insert", "pop", "popitem", "popleft"),
        *("remove", "reverse", "setdefault", "sort", "update"),
    }
)
_CHANGING = frozenset({"STORE_SUBSCR", "DELETE_SUBSCR", "STORE_SLICE", "STORE_ATTR", "DELETE_ATTR"})
"""How code changes an object that it closes over: by these methods, and by these instructions."""


def namespace_of(function: Callable[..., Any], namespace: Namespace | None, version: str | int | None) -> Namespace:
    """Return the namespace of a function's entries.

    Args:
        function: the function.
        namespace: the one that the user chose; None for the function's module and qualified name.
        version: one more part, so that entries of other versions are out of reach; ``"source"`` for a digest of what
            the function's code says, comments and decorators aside.

    Raises:
        TypeError: the namespace or the version is of the wrong type, or the function has no name.
    """
    if namespace is None:
        namespace = name_of(function)
    check_namespace(namespace)
    if version is None:
        return namespace
    if isinstance(version, bool) or not isinstance(version, (str, int)):
        raise TypeError(f"version is a str, an int or None, not {version!r} of type {type(version).__name__}")
    return (*namespace, f"source:{_source_digest(function)}" if version == "source" else f"version:{version}")


def name_of(function: Callable[..., Any]) -> Namespace:
    """Return the module and qualified name of a function.

    Raises:
        TypeError: it has none, as a ``functools.partial``.
    """
    try:
        return (function.__module__, function.__qualname__)
    except AttributeError:
        raise TypeError(f"{function!r} has no name that its entries could go by; give a namespace") from None


def told_apart_by(function: Callable[..., Any], *, named: bool) -> tuple[Any, ...]:
    """Return what is to count in the keys of a function because its namespace does not tell it.

    Two functions made by one ``def`` differ by the values that they close over, two lambdas of a module by their code
    alone, two partial objects by the arguments that they hold, and two bound methods by their objects. Of what a
    function closes over, the values count that can be part of a key, as they are now. A client or a lock does not, nor
    does what the function itself changes, as a list of its calls: that is its state, and no setting.

    Args:
        function: the function.
        named: whether the namespace is its name.

    Raises:
        TypeError: a partial object or a bound method holds what cannot be part of a key.
    """
    if isinstance(function, partial):
        inner = told_apart_by(function.func, named=False)
        return ("partial", *inner, list(function.args), dict(function.keywords))
    if isinstance(function, MethodType):
        of = function.__self__
        inner = told_apart_by(function.__func__, named=named)
        return ("method", *inner, name_of(of) if isinstance(of, type) else of)
    if not named and not hasattr(function, "__qualname__"):
        return ("object", function)  # that can be called
    name = ("", "") if named else name_of(function)
    code = getattr(function, "__code__", None)
    digest = _code_digest(code) if isinstance(code, CodeType) and "<lambda>" in code.co_name else ""
    closed_over = _settings(code, function.__closure__ or ()) if isinstance(code, CodeType) else {}
    return (*name, digest, closed_over) if any((*name, digest, closed_over)) else ()


def _settings(code: CodeType, cells: tuple[CellType, ...]) -> dict[str, str]:
    """Return by name the keys of what a function closes over, can be part of a key, and is not changed by it."""
    instructions = list(dis.get_instructions(code))
    rebound = {each.argval for each in instructions if each.opname in ("STORE_DEREF", "DELETE_DEREF")}
    changes = not _CHANGES.isdisjoint(code.co_names) or any(each.opname in _CHANGING for each in instructions)
    settings = {}
    for name, cell in zip(code.co_freevars, cells, strict=True):
        try:
            value = cell.cell_contents
        except ValueError:  # not there yet, as a function that calls itself
            continue
        if name in rebound or (changes and not is_immutable(value)):
            continue
        try:
            settings[name] = stable_key(value)  # in the place of the value, which may be large
        except (TypeError, RecursionError):
            continue
    return settings


def _source_digest(function: Callable[..., Any]) -> str:
    """Return a digest of what a function's source says; of its byte code if the source is not there."""
    try:
        tree = ast.parse(dedent(inspect.getsource(function)))
        (definition,) = tree.body
        if not isinstance(definition, (ast.FunctionDef, ast.AsyncFunctionDef)):
            raise TypeError("a lambda, amid a statement")
    except (OSError, TypeError, SyntaxError, ValueError):
        code = getattr(inspect.unwrap(function), "__code__", None)
        if not isinstance(code, CodeType):
            raise TypeError(f'version="source" needs the source of a function; {function!r} has none') from None
        return _code_digest(code)
    definition.decorator_list = []
    return _digest(ast.dump(definition))


def _code_digest(code: CodeType) -> str:
    return _digest(repr(_described(code)))


def _described(code: CodeType) -> tuple[Any, ...]:
    constants = [
        _described(each)
        if isinstance(each, CodeType)
        else ("frozenset", sorted(map(repr, each)))
        if isinstance(each, frozenset)
        else repr(each)
        for each in code.co_consts
    ]
    return code.co_code, code.co_names, code.co_varnames, code.co_freevars, constants


def _digest(text: str) -> str:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
