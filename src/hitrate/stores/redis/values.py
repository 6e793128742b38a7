"""What lies under an entry's name: a checksum, two tokens, a header, and the encoding, key and payload.

The tokens say under which generation of all entries and of its namespace an entry was written; a clear takes a token
away, and what carries it is of the past. They are random, never counted, so that a token that is lost and made anew
cannot bring anything back. Whatever does not fit is a miss for that entry: these bytes are anyone's who can write
there.
"""

from __future__ import annotations

import math
from struct import Struct, error
from typing import Final

from xxhash import xxh3_64_intdigest

from hitrate.entry import ENCODING_CODES, Entry
from hitrate.errors import DecodeError

_VERSION: Final = 1
_CHECKED: Final = 8  # where what the checksum covers begins
_HEAD = Struct(">16sBddBI16s")  # tokens, version, expiry, seconds, encoding, length of the key, digest of the namespace
_CHECKSUM = Struct(">Q")
_WHOLE = Struct(">Q16sBddBI16x")  # after the checksum, as it is read

TOKENS_PLACE: Final = 9
"""Where the two tokens lie in a value, counted from 1 as Lua does."""

EXPIRY_PLACE: Final = 26
"""Where the expiry lies in a value, counted from 1 as Lua does: a big-endian double, inf for never."""

HEADER_LENGTH: Final = _WHOLE.size
"""Bytes from the beginning of a value to the end of its header."""

OVERHEAD: Final = 96
"""Bytes that the server takes for an entry beyond its name and value, about."""

_OTHER: Final = 255  # the encoding is named before the key
_NAMES = {code: name for name, code in ENCODING_CODES.items()}


def pack(entry: Entry, tokens: bytes, digest: bytes, key: bytes) -> tuple[bytes, bytes]:
    """Return an entry as it is stored, in two parts that follow each other: its checksum, and what that covers.

    Args:
        entry: the entry.
        tokens: the tokens of all entries and of its namespace.
        digest: 16 bytes that stand for its namespace.
        key: its encoded key.
    """
    encoding, payload, expiry, seconds = entry
    code = ENCODING_CODES.get(encoding, _OTHER)
    if code == _OTHER:
        key = _named(encoding, key)
    head = _HEAD.pack(tokens, _VERSION, math.inf if expiry is None else expiry, seconds, code, len(key), digest)
    checked = b"".join((head, key, payload))
    return _CHECKSUM.pack(xxh3_64_intdigest(checked)), checked


def unpack(value: bytes, tokens: bytes, key: bytes) -> Entry | DecodeError | None:
    """Return the entry that a value holds; None if it is of the past, an error if it cannot be trusted.

    Args:
        value: what the server returned.
        tokens: the current tokens of all entries and of the namespace.
        key: the encoded key that was asked for.
    """
    try:
        checksum, stored, version, expiry, seconds, code, key_length = _WHOLE.unpack_from(value)
    except error:
        return DecodeError("its bytes are too few to be ours")
    if xxh3_64_intdigest(value[_CHECKED:]) != checksum or version != _VERSION:
        return DecodeError("its bytes do not match their checksum; they were damaged, or another program wrote them")
    if stored != tokens:
        return None
    payload_place = HEADER_LENGTH + key_length
    encoding = _NAMES.get(code)
    if encoding is None:
        named = value[HEADER_LENGTH:payload_place]
        length = int.from_bytes(named[:2], "big")
        encoding = named[2 : 2 + length].decode("latin-1")
        if named[2 + length :] != key:
            return DecodeError("its bytes were written for another key")
    elif key_length != len(key) or not value.startswith(key, HEADER_LENGTH):
        return DecodeError("its bytes were written for another key")
    if not 0.0 <= seconds < 1e9:
        seconds = 0.0  # who can write here could have stored any number
    return encoding, value[payload_place:], None if expiry == math.inf else expiry, seconds


def size_of(name: bytes, entry: Entry, key: bytes) -> int:
    """Return the bytes that an entry is counted as.

    Args:
        name: its name on the server.
        entry: the entry.
        key: its encoded key.
    """
    encoding, payload, _, _ = entry
    named = 0 if encoding in ENCODING_CODES else 2 + len(encoding)
    return len(name) + HEADER_LENGTH + named + len(key) + len(payload) + OVERHEAD


def _named(encoding: str, key: bytes) -> bytes:
    """Return a key with the name of an encoding before it."""
    return len(encoding).to_bytes(2, "big") + encoding.encode("ascii") + key


def tokens_in(header: bytes) -> bytes:
    """Return the tokens in the beginning of a value that is ours."""
    return header[_CHECKED : _CHECKED + 16]


def namespace_in(header: bytes) -> bytes | None:
    """Return the digest of the namespace in the beginning of a value; None if that is not ours."""
    if len(header) < HEADER_LENGTH or header[_CHECKED + 16] != _VERSION:
        return None
    return header[HEADER_LENGTH - 16 : HEADER_LENGTH]


def expiry_in(header: bytes) -> float:
    """Return the expiry in the beginning of a value that is ours."""
    expiry: float = _HEAD.unpack_from(header, _CHECKED)[2]
    return expiry
