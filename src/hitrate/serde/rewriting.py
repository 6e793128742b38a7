"""The slow path: what ``packb`` refused is walked in Python and rewritten into what it accepts.

It serves the rare values that msgpack cannot hold as they are (keys that are no strings, lone surrogates, a bytearray),
and it is where refusals get their words: only here is it known which part of the value an encoder was looking at.
"""

from __future__ import annotations

import reprlib
from collections import deque
from collections.abc import Callable
from typing import Any

from ormsgpack import Ext, packb

from hitrate.errors import SerializationError, words_of
from hitrate.keys import encode_text
from hitrate.serde.containers import ODD_DICT, pack_pairs
from hitrate.serde.depth import DOCUMENTS, is_within_bounds
from hitrate.serde.packing import OPTION
from hitrate.serde.registry import FIELDS, INNER, ITEMS, PAIRS, Refused, Rules
from hitrate.serde.texts import SURROGATES, is_text

# Channels of LangGraph's own: what a task returns, a state that is no dict, and what edges send.
_LANGGRAPHS_OWN = {"__return__": "result", "__root__": "state", "__pregel_tasks": "Send"}
# The slots of the C type itself: a metaclass cannot interfere.
_module_of: Callable[[type], str] = vars(type)["__module__"].__get__
_name_of: Callable[[type], str] = vars(type)["__qualname__"].__get__

_AS_IS = frozenset({type(None), bool, float, bytes})


def rewrite(obj: Any, rules: Rules) -> bytes:
    """Return the payload of a value, as the fast path would have made it if it could.

    Raises:
        SerializationError: something in the value cannot be stored exactly.
    """
    try:
        return Walk(rules).payload(obj)
    except SerializationError:
        # What a LangGraph node leaves: the part of the state that cannot be stored is better named by its channel.
        if type(obj) is deque and all(map(_is_write, obj)):
            for channel, value in obj:
                root = _LANGGRAPHS_OWN.get(channel) or f"state[{brief(channel)}]"
                Walk(rules, root).payload(value)
        raise


def _is_write(item: Any) -> bool:
    return type(item) is tuple and len(item) == 2 and type(item[0]) is str


class Walk:
    """A walk through one value, with the path to where it is.

    Args:
        rules: how each type is written.
        root: how the value is called in messages.

    Attributes:
        option: what ``packb`` is told.
    """

    option = OPTION

    def __init__(self, rules: Rules, root: str = "value") -> None:
        self._rules = rules
        self._root = root
        self._path = [root]
        self._above: set[int] = set()
        self._level = 0

    def payload(self, obj: Any) -> bytes:
        """Return the document of a value; a SerializationError says what in it cannot be written."""
        try:
            return packb(self._tree(obj), None, self.option)
        except SerializationError:
            raise
        except Exception as exc:
            # A value nested too deeply for packb, or for the walk itself.
            self._path = [self._root]
            raise self._error(obj, why(exc)) from exc

    def _tree(self, obj: Any) -> Any:
        cls = type(obj)
        if cls in _AS_IS:
            return obj
        if cls is str:
            return obj if is_text(obj) else Ext(SURROGATES, encode_text(obj))
        if cls is int and -(2**63) <= obj < 2**64:
            return obj
        if id(obj) in self._above:
            raise self._error(obj, "it contains itself")
        self._above.add(id(obj))
        try:
            if cls is list:
                return [self._at(f"[{i}]", each) for i, each in enumerate(obj)]
            if cls is dict:
                return self._dict(obj, "[{}]")
            return self._other(obj)
        except (SerializationError, RecursionError):
            raise
        except Exception as exc:
            raise self._error(obj, why(exc)) from exc
        finally:
            self._above.discard(id(obj))

    def _other(self, obj: Any) -> Any:
        code, encode = self._rules[type(obj)]
        return Ext(code, encode(obj, self._pack))

    def _dict(self, obj: dict[Any, Any], label: str) -> Any:
        if all(type(key) is str and is_text(key) for key in obj):
            if label == ".{}":
                return {key: self._at(f".{key}", each) for key, each in obj.items()}
            return {key: self._at(f"[{brief(key)}]", each) for key, each in obj.items()}
        return self._odd_dict(obj)

    def _odd_dict(self, obj: dict[Any, Any]) -> Any:
        flat = [part for pair in obj.items() for part in pair]
        return Ext(ODD_DICT, pack_pairs(flat, lambda: self._pack(flat, PAIRS)))

    def _pack(self, state: Any, style: int = ITEMS, /) -> bytes:
        """Pack an encoder's state, naming its parts in its style."""
        self._level += 1
        if self._level > DOCUMENTS:
            raise Refused("it is nested too deeply")
        if style == ITEMS:
            tree = self._tree(state)
        elif style == PAIRS:
            tree = self._pairs(state)
        elif style == INNER:
            tree = [self._tree(each) for each in state]
        else:
            assert style == FIELDS
            tree = [self._dict(each, ".{}") if type(each) is dict else self._tree(each) for each in state]
        packed = packb(tree, None, OPTION)
        if not is_within_bounds(packed, self._level):
            raise Refused("it is nested too deeply, or too deeply for its size")
        self._level -= 1
        return packed

    def _pairs(self, flat: list[Any]) -> list[Any]:
        return [
            self._at(f"[{brief(flat[i - 1])}]" if i % 2 else f".key({brief(each)})", each)
            for i, each in enumerate(flat)
        ]

    def _at(self, label: str, obj: Any) -> Any:
        self._path.append(label)
        tree = self._tree(obj)
        self._path.pop()
        return tree

    def _error(self, obj: Any, why: str) -> SerializationError:
        cls = type(obj)
        name = f"{_module_of(cls)}.{_name_of(cls)}"
        where = "".join(self._path)
        if len(where) > 400:
            where = f"{where[:200]}...{where[-200:]}"
        return SerializationError(
            f"cannot store {where} exactly: {name}: {why}. Convert it before it is cached, or leave it out",
            where=where,
            type_name=name,
        )


def brief(key: object) -> str:
    try:
        return reprlib.repr(key)
    except Exception:
        return type(key).__qualname__


def why(exc: Exception) -> str:
    words = words_of(exc)
    if isinstance(exc, RecursionError) or "Recursion limit" in words:
        return "it is nested too deeply"
    return words or f"it raised {type(exc).__name__} when it was read"
