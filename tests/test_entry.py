"""Entries: until when they are fresh, and what their checksum is bound to."""

import enum
import math
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from xxhash import xxh3_64_intdigest

from hitrate.entry import checksum, expiry_of, fingerprint, seconds_of


class Span(timedelta):
    pass


class Seconds(enum.IntEnum):
    MINUTE = 60


@pytest.mark.parametrize("ttl", [None, math.inf, pytest.param(10**400, id="huge")])
def test_none_inf_and_what_is_beyond_floats_never_expire(ttl):
    assert expiry_of(ttl, 1000.0) is None


@pytest.mark.parametrize(("ttl", "expiry"), [(1, 1001.0), (0.25, 1000.25), (10**12, 1000.0 + 10**12), (0, 1000.0)])
def test_a_ttl_counts_from_now(ttl, expiry):
    assert expiry_of(ttl, 1000.0) == expiry


@pytest.mark.parametrize("ttl", [-1, -math.inf, pytest.param(-(10**400), id="huge")])
def test_a_negative_ttl_has_passed(ttl):
    expiry = expiry_of(ttl, 1000.0)
    assert expiry is not None
    assert expiry < 1000.0


def test_nan_is_a_value_error():
    with pytest.raises(ValueError, match="NaN"):
        expiry_of(math.nan, 0.0)


SPANS = {
    "timedelta": (timedelta(minutes=1, microseconds=5), 60.000005),
    "a day ago": (timedelta(days=-1), -86400.0),
    "its subclass": (Span(minutes=1), 60.0),
    "fraction": (Fraction(1, 4), 0.25),
    "enum": (Seconds.MINUTE, 60),
    **{kind.__name__: (kind(60), 60) for kind in (np.int8, np.uint16, np.int64, np.uint64)},
    **{kind.__name__: (kind(0.25), 0.25) for kind in (np.float16, np.float32, np.float64, np.longdouble)},
    "timedelta64": (np.timedelta64(60, "s"), 60.0),
    "timedelta64 in ns": (np.timedelta64(1500, "ns"), 1.5e-6),
    "timedelta64 in days": (np.timedelta64(2, "D"), 172800.0),
}


@pytest.mark.parametrize("span", SPANS)
def test_a_ttl_of_any_kind_is_a_plain_number_of_seconds(span):
    ttl, seconds = SPANS[span]
    assert seconds_of("a TTL", ttl) == seconds
    assert type(seconds_of("a TTL", ttl)) in (int, float)
    assert expiry_of(ttl, 1000.0) == 1000.0 + seconds
    assert type(expiry_of(ttl, 1000.0)) is float  # its repr is part of the checksum


@pytest.mark.parametrize("ttl", [np.float32("nan"), np.float64("nan"), np.timedelta64("NaT", "s")])
def test_a_nan_of_any_kind_is_a_value_error(ttl):
    with pytest.raises(ValueError, match="NaN"):
        expiry_of(ttl, 0.0)


WRONG = ["1", b"1", True, [1], 1j, np.True_, np.str_("1"), np.complex64(1), np.array(1), Decimal(1), None.__class__]
WRONG += [np.timedelta64(1, "Y"), np.datetime64("2026-01-01"), datetime(2026, 1, 1)]


@pytest.mark.parametrize("ttl", WRONG, ids=repr)
def test_a_ttl_that_is_no_number_is_a_type_error(ttl):
    with pytest.raises(TypeError):
        expiry_of(ttl, 0.0)


@given(st.binary(max_size=64), st.integers(0, 511))
def test_a_flipped_bit_changes_the_checksum(payload, bit):
    identity = fingerprint(b"ns", b"key")
    if payload:
        flipped = bytearray(payload)
        flipped[bit // 8 % len(payload)] ^= 1 << bit % 8
        assert checksum(identity, "msgpack", bytes(flipped), None) != checksum(identity, "msgpack", payload, None)


def test_a_checksum_is_bound_to_namespace_key_encoding_and_expiry():
    places = [
        (fingerprint(b"ns", b"key"), "msgpack", None),
        (fingerprint(b"ns", b"other"), "msgpack", None),
        (fingerprint(b"n", b"skey"), "msgpack", None),
        (fingerprint(b"ns", b"key"), "str", None),
        (fingerprint(b"ns", b"key"), "msgpack", 1000.0),
        (fingerprint(b"ns", b"key"), "msgpack", 1000.5),
    ]
    sums = {checksum(identity, encoding, b"payload", expiry) for identity, encoding, expiry in places}
    assert len(sums) == len(places)
    assert all(0 <= each < 2**63 for each in sums)


@pytest.mark.parametrize("before", [1.0, 2.5, 1e300])
def test_the_checksum_of_an_expiry_does_not_depend_on_those_before(before):
    """Equal numbers with other texts among them, as a file that somebody else wrote to may hold them."""
    given = [2.5, 1.0, 1, True, 0.0, -0.0, 0, -1.5, math.inf, -math.inf, math.nan, 1e300, 10**300, None]
    for expiry in [*given, *reversed(given)]:
        for encoding in ("msgpack", "writes", "bytes", "other"):
            checksum(1, "msgpack", b"", before)
            hashed = xxh3_64_intdigest(f"{encoding} {expiry!r}".encode(), 7)
            if expiry is not None or encoding not in ("msgpack", "writes"):
                assert checksum(7, encoding, b"payload", expiry) == xxh3_64_intdigest(b"payload", hashed) >> 1
                assert checksum(7, encoding, b"payload", expiry) == xxh3_64_intdigest(b"payload", hashed) >> 1
