"""What is best stored as text: strings that are not UTF-8, paths, patterns."""

from __future__ import annotations

import pathlib
import re
from typing import Any

from hitrate.errors import DecodeError
from hitrate.keys import decode_text, encode_text
from hitrate.serde.registry import INNER, Pack, Refused, of_parts, register

SURROGATES = 60
PATH = 61
PATTERN = 62

# A position in this list is part of the format: only ever append.
_PATHS: list[type[pathlib.PurePath]] = [
    *(pathlib.PurePosixPath, pathlib.PureWindowsPath, pathlib.PosixPath, pathlib.WindowsPath),
]
# Not re.DEBUG, which prints, nor re.TEMPLATE, which is gone.
_FLAGS = int(re.ASCII | re.IGNORECASE | re.LOCALE | re.MULTILINE | re.DOTALL | re.UNICODE | re.VERBOSE)


_ESCAPED = re.compile(r"\\[uUxN0-7]")


def is_text(text: Any) -> bool:
    """Tell whether a str has no lone surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _price(pattern: str | bytes) -> int:
    """Return the microseconds that compiling a pattern takes at most, more or less.

    Each set or range of characters that may reach beyond Latin-1 takes milliseconds: all 65,536 of the first plane are
    gone through.
    """
    price = 50 + 5 * len(pattern)
    if isinstance(pattern, bytes):
        return price + 200 * pattern.count(b"[")
    if pattern.isascii() and _ESCAPED.search(pattern) is None:
        return price + 200 * pattern.count("[")
    return price + 4000 * (pattern.count("[") + pattern.count("-"))


def _encode_pattern(obj: re.Pattern[Any], pack: Pack) -> bytes:
    if obj.flags & ~_FLAGS:
        raise Refused("it was compiled with flags that cannot be stored")
    # A payload is decoded in time linear in its bytes, and a few of these take long to compile. So it has as many
    # bytes more as it takes microseconds.
    return pack([obj.pattern, obj.flags, bytes(_price(obj.pattern))], INNER)


def _pattern_of(pattern: Any, flags: Any, paid: Any) -> Any:
    if type(flags) is not int or flags & ~_FLAGS or type(pattern) not in (str, bytes):
        raise DecodeError("a stored pattern is none")
    if type(paid) is not bytes or len(paid) < _price(pattern):
        raise DecodeError("a stored pattern takes longer to compile than its bytes allow")
    return re.compile(pattern, flags)


register(SURROGATES, lambda data, hook: decode_text(data))
register(
    PATH,
    lambda data, hook: _PATHS[data[0]](decode_text(data[1:])),
    types=_PATHS,
    encode=lambda obj, pack: bytes([_PATHS.index(type(obj))]) + encode_text(str(obj)),
)
register(PATTERN, of_parts(_pattern_of), types=[re.Pattern], encode=_encode_pattern)
