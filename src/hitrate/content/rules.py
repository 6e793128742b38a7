"""The table of how each type is written in a key: the serializer's, where its form is canonical, and our own."""

from __future__ import annotations

import struct
from collections.abc import Callable
from importlib import import_module
from typing import Any

from ormsgpack import Ext

from hitrate.content.classes import state_of
from hitrate.serde.containers import TUPLE
from hitrate.serde.registry import LOADED, Encode, Pack, Refused, load_core, rule_of
from hitrate.serde.taught import TAUGHT, encode_key

TreeOf = Callable[[Any, Pack], Any]
"""Returns what stands for an object: an extension, or a list that begins with one and goes on with any values."""

TREES: dict[type, TreeOf] = {}
OVERRIDES: dict[type, Encode] = {}
"""How types are written whose stored form is not canonical; with the serializer's code."""

NAN: float = struct.unpack(">d", b"\x7f\xf8\0\0\0\0\0\0")[0]
"""The NaN that stands for all NaNs."""

_DESCRIBED = ("class_objects", "named", "functions")
_OPTIONAL = {"numpy": "arrays", "numpy.ma": "masked", "pandas": "pandas_frames", "polars": "polars_frames"}
_TUPLE = Ext(TUPLE, b"")


def tree_for(cls: type) -> TreeOf:
    """Find how a type is written, and remember it.

    Raises:
        Refused: it cannot be part of a key.
    """
    load_core()
    rule = rule_of(cls)
    import_module("hitrate.content.plain")
    for library, module in _OPTIONAL.items():
        if library in LOADED:
            import_module(f"hitrate.content.{module}")
    if rule is not None and rule[0] == TAUGHT:
        return TREES.setdefault(cls, _extension(TAUGHT, encode_key))
    *of_types, of_functions = (import_module(f"hitrate.content.{module}") for module in _DESCRIBED)
    if cls in TREES:
        return TREES[cls]
    for each in of_types:
        made = each.rule_for(cls)
        if made is not None:
            return TREES.setdefault(cls, made)
    if rule is not None:
        return TREES.setdefault(cls, _extension(rule[0], OVERRIDES.get(cls, rule[1])))
    try:
        made = of_functions.with_class(cls, state_of(cls))
    except Refused:
        made = of_functions.rule_for(cls)
        if made is None:
            raise
    return TREES.setdefault(cls, made)


def _extension(code: int, encode: Encode) -> TreeOf:
    def tree(obj: Any, pack: Pack) -> Any:
        return Ext(code, encode(obj, pack))

    return tree


TREES[tuple] = lambda obj, pack: [_TUPLE, *obj]
