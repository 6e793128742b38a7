"""What keys were made of, noted for as long as somebody asks for it: a key itself is a hash and tells nothing.

What is noted stays in this process, a bounded number of keys: of each argument a hash of its own, and the beginning of
its repr.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from hashlib import blake2b
from reprlib import Repr
from types import TracebackType
from typing import Any, Final, NamedTuple

from hitrate.exclusive import a_few_lines

_SHOWN_CHARACTERS: Final = 80
_DIGEST_SIZE: Final = 8
_ITEMS_AT_MOST: Final = 64

is_used = False
"""True once the parts of a key were asked for in this process: until then making keys need not ask whether they are."""


class Part(NamedTuple):
    """A part of a key.

    Attributes:
        name: of the argument; ``"*0"`` for the first that has none; ``"state.question"`` for an item of one that is a
            dict; ``"messages.0"``, ``"tools"`` and so on for what a model is asked. ``"function"``, ``"scope"`` and
            ``"run"`` stand for what is no argument: what the function is made of, the ``scope=`` of what makes the key,
            and the ``hitrate.scope`` that was open.
        digest: 16 hexadecimal digits, equal for equal parts.
        shown: the beginning of its repr, for people.
    """

    name: str
    digest: str
    shown: str


class _Log:
    """The parts of keys, the latest ones."""

    def __init__(self) -> None:
        self.most = 0
        self.parts: OrderedDict[str, tuple[Part, ...]] = OrderedDict()

    def note(self, key: str, parts: tuple[Part, ...]) -> None:
        with a_few_lines:
            self.parts[key] = parts
            self.parts.move_to_end(key)
            self.cut()

    def cut(self) -> None:
        while len(self.parts) > self.most:
            self.parts.popitem(last=False)


_log = _Log()
_noted_here: ContextVar[dict[str, tuple[Part, ...]] | None] = ContextVar("hitrate_parts", default=None)


class remember_parts:
    """From now on remember what keys are made of, so that ``explain`` can say which part of one differs from others'.

    It is a context manager, too, at whose end what was remembered is forgotten: ``with hitrate.remember_parts(): ...``.
    It holds for all keys that hitrate makes in this process: of cached functions, policies, the adapters and
    ``stable_key``. While it does, making a key takes some ten times as long; hits whose key is remembered do not.

    Args:
        most: keys, the latest ones; 0 to remember none from now on.

    Raises:
        TypeError: ``most`` is not an int.
        ValueError: it is negative.
    """

    def __init__(self, most: int = 4096) -> None:
        global is_used  # noqa: PLW0603
        if isinstance(most, bool) or not isinstance(most, int):
            raise TypeError(f"most is a number of keys, not {most!r} of type {type(most).__name__}")
        if most < 0:
            raise ValueError(f"most is a number of keys from 0 up, not {most}")
        is_used = True
        with a_few_lines:
            _log.most = most
            _log.cut()

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        remember_parts(0)


def remembered(key: str) -> tuple[Part, ...]:
    """Return the parts of a key; none if they are not remembered."""
    return _log.parts.get(key, ())


def made_by(make: Callable[[], str]) -> tuple[str, tuple[Part, ...]]:
    """Return the key that a function makes, and its parts, whether or not keys' parts are remembered."""
    global is_used  # noqa: PLW0603
    is_used = True
    noted: dict[str, tuple[Part, ...]] = {}
    before = _noted_here.set(noted)
    try:
        key = make()
    finally:
        _noted_here.reset(before)
    return key, noted.get(key, ())


def note(
    key: str,
    counting: Sequence[Any],
    encode: Callable[[Any, str], bytes],
    *,
    told: Callable[[], Mapping[str, Any]] | None,
    function: bytes,
    scope: tuple[bytes, Any] | None,
    run: str,
) -> None:
    """Note what a key was made of.

    Args:
        key: the key.
        counting: a list of the arguments that have no name, and dicts of those that do, as far as they count.
        encode: returns the bytes that an argument counts as.
        told: returns what is noted in place of the arguments, by names; None for the arguments.
        function: what tells the function from others; empty if there is none.
        scope: the scope as it counts, and as it was given; None for none.
        run: the scope of the run, empty for none.
    """
    here = _noted_here.get()
    if here is None and not _log.most:
        return
    try:
        positional, *named = counting if told is None else ([], told())
        arguments = _named(positional, named)
        items = [item for argument in arguments for item in _items(*argument)]
        parts = [Part(name, _digest(encode(value, name)), shown(value)) for name, value in items]
        if function:
            parts.append(Part("function", function.hex()[: 2 * _DIGEST_SIZE], ""))
        if scope is not None:
            parts.append(Part("scope", _digest(scope[0]), shown(scope[1])))
        if run:
            parts.append(Part("run", _digest(run.encode()), ""))
    except Exception:  # a __repr__ may raise anything; the key itself is not affected
        return
    if here is not None:
        here[key] = tuple(parts)
    else:
        _log.note(key, tuple(parts))


def note_alias(alias: str, key: str) -> None:
    """Note that entries are kept under a key that stands for one whose parts are noted."""
    if parts := remembered(key):
        _log.note(alias, parts)


def _named(positional: Sequence[Any], named: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, Any]]:
    for number, value in enumerate(positional):
        yield f"*{number}", value
    for arguments in named:
        yield from arguments.items()


def _items(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Yield an argument; of a dict with names, such as a graph's state, each of its items as one."""
    if type(value) is dict and 0 < len(value) <= _ITEMS_AT_MOST and all(type(each) is str for each in value):
        for field, item in value.items():
            yield f"{name}.{field}", item
    else:
        yield name, value


def _digest(raw: bytes) -> str:
    return blake2b(raw, digest_size=_DIGEST_SIZE).hexdigest()


_repr = Repr()
_repr.maxstring = _repr.maxother = _SHOWN_CHARACTERS
_repr.maxlevel = 3


def shown(value: Any) -> str:
    """Return the beginning of a repr, in one line; of an object whose repr fails, its type."""
    try:
        text = _repr.repr(value)
    except Exception:
        text = f"<{type(value).__qualname__}>"
    if "\n" in text:  # a frame's is a table
        text = " ".join(text.split())
    return text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 3] + "..."
