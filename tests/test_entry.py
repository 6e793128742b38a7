"""Entries: until when they are fresh, and what their checksum is bound to."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hitrate.entry import checksum, expiry_of, fingerprint


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


@pytest.mark.parametrize("ttl", ["1", b"1", True, [1], 1j])
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
