"""The slow path of a key: what ``packb`` refused, or would not write canonically, is walked in Python.

It serves keys of dicts that are no strings, lone surrogates, bytearrays and NaN, and it gives refusals their words.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from operator import itemgetter
from typing import Any

import ormsgpack
from ormsgpack import Ext, packb

from hitrate.content.rules import NAN, TREES, tree_for
from hitrate.errors import SerializationError
from hitrate.serde import packing
from hitrate.serde.containers import ODD_DICT
from hitrate.serde.registry import INNER, ITEMS, PAIRS
from hitrate.serde.rewriting import Walk, brief, why
from hitrate.serde.texts import is_text

OPTION = packing.OPTION | ormsgpack.OPT_SORT_KEYS

ADVICE = "Leave it out with ignore=, say with only= what counts, or use a key function of your own"
"""The end of a refusal: what those can do who choose the arguments."""

ADVICE_FOR_A_SCOPE = "Give what names it, as an id, in its place"
"""The end of the refusal of a scope, which has no fields to leave out."""


class KeyWalk(Walk):
    """The walk of the serializer, with the orders and the NaN of a key.

    Args:
        root: how the value is called in messages; empty for the arguments of a call, which have names.

    Attributes:
        why: what was wrong, once something was.
    """

    option = OPTION

    def __init__(self, root: str) -> None:
        super().__init__({}, root)
        self._advice = ADVICE_FOR_A_SCOPE if root else ADVICE
        self.why = ""

    def value(self, obj: Any) -> bytes:
        """Return the encoding of a value.

        Raises:
            TypeError: something in it cannot be part of a key.
        """
        return self._document(lambda: self._tree(obj))

    def call(self, parts: list[Any], first: int) -> bytes:
        """Return the encoding of the arguments of a call; raises as ``value`` does.

        Args:
            parts: a list of the arguments without a name, then dicts of those with one.
            first: the position of the first.
        """
        return self._document(lambda: self._call(parts, first))

    def _call(self, parts: list[Any], first: int) -> list[Any]:
        positional, *more = parts
        trees: list[Any] = [[self._at(f"args[{i}]", each) for i, each in enumerate(positional, first)]]
        for named in more:
            if all(map(is_text, named)):
                trees.append({name: self._at(name, each) for name, each in named.items()})
            else:
                trees.append(self._odd_dict(named))
        return trees

    def _document(self, tree: Callable[[], Any]) -> bytes:
        try:
            return packb(tree(), None, OPTION)
        except SerializationError as exc:
            raise TypeError(str(exc)) from exc.__cause__
        except Exception as exc:
            raise TypeError(f"{self._argument()} cannot be part of a key: {why(exc)}. {self._advice}") from exc

    def _tree(self, obj: Any) -> Any:
        cls = type(obj)
        if cls is float and obj != obj:
            return NAN
        if cls is list and {*map(type, obj)} == {float}:
            return [NAN if math.isnan(each) else each for each in obj]
        return super()._tree(obj)

    def _other(self, obj: Any) -> Any:
        tree = (TREES.get(type(obj)) or tree_for(type(obj)))(obj, self._pack)
        if type(tree) is not list:
            return tree
        if type(obj) is tuple:
            return [tree[0], *(self._at(f"[{i}]", each) for i, each in enumerate(obj))]
        mark, *content = tree
        return [mark, *(self._dict(each, ".{}") if type(each) is dict else self._tree(each) for each in content)]

    def _pack(self, state: Any, style: int = ITEMS, /) -> bytes:
        if style == PAIRS:
            tree: Any = self._pairs(state)
        else:
            tree = [self._tree(each) for each in state] if style == INNER else self._tree(state)
        return packb(tree, None, OPTION)

    def _odd_dict(self, obj: dict[Any, Any]) -> Any:
        items = []
        for key, value in obj.items():
            self._path.append(f".key({brief(key)})")
            items.append((self._pack(key), key, value))
            self._path.pop()
        # Values are encoded in the order of the keys, too, because a description numbers what it meets.
        parts = []
        for encoded, key, value in sorted(items, key=itemgetter(0)):
            self._path.append(f"[{brief(key)}]")
            parts += [encoded, self._pack(value)]
            self._path.pop()
        return Ext(ODD_DICT, b"".join(parts))

    def _error(self, obj: Any, why: str) -> SerializationError:
        self.why = why
        error = super()._error(obj, why)
        return SerializationError(
            f"{self._argument()} cannot be part of a key: {error.where} is of type {error.type_name}: {why}. "
            f"{self._advice}",
            where=error.where,
            type_name=error.type_name,
        )

    def _argument(self) -> str:
        root, *inner = self._path
        return root or f"the argument {inner[0] if inner else ''}"
