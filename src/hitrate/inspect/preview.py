"""Shows a value as text of limited length, however large the value is."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Any

from hitrate.serde.outlines import MORE, Instance

_DEEPEST = 40
_LIMIT = 20_000
_DIGITS = 4000  # Python refuses to write longer numbers


_IN_A_LINE = 24
_LINE = 160
_SHORT = (int, float, complex, type(None), type(MORE))


def _is_short(value: Any) -> bool:
    if isinstance(value, (str, bytes)):
        return len(value) <= _LINE
    return isinstance(value, _SHORT) and not (isinstance(value, int) and value.bit_length() > _DIGITS)


class _FullError(Exception):
    """There is no more room."""


def preview(value: Any, limit: int = _LIMIT) -> tuple[str, bool]:
    """Return plain data as text of ``limit`` characters at most, and whether that is all of it: a str as it is."""
    if isinstance(value, str):
        return value[:limit], len(value) <= limit
    writer = _Writer(limit)
    try:
        writer.write(value, 0)
    except _FullError:
        return "".join(writer.pieces)[:limit], False
    return "".join(writer.pieces), True


class _Writer:
    def __init__(self, limit: int) -> None:
        self.pieces: list[str] = []
        self._room = limit

    def write(self, value: Any, depth: int) -> None:
        if isinstance(value, Instance):
            self._put(value.title + " ")
            self.write(value.state, depth)
        elif depth > _DEEPEST:
            self._put("…")
        elif isinstance(value, dict):
            self._items("{", ((key, each) for key, each in value.items()), "}", depth, pairs=True)
        elif isinstance(value, tuple):
            self._items("(", value, ",)" if len(value) == 1 else ")", depth)
        elif isinstance(value, (set, frozenset)):
            self._items("{", value, "}", depth)
        elif isinstance(value, list):
            self._items("[", value, "]", depth)
        elif type(value).__name__ == "deque":
            self._items("deque([", value, "])", depth)
        else:
            self._put(self._atom(value))

    def _items(self, opening: str, items: Iterable[Any], closing: str, depth: int, *, pairs: bool = False) -> None:
        line = None if pairs else self._in_a_line(items)
        if line is not None:
            self._put(f"{opening}{line}{closing}")
            return
        self._put(opening)
        margin = "\n" + "  " * depth
        empty = True
        for item in items:
            self._put(("" if empty else ",") + margin + "  ")
            empty = False
            if pairs:
                self.write(item[0], depth + 1)
                self._put(": ")
                self.write(item[1], depth + 1)
            else:
                self.write(item, depth + 1)
        self._put(closing if empty else margin + closing)

    def _in_a_line(self, items: Iterable[Any]) -> str | None:
        """Return a few short items, such as numbers, as they stand in a line; None if they need more."""
        some = [*islice(items, _IN_A_LINE + 1)]
        if len(some) > _IN_A_LINE or not all(_is_short(each) for each in some):
            return None
        line = ", ".join(map(self._atom, some))
        return line if len(line) <= _LINE else None

    def _atom(self, value: Any) -> str:
        if isinstance(value, (str, bytes, bytearray)):
            return repr(value[: self._room + 1])
        if isinstance(value, int) and value.bit_length() > _DIGITS:
            return hex(value)
        try:
            return repr(value)
        except Exception as error:  # a class of some library
            return f"<{type(value).__name__}, which cannot be written: {type(error).__name__}>"

    def _put(self, text: str) -> None:
        self.pieces.append(text)
        self._room -= len(text)
        if self._room < 0:
            raise _FullError
