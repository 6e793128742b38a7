"""The keys of a function's calls: equal arguments give one key, however they are passed."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

from hitrate import runs
from hitrate.base import FullKey, Namespace
from hitrate.compute.identity import Identity, name_of
from hitrate.content.calls import content_key, key_of, stable_key
from hitrate.content.options import PLAIN, KeyOptions
from hitrate.content.parts import Part, made_by

_REMEMBERED = 1024
_LONGEST = 256
"""Arguments that are remembered have no more characters or bytes than this, so that they take little memory."""

_HASHED_BY_CONTENT = frozenset({str, bytes, int, bool, type(None)})

_NO_KEYWORDS: dict[str, Any] = {}


class ContentKeys:
    """Makes keys by what the arguments are.

    Attributes:
        options: what counts of the arguments.
        identity: what tells the function from others.
        remembered: the keys of some calls without keyword arguments, by the arguments and the type of each.
    """

    def __init__(
        self, function: Callable[..., Any], namespace: Namespace, options: KeyOptions, identity: Identity
    ) -> None:
        self.options = options
        self.identity = identity
        self._namespace = namespace
        self._of_function: KeyOptions | None = None  # made at the first call for which the identity is complete
        self._name = getattr(function, "__qualname__", repr(function))
        try:
            self._signature = inspect.signature(function)
        except ValueError as error:
            raise TypeError(
                f"{self._name} tells no signature by which equal calls could be known; wrap it in a function of yours"
            ) from error
        parameters = self._signature.parameters.values()
        without_content = identity.without_content
        self._left_out = {
            each.name: each.default
            for each in parameters
            if each.name in without_content and without_content[each.name] is each.default
        }
        positional = [each for each in parameters if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)]
        self._names = tuple(each.name for each in positional)
        self._is_positional = not self._left_out and all(each.kind is not each.KEYWORD_ONLY for each in parameters)
        self.remembered: dict[Any, FullKey] = {}

    def __call__(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> FullKey:
        """Return the full key of a call.

        Raises:
            TypeError: the function does not take these arguments, or one of them cannot be part of a key.
        """
        if kwargs or (runs.is_used and runs.current_scope()):
            return self._namespace, self._key(args, kwargs)
        # The types are part of it because 1, 1.0 and True are equal, and would be one key of the dict.
        try:
            return self.remembered[args, *map(type, args)]
        except Exception:  # noqa: S110 - not remembered, or it cannot be hashed: a __hash__ may raise anything
            pass
        full_key = (self._namespace, self._key(args, kwargs))
        if self._of_function is not None and _is_small(args):
            if len(self.remembered) >= _REMEMBERED:
                self.remembered.clear()
            self.remembered[args, *map(type, args)] = full_key
        return full_key

    def explained(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[FullKey, tuple[Part, ...]]:
        """Return the full key of a call, and what it is made of."""
        key, parts = made_by(lambda: self._key(args, kwargs))
        return (self._namespace, key), parts

    def _key(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
        options = self._of_function or self._complete()
        if not kwargs and len(args) == len(self._names) and self._is_positional:
            return key_of(self._names, args, _NO_KEYWORDS, options)
        try:
            bound = self._signature.bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{self._name}() {error}") from None
        bound.apply_defaults()
        if self._left_out:
            return self._key_without(bound, options)
        return key_of(self._names, bound.args, bound.kwargs, options)

    def _key_without(self, bound: inspect.BoundArguments, options: KeyOptions) -> str:
        """Return the key of a call, less the defaults that have no content."""
        count = len(self._names)
        missing = object()
        named, more = (
            {name: value for name, value in each.items() if self._left_out.get(name, missing) is not value}
            for each in (dict(zip(self._names, bound.args, strict=False)), bound.kwargs)
        )
        return key_of((), ([*bound.args[count:]], named), more, options)

    def _complete(self) -> KeyOptions:
        """Return the options with the function's identity, once what it closes over is there."""
        options = self.options.of_function(self.identity.digest())
        if self.identity.is_complete:
            self._of_function = options
        return options


class OwnKeys:
    """Makes keys by a function of the user's, and by the identity of the function where its namespace is not enough."""

    def __init__(
        self, function: Callable[..., Any], namespace: Namespace, key: Callable[..., str], identity: Identity | None
    ) -> None:
        self.options = PLAIN
        self.identity = identity
        self._name = getattr(function, "__qualname__", repr(function))
        self._namespace = namespace
        self._key = key

    def explained(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[FullKey, tuple[Part, ...]]:
        """Return the full key of a call; only its function knows what it is made of."""
        return self(args, kwargs), ()

    def __call__(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> FullKey:
        """Return the full key of a call."""
        key = self._key(*args, **kwargs)
        if not isinstance(key, str):
            raise TypeError(f"the key function of {self._name} is to return a str, and returned a {type(key).__name__}")
        if self.identity is not None:
            key = f"{key}#{self.identity.digest().hex()}"
        scope = runs.current_scope() if runs.is_used else ""
        return self._namespace, content_key(scope, key) if scope else key


def _is_small(args: tuple[Any, ...]) -> bool:
    length = 0
    for each in args:
        if type(each) not in _HASHED_BY_CONTENT:
            return False
        length += len(each) if isinstance(each, (str, bytes)) else 8
    return length <= _LONGEST


# Calls of methods of classes


class BoundClasses:
    """Tells of which classes a cached function is a method, and what stands for them in its keys."""

    __slots__ = ("_function", "_known")

    def __init__(self, function: Any) -> None:
        self._function = function
        self._known: WeakKeyDictionary[type, tuple[Any, ...]] = WeakKeyDictionary()

    def __getitem__(self, cls: type) -> Any:
        """Return what stands in a key for a class that is a call's first argument; the class itself if it is a plain
        argument.

        It is worked out at the first call and kept, so that a class which counts something in an attribute keeps its
        keys.
        """
        known = self._known.get(cls)
        if known is None:
            known = self._known.setdefault(cls, _reference_of(cls) if self._binds(cls) else ())
        return known or cls

    def _binds(self, cls: type) -> bool:
        """Tell whether this is a class method of the class, or a method of its metaclass."""
        of_class = (
            each.__func__ for base in cls.__mro__ for each in vars(base).values() if isinstance(each, classmethod)
        )
        metaclasses = inspect.getmro(type(cls))
        of_metaclass = (each for base in metaclasses for each in vars(base).values())
        return any(each is self._function for each in (*of_class, *of_metaclass))


def _reference_of(cls: type) -> tuple[Any, ...]:
    """Return the name of a class, which is enough for a class of a module.

    Classes that a function makes share a name; what they have of their own tells them apart.
    """
    name = name_of(cls)
    if "<locals>" not in cls.__qualname__:
        return name
    settings = {}
    for attribute, value in vars(cls).items():
        if attribute.startswith("__"):
            continue
        try:
            settings[attribute] = stable_key(value)
        except (TypeError, ValueError, RecursionError):  # such as a method: it cannot be part of a key
            continue
    return (*name, settings)
