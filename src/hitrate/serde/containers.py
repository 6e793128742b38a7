"""Containers other than list and dict with text keys, which msgpack has of its own."""

from __future__ import annotations

from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable
from functools import partial
from typing import Any

from ormsgpack import unpackb

from hitrate.errors import DecodeError
from hitrate.serde.fractions_ import pack_noting, unpack_noting
from hitrate.serde.registry import Hook, Pack, Refused, listed, register

TUPLE = 2
ODD_DICT = 3
SET = 4
FROZENSET = 5
DEQUE = 6
ORDERED_DICT = 7
DEFAULT_DICT = 8
COUNTER = 9

# No msgpack document begins with this byte, so it marks a maxlen that comes first.
_BOUNDED = b"\xc1"

# A position in this list is part of the format: only ever append.
_FACTORIES: list[Any] = [
    *(None, list, dict, set, int, str, float, tuple, bytes, bool, frozenset, complex, bytearray),
    *(deque, OrderedDict, Counter, defaultdict, object),
]


# Elements of one hash are each compared with all before them. So many may share one as happens by chance, and not as
# happens on purpose; fewer where Python is run to compare them.
_ALIKE = 64
_SLOW_ALIKE = 32
# Up to so many elements of one hash, comparisons in C take hardly any time.
_FEW = 1000
_COMPARED_IN_C = frozenset({int, float, str, bytes, bool, type(None)})


def is_crowded(items: list[Any]) -> bool:
    """Tell whether so many elements share one hash that making a set of them takes quadratic time."""
    if len(items) <= _SLOW_ALIKE or _are_texts(items):
        return False
    if not _are_compared_in_c(items):
        return are_alike([*map(hash, items)])
    return len(items) > _FEW and are_alike([*map(hash, items)], _ALIKE)


def are_alike(hashes: list[int], allowed: int = _SLOW_ALIKE) -> bool:
    """Tell whether one of many hashes is there more often than is allowed."""
    # Equal hashes are equal ints, and so this set is made in linear time.
    if len(hashes) - len({*hashes}) < allowed:
        return False
    return max(Counter(hashes).values()) > allowed


def _are_compared_in_c(items: list[Any]) -> bool:
    return _COMPARED_IN_C.issuperset(map(type, items))


def _are_texts(items: list[Any]) -> bool:
    """Tell whether all are strings, whose hashes are random; three times as fast as looking at each type."""
    if type(items[0]) is not str or type(items[-1]) is not str:
        return False
    try:
        "".join(items)
    except TypeError:
        return False
    return True


def _decode_set(kind: Any, data: bytes, hook: Hook) -> Any:
    items, fractions = unpack_noting(data, hook)
    if are_alike(fractions) or is_crowded(listed(items)):
        raise DecodeError("too many elements of a stored set share one hash")
    made = kind(items)
    if len(made) != len(items):
        raise DecodeError("a stored set has the same element twice")
    return made


def pack_pairs(flat: list[Any], packed: Callable[[], bytes]) -> bytes:
    """Return the document of a dict.

    Args:
        flat: its keys and values in turn.
        packed: packs them; called again if there are more than a few fractions among them.
    """
    keys = flat[::2]
    if is_crowded(keys):
        raise Refused("too many of its keys share one hash")
    data, fractions = pack_noting(packed)
    if are_alike(fractions) and not _are_compared_in_c(keys):
        raise Refused("too many fractions in it share one hash")
    return data


def _encode_set(obj: Any, pack: Pack) -> bytes:
    items = [*obj]
    if is_crowded(items):
        raise Refused("too many of its elements share one hash")
    data, fractions = pack_noting(lambda: pack(items))
    if are_alike(fractions):
        raise Refused("too many fractions in it share one hash")
    return data


def _decode_odd_dict(data: bytes, hook: Hook) -> Any:
    flat, fractions = unpack_noting(data, hook)
    keys = listed(flat)[::2]
    if (are_alike(fractions) and not _are_compared_in_c(keys)) or is_crowded(keys):
        raise DecodeError("too many keys of a stored dict share one hash")
    parts = iter(flat)
    made = dict(zip(parts, parts, strict=True))
    if len(made) * 2 != len(flat):
        raise DecodeError("a stored dict has the same key twice")
    return made


def _encode_deque(obj: deque[Any], pack: Pack) -> bytes:
    packed = pack([*obj])
    return packed if obj.maxlen is None else _BOUNDED + obj.maxlen.to_bytes(8, "big") + packed


def _decode_deque(data: bytes, hook: Hook) -> Any:
    if not data.startswith(_BOUNDED):
        return deque(listed(unpackb(data, ext_hook=hook)))
    maxlen = int.from_bytes(data[1:9], "big")
    items = listed(unpackb(data[9:], ext_hook=hook))
    if len(items) > maxlen:
        raise DecodeError("a stored deque is longer than its maxlen")
    return deque(items, maxlen)


def _encode_mapping(obj: OrderedDict[Any, Any] | Counter[Any], pack: Pack) -> bytes:
    if vars(obj):
        raise Refused("it has attributes of its own besides its items")
    return pack(dict(obj))


def _decode_mapping(data: bytes, hook: Hook) -> dict[Any, Any]:
    items = unpackb(data, ext_hook=hook)
    if type(items) is not dict:
        raise DecodeError("a stored mapping is none")
    return items


def _decode_counter(data: bytes, hook: Hook) -> Any:
    made: Counter[Any] = Counter()
    # Not Counter.update, which adds: stored counts need not be numbers.
    dict.update(made, _decode_mapping(data, hook))
    return made


def _encode_default_dict(obj: defaultdict[Any, Any], pack: Pack) -> bytes:
    for position, factory in enumerate(_FACTORIES):
        if obj.default_factory is factory:
            return bytes([position]) + pack(dict(obj))
    raise Refused(f"its default_factory {obj.default_factory!r} is not one that can be stored")


def _decode_default_dict(data: bytes, hook: Hook) -> Any:
    return defaultdict(_FACTORIES[data[0]], _decode_mapping(data[1:], hook))


register(
    TUPLE,
    lambda data, hook: tuple(listed(unpackb(data, ext_hook=hook))),
    types=[tuple],
    encode=lambda obj, pack: pack([*obj]),
)
register(ODD_DICT, _decode_odd_dict)
register(SET, partial(_decode_set, set), types=[set], encode=_encode_set)
register(FROZENSET, partial(_decode_set, frozenset), types=[frozenset], encode=_encode_set)
register(
    ORDERED_DICT,
    lambda data, hook: OrderedDict(_decode_mapping(data, hook)),
    types=[OrderedDict],
    encode=_encode_mapping,
)
register(COUNTER, _decode_counter, types=[Counter], encode=_encode_mapping)
register(DEFAULT_DICT, _decode_default_dict, types=[defaultdict], encode=_encode_default_dict)
register(DEQUE, _decode_deque, types=[deque], encode=_encode_deque)
