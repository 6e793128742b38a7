"""Fractions, and which of them are met where something is hashed.

From Python 3.12 on, the hash of a Fraction is looked up by its two numbers, in a table of the last 16,384 that the
whole process asked for. Pairs of numbers that have one hash are easily made, and each of them is compared there with
all the others: half a megabyte of them takes 24 s. So code that makes a set of stored elements first asks which
fractions are among them.
"""

from __future__ import annotations

import fractions
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from typing import Any

from ormsgpack import unpackb

from hitrate.errors import DecodeError
from hitrate.serde.registry import Hook, Pack, listed, register

FRACTION = 24

# How each stored fraction begins, after its length: the code, and a list of two.
_BEGIN = bytes([FRACTION, 0x92])
_FEW = 32
_clear_table: Callable[[], None] = getattr(getattr(fractions, "_hash_algorithm", None), "cache_clear", lambda: None)
_notes = threading.local()


def unpack_noting(data: bytes, hook: Hook) -> tuple[Any, list[int]]:
    """Return what a document holds, and of its fractions the hashes that they are looked up by.

    Returns:
        The content; for each different fraction a hash, none if there are few.
    """
    if _BEGIN not in data:
        return unpackb(data, ext_hook=hook), []
    if data.count(_BEGIN) <= _FEW:
        content = unpackb(data, ext_hook=hook)
        hashes = []
    else:
        with _noting() as noted:
            content = unpackb(data, ext_hook=hook)
        hashes = [*noted.values()]
    _clear_table()
    return content, hashes


def pack_noting(packed: Callable[[], bytes]) -> tuple[bytes, list[int]]:
    """Return a document, and the hashes that ``unpack_noting`` would return of it.

    Args:
        packed: makes the document; called again if there are more than a few fractions in it.
    """
    data = packed()
    if data.count(_BEGIN) <= _FEW:
        return data, []
    with _noting() as noted:
        packed()
    return data, [*noted.values()]


@contextmanager
def _noting() -> Iterator[dict[bytes, int]]:
    """Note the fractions that this thread reads or writes in the block: by what is stored of each, its hash."""
    outer: dict[bytes, int] | None = getattr(_notes, "by_content", None)
    noted: dict[bytes, int] = {}
    _notes.by_content = noted
    try:
        yield noted
    finally:
        _notes.by_content = outer
        if outer is not None:
            outer.update(noted)


def _note(data: bytes, numerator: int, denominator: int) -> None:
    noted = getattr(_notes, "by_content", None)
    if noted is not None:
        noted[data] = hash((numerator, denominator))


def _encode(obj: Fraction, pack: Pack) -> bytes:
    data = pack([obj.numerator, obj.denominator])
    _note(data, obj.numerator, obj.denominator)
    return data


def _decode(data: bytes, hook: Hook) -> Any:
    numbers = listed(unpackb(data, ext_hook=hook))
    if data[0] != _BEGIN[1] or any(type(each) is not int for each in numbers) or numbers[1] < 1:
        raise DecodeError("a stored Fraction is none")
    # Set rather than computed: the constructor's gcd takes minutes for hostile numbers of a megabyte.
    made: Any = object.__new__(Fraction)
    made._numerator, made._denominator = numbers
    _note(data, *numbers)
    return made


register(FRACTION, _decode, types=[Fraction], encode=_encode)
