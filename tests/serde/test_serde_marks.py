"""A byte that marks bytes may be in a value by chance: it is stored, and a bytearray beside it is told all the same."""

import struct
from random import Random

import pytest
from ormsgpack import Ext, packb
from serde_equality import same

from hitrate.serde import MsgpackSerializer
from hitrate.serde.packing import OPTION, _marks_are_no_items

MARKS = [*range(0xC4, 0xCA), *range(0xD4, 0xD9)]
# What begins a number or a length, what a character goes on with, and what is an item of its own.
BYTES = [*MARKS, *range(0xCA, 0xD4), *range(0xD9, 0xE0), 0x80, 0x84, 0xBF, 0x00, 0x3F, 0x40, 0x61, 0xA1, 0xE1, 0xFF]
LETTERS = "a\0éÿ€😀" + "".join(chr((lead & 0x1F) << 6 | rest) for lead in range(0xC4, 0xE0) for rest in (0, 4, 0x3F))


def number(rng: Random) -> float:
    return struct.unpack(">d", bytes(rng.choice(BYTES) for _ in range(8)))[0]


def text(rng: Random) -> str:
    return "".join(rng.choice(LETTERS) for _ in range(rng.choice([0, 1, 3, 9, 40, 130, 196, 300])))


def plain(rng: Random) -> object:
    kind = rng.randrange(9)
    if kind < 4:
        return number(rng)
    if kind < 6:
        return text(rng)
    if kind < 8:
        return int.from_bytes(
            bytes(rng.choice(BYTES) for _ in range(rng.choice([1, 2, 4, 8]))), signed=rng.random() < 0.5
        )
    return rng.choice([None, True, False, [], {}, [1.5] * 20])


def in_containers(rng: Random, items: list[object]) -> object:
    """Return a dict with all of the items, some of which are further in."""
    while len(items) > 1:
        number = rng.randrange(2, 5)
        some, items = items[:number], items[number:]
        items.append(some if rng.random() < 0.5 else {rng.choice("kxé") * at: each for at, each in enumerate(some)})
    return {"value": items[0]}


@pytest.mark.parametrize(
    "odd", [b"", b"x", b"\xc4" * 200, bytearray(), bytearray(b"\xcb\x3f"), bytearray(300), memoryview(b"\xcb")]
)
def test_bytes_are_never_taken_for_a_part_of_a_number_or_a_text(odd):
    rng = Random(len(odd))
    for _ in range(800):
        items = [plain(rng) for _ in range(rng.randrange(1, 12))]
        items.insert(rng.randrange(len(items) + 1), odd)
        if rng.random() < 0.3:  # what an extension holds may look like anything
            items.insert(rng.randrange(len(items) + 1), Ext(7, bytes(rng.choice(BYTES) for _ in range(9))))
        value = {str(at): item for at, item in enumerate(items)} if rng.random() < 0.5 else items
        assert not _marks_are_no_items(packb(value, None, OPTION)), value


def test_a_mark_in_a_number_of_a_usual_value_is_told_from_its_bytes_alone():
    rng = Random(1)
    for _ in range(200):
        score = struct.unpack(">d", bytes([0x3F, *(rng.choice(BYTES) for _ in range(7))]))[0]
        value = {"id": 0xC4, "title": "Übermut", "score": score, "body": "text " * 40, "at": {"x": score, "y": [1]}}
        assert _marks_are_no_items(packb(value, None, OPTION)), value


def test_values_with_marks_are_restored_exactly():
    serde, rng = MsgpackSerializer(), Random(2)
    for _ in range(1500):
        items = [plain(rng) for _ in range(rng.randrange(1, 9))]
        if rng.random() < 0.5:
            items.insert(rng.randrange(len(items)), rng.choice([b"\xc4\x01", bytearray(b"\xc5"), (1, bytearray(b"x"))]))
        value = in_containers(rng, items)
        assert same(serde.loads_typed(serde.dumps_typed(value)), value), value
