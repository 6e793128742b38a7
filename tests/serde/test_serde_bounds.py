"""Each decoder is fed its own worst case: a payload is decoded in time linear in its bytes, or refused."""

from __future__ import annotations

import re
import resource
import struct
import sys
import time
from collections import Counter
from collections.abc import Callable
from datetime import date
from fractions import Fraction
from ipaddress import ip_address
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ormsgpack import Ext, packb

from hitrate.errors import DecodeError, SerializationError
from hitrate.serde import MsgpackSerializer, ZstdSerializer
from hitrate.serde.zstd import zstd

serde = MsgpackSerializer()
PRIME = sys.hash_info.modulus
BYTES = 500_000


def ext(code: int, content: bytes) -> bytes:
    return packb(Ext(code, content))


def array(items: list[bytes]) -> bytes:
    return b"\xdd" + struct.pack(">I", len(items)) + b"".join(items)


def filled(item: Callable[[int], bytes], code: int | None = None) -> bytes:
    """As many items as fit, alone or in an extension."""
    items: list[bytes] = []
    size = 0
    while size < BYTES:
        items.append(item(len(items)))
        size += len(items[-1])
    return array(items) if code is None else ext(code, array(items))


def big(number: int) -> bytes:
    return ext(20, number.to_bytes(number.bit_length() // 8 + 1, "big", signed=True))


def nested(content: bytes, times: int, code: int = 2) -> bytes:
    for _ in range(times):
        content = ext(code, b"\x91" + content)
    return content


def dtype(spec: Any, shape: list[int], content: bytes) -> bytes:
    return ext(80, packb([spec, shape, content, False]))


def fractions(number: int) -> bytes:
    return ext(24, b"\x92" + big((number + 9) * PRIME) + b"\1")


def pattern(text: str, flags: int, paid: int) -> bytes:
    return ext(62, packb([text, flags, bytes(paid)]))


def pairs_of_one_hash(count: int) -> list[tuple[int, int]]:
    """Return pairs of ints whose tuples have one hash: of the second, the one that undoes what the first did."""
    mask, found, first = 2**64 - 1, [], 1 << 40
    back = pow(14029467366897019727, -1, 2**64)
    while len(found) < count:
        first += 1
        lane = 2870177450012600261 + first * 14029467366897019727 & mask
        lane = (lane << 31 | lane >> 33) * 11400714785074694791 & mask
        second = -lane * back & mask
        if 1 <= second < PRIME:
            found.append((first, second))
    return found


def fractions_of_one_place(count: int) -> Callable[[int], bytes]:
    pairs = pairs_of_one_hash(count)
    assert len({*map(hash, pairs)}) == 1
    assert len({hash(Fraction(*pair)) for pair in pairs[:50]}) == 50
    return lambda i: ext(24, b"\x92" + b"".join(b"\xcf" + each.to_bytes(8, "big") for each in pairs[i]))


def small(item: Callable[[int], bytes], count: int, code: int = 4) -> Callable[[int], bytes]:
    """A set, or another extension, of as many items."""
    return lambda i: ext(code, array([item(i * count + j) for j in range(count)]))


def alike_uuid(i: int) -> bytes:
    return ext(27, ((i % 1000 + 9) * PRIME).to_bytes(16, "big") + b"\0")


def alike_network(i: int) -> bytes:
    return ext(63, b"\4" + f"{ip_address(((i % 1000 + 9) * PRIME) << 1 | 1 << 127)}/127".encode())


EMPTY = ["struct", [], [], [], [], 0, False]
WORST: dict[str, Callable[[], bytes]] = {
    "ints of one hash in a set": lambda: filled(lambda i: big((i + 9) * PRIME), 4),
    "ints of one hash in a frozenset": lambda: filled(lambda i: big((i + 9) * PRIME), 5),
    "ints of one hash in a dict": lambda: filled(lambda i: big((i // 2 + 9) * PRIME) if i % 2 == 0 else b"\1", 3),
    "ints of one hash in a counter": lambda: ext(
        9, filled(lambda i: big((i // 2 + 9) * PRIME) if i % 2 == 0 else b"\1", 3)
    ),
    "ints of few hashes": lambda: filled(lambda i: big((i // 200 + 9) * PRIME + i % 200), 4),
    "small sets of one hash": lambda: filled(lambda i: ext(4, array([big((j + 9) * PRIME) for j in range(1000)]))),
    "ints that differ in their upper bits": lambda: filled(lambda i: packb(i << 40), 4),
    "floats that differ in their exponents": lambda: filled(lambda i: packb(float(i) * 2.0**300), 4),
    "NaN": lambda: filled(lambda i: packb(float("nan")), 4),
    "fractions of one hash": lambda: filled(fractions, 4),
    "fractions of one hash in a dict": lambda: filled(lambda i: b"\1" if i % 2 else fractions(i), 3),
    "fractions of one hash in a tuple": lambda: ext(4, array([filled(fractions, 2)])),
    "fractions of one hash in tuples": lambda: filled(lambda i: ext(2, b"\x91" + fractions(i)), 5),
    "small sets of fractions of one hash": lambda: filled(small(fractions, 1000)),
    "small sets of few fractions of one hash": lambda: filled(small(fractions, 32)),
    "small frozensets of few fractions of one hash": lambda: filled(small(fractions, 32, 5), 4),
    "fractions of one place in the table": lambda: ext(4, array([*map(fractions_of_one_place(24_000), range(24_000))])),
    "UUIDs of one hash": lambda: filled(small(alike_uuid, 1000)),
    "few UUIDs of one hash": lambda: filled(small(alike_uuid, 32)),
    "networks of one hash": lambda: filled(small(alike_network, 1000)),
    "decimals of one hash": lambda: filled(lambda i: ext(23, str((i + 9) * PRIME).encode()), 4),
    "complex numbers of one hash": lambda: filled(lambda i: ext(22, struct.pack(">dd", i * 2.0**61, 0.0)), 4),
    "tuples of one hash": lambda: filled(lambda i: nested(big((i + 9) * PRIME), 1), 4),
    "tuples of tuples": lambda: filled(lambda i: nested(big((i + 9) * PRIME), 20), 4),
    "frozensets of one hash": lambda: filled(lambda i: ext(5, b"\x91" + big((i + 9) * PRIME)), 4),
    "ranges": lambda: filled(lambda i: ext(25, b"\x93" + big((i + 9) * PRIME) + big((i + 10) * PRIME) + b"\1"), 4),
    "slices": lambda: filled(lambda i: ext(26, b"\x93\xc0" + big((i + 9) * PRIME) + b"\1"), None),
    "dates": lambda: filled(lambda i: ext(41, struct.pack(">HBB", 1 + i % 9999, 1, 1)), None),
    "timedeltas": lambda: filled(lambda i: ext(43, struct.pack(">iII", i, 0, 0)), 4),
    "a long int": lambda: ext(20, b"\x7f" * BYTES),
    "a long decimal": lambda: ext(23, b"9" * BYTES),
    "a decimal with a long exponent": lambda: ext(4, b"\x91" + ext(23, b"1E+999999999999999999")),
    "a long fraction": lambda: ext(4, b"\x91" + ext(24, b"\x92" + big(1 << 4 * BYTES) + big(3 << 4 * BYTES))),
    "a long range": lambda: ext(4, b"\x91" + ext(25, b"\x93\0" + big(1 << 4 * BYTES) + big(3))),
    "a subarray of nothing": lambda: dtype(["sub", EMPTY, [1 << 30]], [60000], b""),
    "a subarray of subarrays of nothing": lambda: dtype(["sub", ["sub", EMPTY, [60]], [1 << 30]], [60], b""),
    "a subarray of no length": lambda: dtype(["sub", "<i8", [0]], [1 << 30], b""),
    "a field of nothing": lambda: dtype(["struct", ["a"], [EMPTY], [0], [None], 0, False], [1 << 30], b""),
    "many arrays of nothing": lambda: filled(lambda i: dtype("|V0", [60000], b"")),
    "many arrays of little": lambda: filled(lambda i: dtype("|V0", [64], b"")),
    "many fields": lambda: dtype(
        ["struct", [f"f{i}" for i in range(20000)], ["<i1"] * 20000, [*range(20000)], [None] * 20000, 20000, False],
        [1],
        bytes(20000),
    ),
    "many dimensions": lambda: ext(80, packb([None, [1] * 63 + [50000], [0] * 50000, False])),
    "wide sets of characters": lambda: pattern("|".join(f"[{chr(0x5FF + i)}-\uffff]" for i in range(1000)), 2, 0),
    "many wide sets": lambda: filled(lambda i: pattern("[a-\uffff]" + str(i), 2, 0)),
    "escaped wide sets": lambda: filled(lambda i: pattern("[a-\\uffff]" + str(i), 2, 200)),
    "many patterns": lambda: filled(lambda i: pattern(f"(a|b){i}", 0, 0)),
    "many patterns that are paid for": lambda: filled(lambda i: pattern(f"(a|b){i}", 0, 100)),
    "a long pattern": lambda: pattern("(a|b)*" * 10_000, 0, 0),
    "time zones": lambda: filled(lambda i: ext(45, b"A/%06d" % i)),
    "paths": lambda: filled(lambda i: ext(61, b"\0" + b"a/%d" % i)),
    "a long path": lambda: ext(61, b"\0" + b"a/" * (BYTES // 2)),
    "networks": lambda: filled(lambda i: ext(63, b"\4" + b"::/%d" % (i % 129))),
    "networks of version 4": lambda: filled(lambda i: ext(63, b"\1" + b"0.0.0.0/%d" % (i % 33))),
    "interfaces": lambda: filled(lambda i: ext(63, b"\5" + b"::1/%d" % (i % 129))),
    "interfaces of version 4": lambda: filled(lambda i: ext(63, b"\2" + b"1.2.3.4/%d" % (i % 33))),
    "interfaces with a scope": lambda: filled(lambda i: ext(63, b"\5" + b"::%%a/%d" % (i % 129))),
    "a long surrogate text": lambda: ext(60, b"\xed\xa0\x80" * (BYTES // 3)),
    "classes that are not there": lambda: filled(lambda i: ext(1, packb([f"json:N{i}#1"]))),
    "empty tuples": lambda: filled(lambda i: ext(2, b"\x90")),
    "empty sets": lambda: filled(lambda i: ext(4, b"\x90")),
    "documents of ones": lambda: nested(array([b"\x91\0"] * (BYTES // 2)), 60),
    "documents of twos": lambda: nested(array([b"\x92\0\0"] * (BYTES // 3)), 60),
    "small documents of ones": lambda: nested(array([b"\x91\0"] * 15_000), 60),
    "documents of texts": lambda: nested(array([b"\xa1\x90"] * (BYTES // 2)), 6),
    "arrays longer than their bytes": lambda: b"\xdd\x7f\xff\xff\xff" * 1000,
}


def seconds(work: Callable[[], Any]) -> float:
    """Time of this process, for others may be at work too."""
    began = time.process_time()
    work()
    return time.process_time() - began


def seconds_of_counting() -> float:
    """Return how long this machine takes for some plain Python: 0.1 s where a payload of 1 MB may take one."""

    def count() -> None:
        number = 0
        for i in range(400_000):
            number += i & 3

    return 10 * seconds(count)


@pytest.fixture(scope="module")
def counting() -> float:
    return min(seconds_of_counting() for _ in range(3))


@pytest.mark.parametrize("name", WORST)
def test_the_worst_case_takes_no_longer_than_its_bytes_allow(name: str, counting: float) -> None:
    payload = WORST[name]()
    assert len(payload) < 2_000_000

    def load() -> None:
        try:
            serde.loads_typed(("msgpack", payload))
        except DecodeError:
            pass

    allowed = 10 * max(len(payload), BYTES) / 1_000_000
    shares = [seconds(load) / counting]
    while shares[-1] >= allowed and len(shares) < 4:  # the machine may be slower at one moment than at the next
        shares.append(seconds(load) / seconds_of_counting())
    if shares[-1] < allowed:
        return
    raise AssertionError(f"it takes {min(shares):.1f} times as long as to count, of {allowed:.1f} allowed")


@pytest.mark.parametrize("compressed", [False, True])
def test_nested_documents_are_not_copied_sixty_times(compressed: bool) -> None:
    payload = nested(packb(bytes(8_000_000)), 60)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    loads, pair = serde.loads_typed, ("msgpack", payload)
    if compressed:
        loads, pair = ZstdSerializer().loads_typed, ("zstd+msgpack", zstd.compress(payload))
    with pytest.raises(DecodeError, match="too deeply"):
        loads(pair)
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 < 10 * len(payload)


def test_what_would_be_refused_when_it_is_read_is_refused_when_it_is_stored() -> None:
    value: Any = bytes(1_000_000)
    for _ in range(12):
        value = (value,)
    crowded = {(i + 9) * PRIME for i in range(1500)}
    for refused in (value, crowded, frozenset(crowded), dict.fromkeys(crowded), Counter(crowded)):
        with pytest.raises(SerializationError):
            serde.dumps_typed(refused)


@pytest.mark.parametrize(
    "value",
    [
        {i * PRIME for i in range(60)},
        {*range(-5000, 5000)},
        {i << 61 for i in range(64)},
        {f"text {i}" for i in range(5000)},
        {1, 2.5, "a", None, (1, 2), date(2026, 1, 1), *range(1000)},
        {Fraction(i, 7) for i in range(1000)},
        {i + 2**70: i for i in range(3000)},
        {(i, str(i)): i for i in range(3000)},
        (((((({"a": [1.5] * 100_000},),),),),),),
        np.array([[None, [1, 2]], [(), {}]], object),
        np.asfortranarray(np.array([[1, "a"], [None, 2.5]], object)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_large_and_honest_is_kept(value: Any) -> None:
    restored = serde.loads_typed(serde.dumps_typed(value))
    if isinstance(value, np.ndarray):
        assert restored.tolist() == value.tolist()
        assert restored.flags.fnc == value.flags.fnc
        assert restored.flags.owndata
        assert restored.flags.writeable
    else:
        assert restored == value
        assert type(restored) is type(value)


@settings(deadline=None)  # a busy machine
@given(
    st.sampled_from(
        [
            "a",
            "[a-z]+",
            "(?i)[a-z0-9_-]{2,}",
            "[\u4e00-\u9fff]+",
            r"[\u4e00-\u9fff]",
            r"\d+\.\d*",
            "[^\u0100]",
            "x" * 3000,
        ]
    ),
    st.sampled_from([0, re.I, re.M | re.S, re.X, re.A]),
)
def test_patterns_come_back_compiled_as_they_were(text: str, flags: int) -> None:
    made = re.compile(text, flags)
    assert serde.loads_typed(serde.dumps_typed(made)) == made
    for each in (re.compile(text.encode(), flags),) if text.isascii() and "\\u" not in text else ():
        assert serde.loads_typed(serde.dumps_typed(each)) == each
