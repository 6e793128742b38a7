"""Which function is cached: its namespace, and what tells it from all others, wherever it is kept."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from hashlib import blake2b
from types import FunctionType, MethodType
from typing import Any, Final

from hitrate.base import Namespace
from hitrate.compute.wrapper import BoundMethod
from hitrate.content.describing import Description, NoContent, Options, Piece, Said, register
from hitrate.keys import check_namespace
from hitrate.modules import canonical_name

_DIGEST_SIZE = 16


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
    return (*namespace, f"source:{_source_of(function)}" if version == "source" else f"version:{version}")


def name_of(function: Callable[..., Any]) -> Namespace:
    """Return the module and qualified name of a function.

    Raises:
        TypeError: it has none, as a ``functools.partial``.
    """
    try:
        return (canonical_name(function.__module__, getattr(function, "__globals__", None)), function.__qualname__)
    except AttributeError:
        raise TypeError(f"{function!r} has no name that its entries could go by; give a namespace") from None


def identity_of(
    function: Callable[..., Any],
    *,
    version: str | int | None,
    ignore: Mapping[str, Any] | None = None,
    is_lenient: bool = False,
) -> Identity:
    """Return what tells a function from others.

    Args:
        function: the function.
        version: with one, other than ``"source"``, code does not count.
        ignore: by name what does not count, None for the whole of it.
        is_lenient: whether what has no content is left out, for the user told what tells the function apart.

    Raises:
        TypeError: something that counts has no content to go by.
    """
    names = frozenset(name for name, sub in (ignore or {}).items() if sub is None)
    # In ignore=, the name of a parameter means the argument, and not what the function closes over.
    parameters = names & _names_of_parameters(function) if names else names
    name = f"{getattr(function, '__module__', type(function).__module__)}.{getattr(function, '__qualname__', function)}"
    return Identity(
        function, name, Options(version not in (None, "source"), names - parameters, is_lenient, parameters)
    )


def _names_of_parameters(function: Callable[..., Any]) -> set[str]:
    try:
        return {*inspect.signature(function).parameters}
    except (TypeError, ValueError):
        return set()


class Identity:
    """What tells a function from all others: its name and code, and all that it wraps, closes over and has as defaults.

    Attributes:
        options: what of it counts.
        without_content: by name what was left out of it because it has no content.

    Raises:
        TypeError: something that counts has no content to go by.
    """

    def __init__(self, function: Callable[..., Any], name: str, options: Options) -> None:
        self.options: Final = options
        self._name = name
        description = Description(options)
        self._digest = description.run(self._encoded, description, Piece("function", function, "is"))
        self._later = description.later
        self._complete = None if self._later else self._digest
        self.without_content: Final = description.without_content

    @property
    def is_complete(self) -> bool:
        """Whether all variables that the function closes over had a value by the last ``digest``."""
        return self._complete is not None

    def digest(self) -> bytes:
        """Return the digest; with what closed-over variables hold by now that had no value when it was made.

        Raises:
            TypeError: one of them holds what has no content to go by.
        """
        if self._complete is not None:
            return self._complete
        hasher = blake2b(self._digest, digest_size=_DIGEST_SIZE)
        is_complete = True
        for owner, name, cell, options in self._later:
            description = Description(options)
            try:
                part = Piece(name, cell.cell_contents, "closes over")
            except ValueError:
                hasher.update(b"\xc0")
                is_complete = False
                continue
            hasher.update(description.run(self._encoded, description, part, owner))
            is_complete = is_complete and not description.later
        if is_complete:
            self._complete = hasher.digest()
        return hasher.digest()

    def _encoded(self, description: Description, part: Piece, owner: str = "") -> bytes:
        try:
            return description.encode(part, owner or self._name) or b"\xc0"
        except NoContent as exc:
            raise TypeError(
                f"nothing tells {self._name} from another function of its kind: {_advised(exc, self.options)}"
            ) from exc


def _advised(error: NoContent, options: Options) -> str:
    """Return where there is something without content, and what to do about it."""
    parts = [part for _, part in error.path if part.name.isidentifier() and part.role not in _NO_VARIABLES]
    variables = [part for part in parts if part.is_argument or part.name not in options.arguments_left_out]
    owner, first = error.path[1] if len(error.path) > 2 else ("", None)
    way = "" if first is None or str(error).startswith(owner) else f"{owner} {first.role} {first.name!r}, and "
    left_out = f", leave it out with ignore={variables[-1].name!r}" if variables else ""
    return f"{way}{error}. Say with scope= what tells it apart{left_out}{NAMESPACE_ADVICE}"


NAMESPACE_ADVICE: Final = ", or give it a namespace= of its own"
"""The end of the message for what has a namespace: a policy, whose namespace is LangGraph's, leaves it out."""


_NO_VARIABLES = ("is", "wraps", "caches", "defines", "is of the class")


def register_cached(*kinds: type[Any]) -> None:
    """Let a cached function that is closed over or passed on count as what it wraps, with its own options."""
    for each in kinds:
        register(each, _cached)


def _cached(cached: Any, description: Description) -> Said:
    function, keys = cached._function, cached._keys
    options = Options() if keys.identity is None else keys.identity.options
    part = Piece("function", function, "caches", options)
    return ["cached", list(cached.namespace), keys.options.header], f"the cached {cached.__qualname__}", [part]


def _bound(method: Any, description: Description) -> Said:
    """A cached method of an object, which counts unless the method was told to ignore it."""
    from hitrate.content.functions import bound_object

    keys, of = method.__func__._keys, method.__self__
    options = Options() if keys.identity is None else keys.identity.options
    left_out = options.left_out | options.arguments_left_out
    name = "cls" if isinstance(of, type) else "self"
    parts = [Piece("__func__", method.__func__, "wraps")]
    if name not in left_out:
        parts.append(Piece(name, bound_object(of), "is bound to"))
    return ["cached method"], f"the cached {method.__func__.__qualname__}", parts


register(BoundMethod, _bound)


def _source_of(function: Any) -> str:
    """Return a digest of what the code of a function says, whatever it is called."""
    from hitrate.content.functions import described_code

    while True:
        if isinstance(function, partial):
            function = function.func
        elif isinstance(function, MethodType):
            function = function.__func__
        elif hasattr(function, "__wrapped__"):
            function = inspect.unwrap(function)
        else:
            break
    if not isinstance(function, FunctionType):
        function = type(function).__call__
    if not isinstance(function, FunctionType):
        raise TypeError(f'version="source" needs the source of a function; {function!r} has none')
    return described_code(function.__code__, function.__globals__)
