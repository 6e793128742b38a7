"""Payloads as a hostile writer would alter them: bits flipped, parts left out, doubled, exchanged and replaced."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from ormsgpack import Ext, packb, unpackb

_OTHERS: list[Any] = [
    *(
        None,
        True,
        0,
        -1,
        1,
        2**40,
        2**63,
        -(2**63),
        1.5,
        float("nan"),
        "",
        "x",
        b"",
        b"\xff" * 8,
        [],
        {},
        [None],
        [0, -1],
    ),
    *(
        "<f8",
        "|O",
        "<M8[ns]",
        "Int64",
        "UTC",
        "../x",
        "D",
        "999999999D",
        "both",
        "pyarrow",
        ["list", "Int8"],
        {"kind": "buffer"},
    ),
]


class _Node:
    """An extension, opened if its content is a document."""

    def __init__(self, code: int, content: bytes) -> None:
        self.code = code
        self.content: Any = content
        try:
            opened = unpackb(content, ext_hook=_Node)
            if packed(opened) == content:
                self.content = [opened]
        except Exception:
            pass


def packed(tree: Any) -> bytes:
    """Return the document of a tree."""

    def default(node: Any) -> Ext:
        content = node.content
        return Ext(node.code, packed(content[0]) if type(content) is list else content)

    return packb(tree, default)


def _places(tree: Any) -> Iterator[tuple[Any, Any]]:
    """Yield where in a tree something can be replaced: a container, and a position in it."""
    if isinstance(tree, _Node):
        if type(tree.content) is list:
            yield tree.content, 0
            yield from _places(tree.content[0])
    elif type(tree) is list:
        for i, each in enumerate(tree):
            yield tree, i
            yield from _places(each)
    elif type(tree) is dict:
        for key, each in tree.items():
            yield tree, key
            yield from _places(each)


def mutated(payload: bytes, rng: random.Random) -> bytes:
    """Return a payload with one to three alterations."""
    if rng.random() < 0.3:
        damaged = bytearray(payload)
        for _ in range(rng.choice([1, 1, 2, 4])):
            damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
        return bytes(damaged)
    while True:
        root = [unpackb(payload, ext_hook=_Node)]
        _alter(root, rng)
        try:
            return packed(root[0])
        except TypeError:
            pass  # not what msgpack can hold, such as a number that became too large


def _alter(root: list[Any], rng: random.Random) -> None:
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        places = list(_places(root))
        container, place = rng.choice(places)
        value = container[place]
        how = rng.random()
        if how < 0.2 and container is not root:
            del container[place]
            if not container and type(container) is list:
                container.append(None)
        elif how < 0.4:
            other, elsewhere = rng.choice(places)
            container[place] = _copied(other[elsewhere])
        elif how < 0.6 and type(value) is bytes and value:
            damaged = bytearray(value)
            damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
            container[place] = bytes(damaged)
        elif how < 0.75 and type(value) is int:
            container[place] = max(-(2**63), min(2**63, rng.choice([value + 1, value - 1, -value, value * 1000])))
        else:
            container[place] = _copied(rng.choice(_OTHERS))


def _copied(tree: Any) -> Any:
    return unpackb(packed(tree), ext_hook=_Node)


def parts_of(payload: bytes) -> Iterator[Any]:
    """Yield the tree of a payload with one part left out, for every part."""
    count = len(list(_places([unpackb(payload, ext_hook=_Node)])))
    for number in range(1, count):
        root = [unpackb(payload, ext_hook=_Node)]
        container, place = list(_places(root))[number]
        if type(container) is list and len(container) == 1:
            container[0] = None
        else:
            del container[place]
        yield root[0]
