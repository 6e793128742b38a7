"""What lies under an entry's name: two tokens, a checksum, a header, and the encoding, key and payload.

The tokens say under which generation of all entries and of its namespace an entry was written; a clear takes a token
away, and what carries it is of the past. They are random, never counted, so that a token that is lost and made anew
cannot bring anything back. Whatever does not fit is a miss for that entry: these bytes are anyone's who can write there.
"""

from __future__ import annotations

import math
from struct import Struct
from typing import Final

from xxhash import xxh3_64_digest

from hitrate.entry import Entry
from hitrate.errors import DecodeError

_VERSION: Final = 1
TOKENS_LENGTH: Final = 16
_BODY: Final = TOKENS_LENGTH + 8
_HEAD = Struct(">Bdd16sBI")  # version, expiry, seconds, digest of the namespace, lengths of encoding and key
_ENCODING: Final = _HEAD.size

HEADER_LENGTH: Final = _BODY + _HEAD.size
"""Bytes from the beginning of a value to the end of its header."""

EXPIRY_PLACE: Final = _BODY + 2
"""Where the expiry lies in a value, counted from 1 as Lua does: a big-endian double, inf for never."""

OVERHEAD: Final = 96
"""Bytes that the server takes for an entry beyond its name and value, about."""

_encodings: dict[bytes, str] = {b"msgpack": "msgpack", b"writes": "writes", b"bytes": "bytes", b"null": "null"}


def pack(entry: Entry, digest: bytes, key: bytes) -> bytes:
    """Return an entry as it is stored, but for its tokens, which the server puts before it.

    Args:
        entry: the entry.
        digest: 16 bytes that stand for its namespace.
        key: its encoded key.
    """
    encoding, payload, expiry, seconds = entry
    name = encoding.encode("ascii")
    if len(name) > 255:
        raise ValueError(f"the name of an encoding has 255 characters at most, not {len(name)}")
    head = _HEAD.pack(_VERSION, math.inf if expiry is None else expiry, seconds, digest, len(name), len(key))
    body = b"".join((head, name, key, payload))
    return xxh3_64_digest(body) + body


def unpack(value: bytes, tokens: bytes, key: bytes) -> Entry | DecodeError | None:
    """Return the entry that a value holds; None if it is of the past, an error if it cannot be trusted.

    Args:
        value: what the server returned.
        tokens: the current tokens of all entries and of the namespace.
        key: the encoded key that was asked for.
    """
    body = value[_BODY:]
    if not value.startswith(tokens) or len(tokens) != TOKENS_LENGTH:
        if len(value) >= HEADER_LENGTH and body[0] == _VERSION:
            return None
        return DecodeError("its bytes are not ours; another program wrote them")
    if xxh3_64_digest(body) != value[TOKENS_LENGTH:_BODY]:
        return DecodeError("its bytes do not match their checksum; they were damaged")
    try:
        version, expiry, seconds, _, encoding_length, key_length = _HEAD.unpack_from(body)
    except Exception:
        return DecodeError("its bytes are too few")
    key_place = _ENCODING + encoding_length
    payload_place = key_place + key_length
    if version != _VERSION or body[key_place:payload_place] != key:
        return DecodeError("its bytes were written for another key")
    raw = body[_ENCODING:key_place]
    encoding = _encodings.get(raw) or raw.decode("latin-1")
    # Who can write here could have stored any numbers.
    seconds = seconds if 0.0 <= seconds < 1e9 else 0.0
    return encoding, body[payload_place:], None if expiry == math.inf else expiry, seconds


def namespace_in(header: bytes) -> bytes | None:
    """Return the digest of the namespace in the beginning of a value; None if that is not ours."""
    if len(header) < HEADER_LENGTH or header[_BODY] != _VERSION:
        return None
    digest: bytes = _HEAD.unpack_from(header, _BODY)[3]
    return digest


def expiry_in(header: bytes) -> float:
    """Return the expiry in the beginning of a value that is ours."""
    expiry: float = _HEAD.unpack_from(header, _BODY)[1]
    return expiry
