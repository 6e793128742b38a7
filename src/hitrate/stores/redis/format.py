"""What lies under an entry's name: a checksum, two tokens, a header, and the encoding, key and payload.

The two tokens stand for all entries and for the namespace. A clear removes a token from the server; entries written
under it then are misses. Tokens are random, not counted, so that a token that is lost and made anew never makes old
entries valid again. Bytes that do not fit this format are a miss for that entry: whoever can write to the server may
have put them there.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from struct import Struct, error
from typing import Final, NamedTuple

from xxhash import xxh3_64_intdigest

from hitrate.entry import ENCODING_CODES, Entry
from hitrate.errors import DecodeError
from hitrate.keys import EncodedKey
from hitrate.stores.base import Found

_VERSION: Final = 1 << 4  # in one byte with the encoding
_OTHER: Final = 15  # the encoding is named before the key
_CHECKED: Final = 8  # where what the checksum covers begins
_NEVER: Final = math.inf
_CHECKSUM = Struct(">Q")
_HEAD = Struct(">16sBddI16s")  # tokens, version with encoding, expiry, seconds, length of key, digest of namespace
_WHOLE = Struct(">Q16sBddI16x")  # after the checksum, as it is read

TOKENS_PLACE: Final = 9
"""Where the two tokens lie in a value, counted from 1 as Lua does."""

EXPIRY_PLACE: Final = 26
"""Where the expiry lies in a value, counted from 1 as Lua does: a big-endian double, inf for never."""

HEADER_LENGTH: Final = _WHOLE.size
"""Bytes from the beginning of a value to the end of its header."""

OVERHEAD: Final = 96
"""Bytes that the server takes for an entry beyond its name and value, about."""

_NAMES = {_VERSION | code: name for name, code in ENCODING_CODES.items()}
_CODES = {name: code for code, name in _NAMES.items()}


def pack(entry: Entry, tokens: bytes, digest: bytes, key: bytes) -> tuple[bytes, bytes]:
    """Return an entry as it is stored, in two parts that follow each other: its checksum, and what that covers.

    Args:
        entry: the entry.
        tokens: of all entries and of its namespace.
        digest: of its namespace.
        key: its encoded key.
    """
    encoding, payload, expiry, seconds = entry
    code = _CODES.get(encoding)
    if code is None:
        code = _VERSION | _OTHER
        key = _named(encoding, key)
    head = _HEAD.pack(tokens, code, _NEVER if expiry is None else expiry, seconds, len(key), digest)
    checked = b"".join((head, key, payload))
    return _CHECKSUM.pack(xxh3_64_intdigest(checked)), checked


def unpack(reply: Sequence[bytes | None], keys: Iterable[EncodedKey]) -> list[Found]:
    """Return the entries in a reply; for one that was cleared None, for one that cannot be trusted an error.

    Args:
        reply: the current tokens of all entries and of the namespace, and the values, None for what is not there.
        keys: the encoded keys that were asked for, each with its namespace.
    """
    tokens = (reply[0] or b"") + (reply[1] or b"")
    # Most of what a hit costs in this package is here: one loop, few steps, what is looked up is at hand.
    found: list[Found] = []
    add, unpack_from, hashed, names = found.append, _WHOLE.unpack_from, xxh3_64_intdigest, _NAMES.get
    for value, (_, key) in zip(reply[2:], keys):  # noqa: B905 - strict costs a tenth of it
        if value is None:
            add(None)
            continue
        try:
            checksum, stored, code, expiry, seconds, key_length = unpack_from(value)
        except error:
            add(DecodeError("its bytes are too few to be ours"))
            continue
        if hashed(value[_CHECKED:]) != checksum:
            add(DecodeError("its bytes do not match their checksum; they were damaged, or are another program's"))
            continue
        if stored != tokens:
            add(None)
            continue
        payload_place = HEADER_LENGTH + key_length
        encoding = names(code)
        if encoding is None or value[HEADER_LENGTH:payload_place] != key:
            encoding = _name_before(key, value[HEADER_LENGTH:payload_place], code)
            if encoding is None:
                add(DecodeError("its bytes were written for another key, or by a newer hitrate"))
                continue
        if seconds and not 0.0 < seconds < 1e9:
            seconds = 0.0  # whoever can write to the server could have stored any number
        add((encoding, value[payload_place:], None if expiry == _NEVER else expiry, seconds))
    return found


def _named(encoding: str, key: bytes) -> bytes:
    """Return a key with the name of an encoding before it."""
    return len(encoding).to_bytes(2, "big") + encoding.encode("ascii") + key


def _name_before(key: bytes, named: bytes, code: int) -> str | None:
    """Return the name of the encoding that stands before a key; None if none does, or the key is another."""
    if code != _VERSION | _OTHER:
        return None
    place = 2 + int.from_bytes(named[:2], "big")
    return named[2:place].decode("latin-1") if named[place:] == key else None


class Header(NamedTuple):
    """What stands in a value between its checksum and its key.

    Attributes:
        tokens: those it was written under.
        code: the version, with the encoding.
        expiry: seconds since the epoch by its writer's clock, inf for never.
        seconds: that it took to make.
        key_length: of the key, with the name of an encoding if one is before it.
        namespace: the digest of its namespace.
    """

    tokens: bytes
    code: int
    expiry: float
    seconds: float
    key_length: int
    namespace: bytes


def header_of(value: object) -> Header | None:
    """Return the header of a value, or of the beginning of one; None if it is not ours."""
    if not isinstance(value, bytes) or len(value) < HEADER_LENGTH:
        return None
    header = Header(*_HEAD.unpack_from(value, _CHECKED))
    return header if header.code & 0xF0 == _VERSION else None


def key_in(value: bytes, header: Header) -> bytes | None:
    """Return the encoded key in a value, or the beginning of one; None if it does not have it whole."""
    start, end = HEADER_LENGTH, HEADER_LENGTH + header.key_length
    if header.code == _VERSION | _OTHER:
        start += 2 + int.from_bytes(value[start : start + 2], "big")
    return value[start:end] if start <= end <= len(value) else None
