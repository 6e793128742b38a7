"""An entry as the columns of a row, and whether columns can be trusted to be an entry.

The column ``value`` is a head and the payload. The head is its own length in a byte and a checksum; unless the encoding
is the usual one and the value took no time to make, also the seconds that it took and the name of the encoding.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from hashlib import blake2b

from xxhash import xxh3_64_digest

from hitrate.entry import DEFAULT_ENCODING, Entry, fingerprint, fingerprints
from hitrate.errors import DecodeError, StoreError
from hitrate.keys import EncodedKey

LONGEST = 64
_DIGEST = 32
SHORT, LONG = 9, 17
SHORT_HEAD, _LONGEST_ENCODING = bytes([SHORT]), 255 - LONG
_SECONDS = struct.Struct("!d")

DAMAGED = "its bytes do not match its checksum; they were damaged, or written for another key"


def stored(text: bytes) -> bytes:
    """Return what stands for an encoded namespace or key: itself, or a digest (BLAKE2b) if it is long.

    A digest begins with 0xff, and so meets no other: a short namespace begins with a length below 0x80, and no text in
    UTF-8 with 0xff.
    """
    return text if len(text) <= LONGEST else b"\xff" + blake2b(text, digest_size=_DIGEST).digest()


def stored_all(texts: Iterable[bytes]) -> list[bytes]:
    """Return ``stored`` of each."""
    return [text if len(text) <= LONGEST else stored(text) for text in texts]


def fingerprints_of(keys: Iterable[EncodedKey]) -> list[int]:
    """Return the fingerprint of each full key."""
    pairs = list(keys)
    names = {name for name, _ in pairs}
    if len(names) == 1:
        return fingerprints(names.pop(), [key for _, key in pairs])
    return [fingerprint(name, key) for name, key in pairs]


def write_value(identity: int, entry: Entry) -> bytes:
    """Return the column ``value`` of an entry. Its expiry is the server's to say, and in no checksum.

    Args:
        identity: the fingerprint of the full key, which the checksum is bound to.
        entry: encoding, payload, expiry and seconds.

    Raises:
        StoreError: the name of the encoding is longer than there is room for.
    """
    encoding, payload, _, seconds = entry
    if encoding == DEFAULT_ENCODING and not seconds:
        return SHORT_HEAD + xxh3_64_digest(payload, identity) + payload
    name = b"" if encoding == DEFAULT_ENCODING else encoding.encode()
    if len(name) > _LONGEST_ENCODING:
        raise StoreError(f"the name of the encoding {encoding!r} is longer than {_LONGEST_ENCODING} bytes")
    checksum = _checksum(identity, encoding, payload)
    return b"".join((bytes([LONG + len(name)]), checksum, _SECONDS.pack(seconds), name, payload))


def read_value(identity: int, value: bytes, expiry: float | None) -> Entry | DecodeError:
    """Return the entry of a row, or the error that says it is damaged.

    Args:
        identity: the fingerprint of the full key.
        value: the column.
        expiry: seconds since the epoch, or None.
    """
    if value[:1] == SHORT_HEAD:
        payload = value[SHORT:]
        if value[1:SHORT] == xxh3_64_digest(payload, identity):
            return DEFAULT_ENCODING, payload, expiry, 0.0
        return DecodeError(DAMAGED)
    head = value[0] if value else 0
    if not LONG <= head <= len(value):
        return DecodeError(DAMAGED)
    payload = value[head:]
    try:
        encoding = value[LONG:head].decode("ascii") or DEFAULT_ENCODING
    except UnicodeDecodeError:
        return DecodeError(DAMAGED)
    if value[1:SHORT] != _checksum(identity, encoding, payload):
        return DecodeError(DAMAGED)
    return encoding, payload, expiry, seconds_in(value)


def seconds_in(value: bytes) -> float:
    """Return the seconds in the head of a column ``value``. They are in no checksum."""
    if len(value) < LONG or value[0] < LONG:
        return 0.0
    seconds: float = _SECONDS.unpack_from(value, SHORT)[0]
    return seconds if 0.0 <= seconds < 1e9 else 0.0


def _checksum(identity: int, encoding: str, payload: bytes) -> bytes:
    if encoding != DEFAULT_ENCODING:
        identity ^= int.from_bytes(xxh3_64_digest(encoding.encode()))
    return xxh3_64_digest(payload, identity)
