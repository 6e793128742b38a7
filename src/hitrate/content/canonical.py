"""The canonical encoding: values that are equal in content and type become the same bytes, all others different ones.

It is msgpack: every document tells its own length, so no two meet. Dicts with text keys are maps in the order of
their keys' bytes; what msgpack lacks is an extension with the serializer's code, or an array that begins with one. As
in the serializer ``packb`` does nearly all, and what it refuses is walked in Python, to the same bytes.
"""

from __future__ import annotations

import re
from typing import Any

from ormsgpack import packb

from hitrate.content.rules import TREES, tree_for
from hitrate.content.walking import OPTION, KeyWalk
from hitrate.serde.packing import holds_impostor
from hitrate.serde.registry import Refused

_search_nan = re.compile(rb"\xcb[\x7f\xff][\xf0-\xff]").search
_get = TREES.get


def encode(obj: Any, root: str) -> bytes:
    """Return the encoding of one value; ``root`` is how messages call it.

    Raises:
        TypeError: something in it cannot be part of a key; the message names its place and type.
    """
    return encode_fast(obj) or KeyWalk(root).value(obj)


def encode_call(parts: list[Any], first: int) -> bytes:
    """Return the encoding of the arguments of a call.

    Args:
        parts: a list of the positional arguments that have no name, a dict of the others, and if there are any, a dict
            of the keyword arguments that have the name of one of those.
        first: the position of the first of the positional ones, for messages.

    Raises:
        TypeError: something in them cannot be part of a key; the message names its place and type.
    """
    return encode_fast(parts) or KeyWalk("").call(parts, first)


def encode_fast(obj: Any) -> bytes | None:
    """Return the encoding as ``packb`` makes it, None if that may not be the canonical one."""
    try:
        packed = packb(obj, _default, OPTION)
        # 196, 197 and 198 mark bytes; without a mark there are none, and so no bytearray.
        if 196 in packed or 197 in packed or (len(packed) > 0xFFFF and 198 in packed):
            if holds_impostor(obj):
                return None
            if any(map(packed.__contains__, _EXTENDED)):
                packb(obj, _default_with_care, OPTION)
        # These bytes look like a double with all exponent bits set: a NaN, an infinity or other data. The walk decides.
        if 0xCB in packed and _search_nan(packed) is not None:
            return None
    except Exception:
        # The walk comes upon the same value, and its message names the place.
        return None
    return packed


_EXTENDED = frozenset(range(0xC7, 0xCA)) | frozenset(range(0xD4, 0xD9))
"""What marks an extension: without one, ``packb`` has seen all there is."""


def _default(obj: Any) -> Any:
    return (_get(type(obj)) or tree_for(type(obj)))(obj, _pack)


def _pack(state: Any, style: int = 0, /) -> bytes:
    return packb(state, _default, OPTION)


def _default_with_care(obj: Any) -> Any:
    tree = (_get(type(obj)) or tree_for(type(obj)))(obj, _pack_with_care)
    if type(tree) is list and holds_impostor(tree[1:]):
        raise Refused("it holds a type that msgpack would silently change")
    return tree


def _pack_with_care(state: Any, style: int = 0, /) -> bytes:
    if holds_impostor(state):
        raise Refused("it holds a type that msgpack would silently change")
    return packb(state, _default_with_care, OPTION)
