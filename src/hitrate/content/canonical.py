"""The canonical encoding: values that are equal in content and type become the same bytes, all others different ones.

It is msgpack: every document tells its own length, so no two meet. Dicts with text keys are maps in the order of
their keys' bytes; what msgpack lacks is an extension, with the serializer's codes. As in the serializer, ``packb``
does nearly all, and what it refuses is walked in Python, to the same bytes.
"""

from __future__ import annotations

import math
import re
import struct
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

import ormsgpack
from ormsgpack import Ext, packb

from hitrate.content.classes import Selected, instance_encoder
from hitrate.errors import SerializationError
from hitrate.serde import packing
from hitrate.serde.classes import CLASS
from hitrate.serde.containers import ODD_DICT
from hitrate.serde.packing import packer
from hitrate.serde.registry import ENCODERS, FIELDS, Encode, Pack, Rule, discover, load_core
from hitrate.serde.rewriting import Walk, brief, is_text, why

LEFT_OUT_CODE = 100
"""Stands in the place of an argument or item of which nothing was kept."""

OPTION = packing.OPTION | ormsgpack.OPT_SORT_KEYS
NAN: float = struct.unpack(">d", b"\x7f\xf8\0\0\0\0\0\0")[0]

# A double of all exponent bits. It may also be an infinity, or bytes of something else: the walk knows.
_may_be_nan = re.compile(rb"\xcb[\x7f\xff][\xf0-\xff]").search

OVERRIDES: dict[type, Encode] = {}
"""How types are written whose stored form is not canonical; by the serializer's code."""

_ADVICE = "Leave it out with ignore=, say with only= what counts, or use a key function of your own"

_OPTIONAL = {"numpy": "arrays"}
_rules: dict[type, Rule] = {}


class LeftOut:
    """See ``LEFT_OUT_CODE``."""

    __slots__ = ()


LEFT_OUT = LeftOut()


def rule_for(cls: type) -> Rule:
    """Find how a type is written, and remember it.

    Raises:
        Refused: it cannot be part of a key.
    """
    load_core()
    discover()
    import_module("hitrate.content.plain")
    for library, module in _OPTIONAL.items():
        if library in sys.modules:
            import_module(f"hitrate.content.{module}")
    rule = ENCODERS.get(cls)
    if rule is None:
        rule = (CLASS, instance_encoder(cls))
    elif cls in OVERRIDES:
        rule = (rule[0], OVERRIDES[cls])
    _rules[cls] = rule
    return rule


def _encode_selected(obj: Any, pack: Pack) -> bytes:
    return pack(obj.state, FIELDS)


_rules[Selected] = (CLASS, _encode_selected)
_rules[LeftOut] = (LEFT_OUT_CODE, lambda obj, pack: b"")

_pack = packer(_rules, rule_for, OPTION)


def encode(obj: Any, root: str) -> bytes:
    """Return the encoding of one value.

    Args:
        obj: the value.
        root: how it is called in messages.

    Raises:
        TypeError: something in it cannot be part of a key; the message names its place and type.
    """
    try:
        packed = _pack(obj)
        if _may_be_nan(packed) is None:
            return packed
    except Exception:  # noqa: S110 - the walk finds it again, and says where
        pass
    walk = KeyWalk(_rules, rule_for, OPTION, root)
    return walk.document(lambda: walk.tree(obj))


def encode_call(parts: list[Any], first: int) -> bytes:
    """Return the encoding of the arguments of a call.

    Args:
        parts: a list of the positional arguments that have no name, a dict of the others, and if there are any, a dict
            of the keyword arguments that have the name of one of those.
        first: the position of the first of the positional ones, for messages.

    Raises:
        TypeError: something in them cannot be part of a key; the message names its place and type.
    """
    try:
        packed = _pack(parts)
        if _may_be_nan(packed) is None:
            return packed
    except Exception:  # noqa: S110 - the walk finds it again, and says where
        pass
    walk = KeyWalk(_rules, rule_for, OPTION, "")
    return walk.document(lambda: walk.call(parts, first))


class KeyWalk(Walk):
    """The walk of the serializer, with the orders and the NaN of a key."""

    def document(self, tree: Callable[[], Any]) -> bytes:
        """Return the encoding of what a function makes; raises as ``encode`` does."""
        try:
            return packb(tree(), None, OPTION)
        except SerializationError as exc:
            raise TypeError(str(exc)) from exc.__cause__
        except Exception as exc:
            raise TypeError(f"{self._argument()} cannot be part of a key: {why(exc)}. {_ADVICE}") from exc

    def call(self, parts: list[Any], first: int) -> list[Any]:
        """Return the tree of a call, in which each argument is called by its position or name."""
        positional, *more = parts
        trees: list[Any] = [[self._at(f"args[{i}]", each) for i, each in enumerate(positional, first)]]
        for named in more:
            if all(map(is_text, named)):
                trees.append({name: self._at(name, each) for name, each in named.items()})
            else:
                trees.append(self._odd_dict(named))
        return trees

    def tree(self, obj: Any) -> Any:
        """Return what ``packb`` accepts in the place of a value."""
        return self._tree(obj)

    def _tree(self, obj: Any) -> Any:
        cls = type(obj)
        if cls is float and obj != obj:
            return NAN
        if cls is list and {*map(type, obj)} == {float}:
            return [NAN if math.isnan(each) else each for each in obj]
        return super()._tree(obj)

    def _odd_dict(self, obj: dict[Any, Any]) -> Any:
        pairs = []
        for key, value in obj.items():
            self._path.append(f".key({brief(key)})")
            encoded_key = self._pack(key)
            self._path[-1] = f"[{brief(key)}]"
            pairs.append((encoded_key, self._pack(value)))
            self._path.pop()
        return Ext(ODD_DICT, b"".join(key + value for key, value in sorted(pairs)))

    def _error(self, obj: Any, why: str) -> SerializationError:
        error = super()._error(obj, why)
        return SerializationError(
            f"{self._argument()} cannot be part of a key: {error.where} is of type {error.type_name}: {why}. {_ADVICE}",
            where=error.where,
            type_name=error.type_name,
        )

    def _argument(self) -> str:
        root, *inner = self._path
        return root or f"the argument {inner[0] if inner else ''}"
