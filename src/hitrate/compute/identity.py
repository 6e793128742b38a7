"""Which function is cached: its namespace, and what tells apart functions that would otherwise share entries."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable
from hashlib import blake2b
from textwrap import dedent
from types import CodeType
from typing import Any

from hitrate.base import Namespace
from hitrate.keys import check_namespace

_PLAIN = frozenset({str, bytes, int, float, bool, type(None)})


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

    Two functions made by one ``def`` differ by the values that they close over, and two lambdas of a module by their
    code alone. Of what a function closes over only plain values count, as they are now: others may change.

    Args:
        function: the function.
        named: whether the namespace is its name.
    """
    name = ("", "") if named else name_of(function)
    code = getattr(function, "__code__", None)
    digest = _code_digest(code) if isinstance(code, CodeType) and "<lambda>" in code.co_name else ""
    closed_over = {}
    for free, cell in zip(getattr(code, "co_freevars", ()), getattr(function, "__closure__", None) or (), strict=False):
        try:
            value = cell.cell_contents
        except ValueError:  # not there yet, as a function that calls itself
            continue
        if type(value) in _PLAIN:
            closed_over[free] = value
    return (*name, digest, closed_over) if any((*name, digest, closed_over)) else ()


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
