"""An entry as columns, and whether columns can be trusted to be an entry."""

from __future__ import annotations

from hashlib import blake2b

from hitrate.entry import DEFAULT_ENCODING, Entry, checksum
from hitrate.errors import DecodeError
from hitrate.keys import pack_key
from hitrate.stores.postgres.binary import read_float8, read_int8

_LONGEST = 64
_DIGEST = 32


def stored_name(name: bytes) -> bytes:
    """Return what stands for an encoded namespace: itself, or a digest (BLAKE2b) if it is long.

    A short one begins with a length below 0x80, so that none meets a digest.
    """
    return name if len(name) <= _LONGEST else b"\xff" + blake2b(name, digest_size=_DIGEST).digest()


def stored_key(key: bytes) -> bytes:
    """Return what stands for an encoded key: its packed form, or a digest (BLAKE2b) if it is long.

    No text in UTF-8 begins with 0xfe.
    """
    return pack_key(key) if len(key) <= _LONGEST else b"\xfe" + blake2b(key, digest_size=_DIGEST).digest()


def entry_checksum(identity: int, entry: Entry) -> int:
    """Return the checksum of an entry; the expiry is the server's to say, and in no checksum."""
    return checksum(identity, entry[0], entry[1], None)


def stored_encoding(encoding: str) -> bytes | None:
    """Return the column of an encoding: NULL for the usual one."""
    return None if encoding == DEFAULT_ENCODING else encoding.encode()


def read_entry(
    identity: int,
    expiry: bytes | None,
    seconds: bytes | None,
    stored_checksum: bytes,
    encoding: bytes | None,
    payload: bytes,
    now: float,
) -> Entry | DecodeError:
    """Return the entry of a row, or the error that says it is damaged.

    Args:
        identity: the fingerprint of the full key.
        expiry: seconds from ``now``, or NULL.
        seconds: what the value took to make, or NULL.
        stored_checksum: as it was when the row was written.
        encoding: the payload's encoding, NULL for the usual one.
        payload: the serialised value.
        now: the time that the expiry is counted from, in this process's clock.
    """
    try:
        name = DEFAULT_ENCODING if encoding is None else encoding.decode("ascii")
    except UnicodeDecodeError:
        return DecodeError("the name of its encoding is none")
    if read_int8(stored_checksum) != checksum(identity, name, payload, None):
        return DecodeError("its bytes do not match its checksum; they were damaged, or written for another key")
    took = 0.0
    if seconds is not None:
        took = read_float8(seconds)
        if not 0.0 <= took < 1e9:  # the seconds are in no checksum
            took = 0.0
    return name, payload, None if expiry is None else now + read_float8(expiry), took
