"""One row of the file: where it lies, how its key is written, and whether it can be trusted."""

from __future__ import annotations

import struct
from binascii import unhexlify
from typing import Any

from hitrate.entry import ENCODING_CODES, Entry, checksum
from hitrate.errors import DecodeError
from hitrate.stores.sqlite.schema import SLOT_BITS

ROW_OVERHEAD = 64
"""Bytes that a row takes beyond its key and payload: its other columns, its header and its place in the index."""

# The column ``seconds`` holds when the entry was stored, in seconds since the epoch with 24 bits after the point, and,
# if they are known, the seconds that its value took. A hitrate that did not keep the first wrote NULL or a number, and
# takes what it finds for "not known": so both share a file. One after it wrote the time in whole seconds.
_FRACTIONS = 1 << 24
_CREATED_LENGTH, _BOTH_LENGTH = 7, 15
_WHOLE_LENGTH, _WHOLE_AND_SECONDS_LENGTH = 4, 12
_SECONDS = struct.Struct(">d")
_SECONDS_AFTER_CREATED = struct.Struct(">7xd").unpack

SHIFT = 64 - SLOT_BITS
_HEX_LENGTH = 32

_ENCODINGS: dict[Any, str] = {code: encoding for encoding, code in ENCODING_CODES.items()}  # 0 and 1 take no room


def slot_of(identity: int) -> int:
    """Return the slot of a key, by the fingerprint of the full key, relative to the base of its namespace."""
    return identity >> SHIFT


def pack_key(key: bytes) -> bytes:
    """Return a key as it is written: a digest of 32 hex digits, LangGraph's usual key, in half the bytes.

    No text in UTF-8 begins with 0xff, so this form meets no other key.
    """
    if len(key) == _HEX_LENGTH:
        try:
            raw = unhexlify(key)
        except ValueError:
            return key
        if raw.hex().encode() == key:  # not for capital letters, which would not come back
            return b"\xff" + raw
    return key


def times_of(times: Any) -> tuple[float | None, float]:
    """Return when an entry was stored, None for not known, and the seconds it took, by the column ``seconds``."""
    created, seconds = None, times
    if type(times) is bytes:
        length, seconds = len(times), 0.0
        if length in (_CREATED_LENGTH, _BOTH_LENGTH):
            created = int.from_bytes(times[:_CREATED_LENGTH], "big") / _FRACTIONS
        elif length in (_WHOLE_LENGTH, _WHOLE_AND_SECONDS_LENGTH):
            created = float(int.from_bytes(times[:_WHOLE_LENGTH], "big"))
        if length in (_BOTH_LENGTH, _WHOLE_AND_SECONDS_LENGTH):
            (seconds,) = _SECONDS.unpack(times[-_SECONDS.size :])
    return created, seconds if type(seconds) is float and 0.0 <= seconds < 1e9 else 0.0


def size_of(key_length: int, payload_length: int) -> int:
    """Return the bytes that a row is counted as."""
    return key_length + payload_length + ROW_OVERHEAD


def unpack_key(packed: bytes) -> bytes:
    """Return the key that ``pack_key`` was given."""
    return packed[1:].hex().encode() if packed[:1] == b"\xff" else packed


def write_columns(identity: int, entry: Entry, now: float) -> tuple[float | None, Any, int, Any]:
    """Return the columns (expiry, seconds, checksum, encoding) of an entry that is stored now."""
    encoding, payload, expiry, seconds = entry
    times: Any
    try:
        times = int(now * _FRACTIONS).to_bytes(_CREATED_LENGTH, "big")
        if seconds:
            times += _SECONDS.pack(seconds)
    except (ValueError, OverflowError):  # the clock is far off, as that of a test may be
        times = seconds or None
    return (
        expiry,
        times,
        checksum(identity, encoding, payload, expiry),
        ENCODING_CODES.get(encoding, encoding),
    )


def read_columns(
    identity: int, expiry: float | None, times: Any, stored_checksum: int, code: Any, payload: bytes
) -> Entry | DecodeError:
    """Return the entry of a row, or the error that says it is damaged."""
    encoding: Any = _ENCODINGS.get(code, code)
    try:
        if type(payload) is bytes and stored_checksum == checksum(identity, encoding, payload, expiry):
            if type(times) is bytes:
                if len(times) == _CREATED_LENGTH:
                    return encoding, payload, expiry, 0.0
                seconds = _SECONDS_AFTER_CREATED(times)[0] if len(times) == _BOTH_LENGTH else times_of(times)[1]
            else:
                seconds = times if type(times) is float else 0.0
            # The seconds are not covered by the checksum.
            return encoding, payload, expiry, seconds if 0.0 <= seconds < 1e9 else 0.0
    except TypeError:  # a column is not of its type
        pass
    return DecodeError("its bytes do not match its checksum; they were damaged, or written for another key")
