"""Functions, classes and other things that are told by what they are made of: as a digest of their description.

A description is a few plain words, such as a kind, a name and a digest of code, and the encodings of the parts: what a
function closes over, the bases of a class. Parts may be described themselves, and may lead back to the whole.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from hashlib import blake2b
from types import CellType
from typing import Any, NamedTuple, TypeVar

from ormsgpack import Ext, packb

from hitrate.content.canonical import encode_fast
from hitrate.content.rules import TREES
from hitrate.content.walking import OPTION, KeyWalk
from hitrate.errors import SerializationError
from hitrate.exclusive import held
from hitrate.keys import encode_text
from hitrate.serde.registry import Pack, Refused

_DESCRIBED = 101
_ABOVE = 102
_EMPTY = 103
_NAMED = 104
_DIGEST_SIZE = 16

T = TypeVar("T")


class NoContent(Refused):
    """A part has no content to go by.

    Args:
        message: whose part, which, and why.
        path: the parts that lead to it, from the outside, with whose each is.
        is_needed: whether one of them cannot be left out by ``Options.is_lax``.
    """

    def __init__(self, message: str, path: tuple[tuple[str, Piece], ...], *, is_needed: bool = False) -> None:
        super().__init__(message)
        self.path = path
        self.is_needed = is_needed


class Options(NamedTuple):
    """How something is described.

    Args:
        is_pinned: code does not count.
        left_out: names of parts that do not count.
        is_lenient: parts without content are left out, and not refused.
        arguments_left_out: names of parameters whose values do not count.
        is_lax: parts without content are left out, but for what a function closes over or holds.
    """

    is_pinned: bool = False
    left_out: frozenset[str] = frozenset()
    is_lenient: bool = False
    arguments_left_out: frozenset[str] = frozenset()
    is_lax: bool = False


class Piece(NamedTuple):
    """A part of what is described, as a default of a function.

    Args:
        name: what ``ignore=`` goes by; it counts.
        value: the part.
        role: what the whole does with it, for messages: "closes over".
        options: how it is described, None for as the whole.
        is_argument: whether it is the value of a parameter: a default, or what a partial object holds.
    """

    name: str
    value: Any
    role: str
    options: Options | None = None
    is_argument: bool = False


class EmptyCell:
    """Stands for a variable that has no value yet."""

    __slots__ = ()


EMPTY = EmptyCell()


_Place = tuple[int, Options]
"""The id of an object, and how it is described."""


class Description:
    """What is known while one thing is described, with all that it leads to.

    Args:
        options: how.

    Attributes:
        later: variables of functions that have no value yet: whose they are, their names, their cells, and how they
            are to be described.
        without_content: by name the values that were left out because they have none.
    """

    def __init__(self, options: Options = Options()) -> None:  # noqa: B008 - it never changes
        self.options = options
        self.later: list[tuple[str, str, CellType, Options]] = []
        self.without_content: dict[str, Any] = {}
        self._open: dict[_Place, int] = {}
        self._highest = 0
        self._known: dict[_Place, tuple[Any, Ext | NoContent]] = {}
        self._held: list[Any] = []  # keeps them alive, so that no other object gets the id of one that was seen
        self._lock: Any = threading.RLock()

    def run(self, do: Callable[..., T], *args: Any) -> T:
        """Call a function; what it encodes in this thread is described by this.

        Whether it still runs is told by a lock, which is let go at whichever line an interrupt is raised.
        """
        result: T = held(self._lock, self._innermost, do, *args)
        return result

    def _innermost(self, do: Callable[..., T], *args: Any) -> T:
        stack = _stack()
        if _current() is None:
            stack.clear()
        stack.append(self)
        try:
            return do(*args)
        finally:
            if stack[-1:] == [self]:
                stack.pop()

    def is_under_way(self) -> bool:
        """Tell whether this thread is within ``run``."""
        is_owned: bool = self._lock._is_owned()
        return is_owned

    def is_whole(self, obj: Any) -> bool:
        """Tell whether an object is what is described, and no part of something else."""
        return len(self._open) == 1 and (id(obj), self.options) in self._open

    def describe(self, obj: Any, said: Callable[[Any, Description], Said]) -> Ext:
        """Return what stands for an object: the digest of its description.

        Objects that lead back to one another are found in one pass (Tarjan 1972): one is open until all that lead back
        to it, or to what is open before it, were described, and stands until then for itself by its place.

        Args:
            obj: the object.
            said: returns its description.

        Raises:
            NoContent: a part of it has none.
        """
        place = (id(obj), self.options)
        if place in self._known:
            known = self._known[place][1]
            if isinstance(known, NoContent):
                raise known
            return known
        if place in self._open:
            at = self._open[place]
            self._highest = min(self._highest, at)
            return Ext(_ABOVE, packb(len(self._open) - at))
        at = len(self._open)
        outer, self._highest = self._highest, at
        self._open[place] = at
        self._held.append(obj)
        try:
            made = Ext(_DESCRIBED, self._digest(*said(obj, self)))
        except BaseException as exc:
            self._close(at)
            self._highest = outer
            if isinstance(exc, NoContent):
                self._known[place] = (obj, exc)
            raise
        if self._highest == at:  # it leads to no object that is still open, so it is the same wherever it is met
            self._close(at)
            self._known[place] = (obj, made)
        self._highest = min(self._highest, outer)
        return made

    def _close(self, at: int) -> None:
        while len(self._open) > at:
            self._open.popitem()

    def encode(self, part: Piece, owner: str) -> bytes | None:
        """Return the encoding of a part; None if it is left out.

        Raises:
            NoContent: it has none.
        """
        before = self.options
        if part.name in before.left_out or (part.is_argument and part.name in before.arguments_left_out):
            return None
        if part.options is not None:
            self.options = part.options
        count, highest = len(self._open), self._highest
        try:
            packed = encode_fast(part.value)
            if packed is None:
                self._close(count)  # because the value is walked once more
                self._highest = highest
                packed = self._encode_slowly(part, owner)
            return packed
        except NoContent as exc:
            is_needed = exc.is_needed or not self.options.is_lax
            if is_needed and not self.options.is_lenient:
                raise NoContent(str(exc), ((owner, part), *exc.path), is_needed=is_needed) from exc.__cause__
            self._close(count)
            self._highest = highest
            self.without_content[part.name] = part.value
            return None
        finally:
            self.options = before

    def _encode_slowly(self, part: Piece, owner: str) -> bytes:
        walk = KeyWalk(part.name)
        try:
            return walk.payload(part.value)
        except SerializationError as exc:
            if isinstance(exc.__cause__, NoContent):
                raise exc.__cause__ from None
            inside = f", and {exc.where}" if exc.where != part.name else ", which"
            raise NoContent(
                f"{owner} {part.role} {part.name!r}{inside} is of type {exc.type_name}: {walk.why}", ()
            ) from exc

    def _digest(self, head: list[Any], owner: str, parts: Iterable[Piece]) -> bytes:
        encoded = [(part.name, code) for part in parts if (code := self.encode(part, owner)) is not None]
        hasher = blake2b(packb([*head, [name for name, _ in encoded]], None, OPTION), digest_size=_DIGEST_SIZE)
        for _, code in encoded:
            hasher.update(code)
        return hasher.digest()


Said = tuple[list[Any], str, Iterable[Piece]]
"""The plain words of a description, the name of the whole for messages, and the parts."""


_local = threading.local()


def _stack() -> list[Description]:
    """Return the descriptions that this thread is in the midst of, the innermost last."""
    # setdefault in one call: a finaliser may run between two lines, and ask for it.
    stack: list[Description] = _local.__dict__.setdefault("stack", [])
    return stack


def _current() -> Description | None:
    for description in reversed(_stack()):
        if description.is_under_way():  # if not, an interrupt left it on the stack
            return description
    return None


def register(cls: type, said: Callable[[Any, Description], Said]) -> None:
    """Write the instances of exactly this type by their description."""
    TREES[cls] = tree_of(said)


def tree_of(said: Callable[[Any, Description], Said]) -> Callable[[Any, Pack], Any]:
    """Return the rule by which an object is written as the digest of its description."""

    def tree(obj: Any, pack: Pack) -> Any:
        description = _current()
        if description is not None:
            return description.describe(obj, said)
        description = Description()
        return description.run(description.describe, obj, said)

    return tree


def named(kind: str, name: str) -> Ext:
    """Return what stands for an object that is told by its name alone."""
    return Ext(_NAMED, encode_text(f"{kind}:{name}"))


TREES[EmptyCell] = lambda obj, pack: Ext(_EMPTY, b"")
