"""An entry: what is stored for a key, until when it is fresh, and the checksum that ties the two together."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import timedelta
from numbers import Integral, Real
from typing import Any

from xxhash import xxh3_64_intdigest

Entry = tuple[str, bytes, float | None, float]
"""Encoding, payload, expiry (seconds since the epoch, None for never), seconds that the value took to make."""

DEFAULT_ENCODING = "msgpack"

ENCODING_CODES = {DEFAULT_ENCODING: 0, "writes": 1, "bytes": 2, "null": 3}
"""Short numbers for the usual encodings, for stores to write; they are part of their formats."""

_PREFIXES_AT_MOST = 1024
_prefixes: dict[float, bytes] = {}
"""By expiry, what is hashed before a payload of the default encoding, for recent expiries. To write a float as text
takes longer than the rest of a checksum, and entries that were stored together share their expiry."""

# Without an expiry the usual encodings are told apart by a constant, which costs less than hashing them.
_SALTS = {DEFAULT_ENCODING: 0, "writes": 0x9E3779B97F4A7C15}


def number_of(value: Any) -> float | None:
    """Return a number, NumPy's included, as an int or a float of Python; None for anything else."""
    kind = type(value)
    if kind is float or kind is int:
        return value  # type: ignore[no-any-return]
    # NumPy registers its numbers with ``numbers``, its spans of time among them.
    if kind is bool or not isinstance(value, Real) or kind.__name__ == "timedelta64":
        return None
    return int(value) if isinstance(value, Integral) else float(value)


def seconds_of(name: str, value: Any) -> float:
    """Return a span of time in seconds, as an int or a float.

    Args:
        name: what it is called in an error.
        value: a number of seconds, NumPy's included, or a timedelta.

    Raises:
        TypeError: it is neither.
    """
    kind = type(value)
    if isinstance(value, timedelta):
        return value.total_seconds()
    if kind.__module__ == "numpy" and kind.__name__ == "timedelta64":
        try:
            return float(value / kind(1, "s"))
        except TypeError:  # months and years, which have no length
            pass
    number = number_of(value)
    if number is None:
        raise TypeError(f"{name} is a number of seconds, a timedelta or None, not {value!r} of type {kind.__name__}")
    return number


def expiry_of(ttl: Any, now: float) -> float | None:
    """Return when an entry that is stored now expires.

    Args:
        ttl: seconds, as a number or a timedelta; None or inf never expires.
        now: the time in seconds since the epoch.

    Returns:
        Seconds since the epoch, or None for never. A TTL of 0 or less gives an instant that has passed.

    Raises:
        TypeError: the TTL is neither a number, a timedelta nor None.
        ValueError: the TTL is NaN.
    """
    if ttl is None:
        return None
    if type(ttl) is not int and type(ttl) is not float:
        ttl = seconds_of("a TTL", ttl)
    if ttl != ttl:  # math.isnan does not take every int
        raise ValueError("a TTL cannot be NaN; use None for an entry that never expires")
    try:
        expiry = now + ttl
    except OverflowError:  # an int beyond the range of float
        return None if ttl > 0 else -math.inf
    return None if expiry == math.inf else expiry


def fingerprint(namespace: bytes, key: bytes) -> int:
    """Return 64 bits that identify an encoded full key (XXH3)."""
    return xxh3_64_intdigest(key, xxh3_64_intdigest(namespace))


def fingerprints(namespace: bytes, keys: Iterable[bytes]) -> list[int]:
    """Return the fingerprint of each of several encoded keys of one encoded namespace."""
    seed = xxh3_64_intdigest(namespace)
    return [xxh3_64_intdigest(key, seed) for key in keys]


def checksum(identity: int, encoding: str, payload: bytes, expiry: float | None) -> int:
    """Return the checksum of an entry, bound to its key: another key's bytes do not pass for this one's.

    Args:
        identity: the fingerprint of the full key.
        encoding: the name of the payload's encoding.
        payload: the serialised value.
        expiry: seconds since the epoch, or None.

    Returns:
        63 bits by XXH3, a fast hash and no defence against an author of forged entries; encryption is. A 64th would
        make it too large for the signed integers of databases.
    """
    if expiry is None and encoding in _SALTS:
        identity ^= _SALTS[encoding]
    else:
        # A file may hold an int, or -0.0, which equals a float that is written differently.
        usual = type(expiry) is float and expiry > 0.0 and encoding == DEFAULT_ENCODING
        prefix = _prefixes.get(expiry) if usual else None  # type: ignore[arg-type]
        if prefix is None:
            prefix = f"{encoding} {expiry!r}".encode()
            if usual:
                if len(_prefixes) >= _PREFIXES_AT_MOST:
                    _prefixes.clear()
                _prefixes[expiry] = prefix  # type: ignore[index]
        identity = xxh3_64_intdigest(prefix, identity)
    return xxh3_64_intdigest(payload, identity) >> 1
