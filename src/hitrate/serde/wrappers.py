"""Wrappers of the standard library around a dict, a list or a str, and arrays of machine numbers."""

from __future__ import annotations

import array
import gc
import sys
import types
from collections import ChainMap, UserDict, UserList, UserString
from functools import partial
from typing import Any

from hitrate.errors import DecodeError
from hitrate.serde.attributes import check_names
from hitrate.serde.classes import ancestry
from hitrate.serde.dataclasses_ import checked, plain_form
from hitrate.serde.forms import Form
from hitrate.serde.registry import INNER, Hook, Pack, Refused, of_parts, register, register_classes

PROXY = 11
MACHINE_ARRAY = 12

_DATA: dict[type, type] = {UserDict: dict, UserList: list, UserString: str}
_MAPPINGS = (dict, UserDict, ChainMap, types.MappingProxyType)
# Without "u", whose elements need not be valid characters.
_TYPECODES = "bBhHiIlLqQfd"


def _form(cls: type) -> Form | None:
    if cls is types.SimpleNamespace:
        return Form(cls, ["namespace"], lambda obj, mark: [mark, obj.__dict__], _restore_namespace, open=True)
    for base, kind in _DATA.items():
        if base in ancestry(cls):
            form = plain_form(cls, [base.__name__], declared=["data"], open=cls is base)
            return checked(form, partial(_wraps, kind), f"its data is no {kind.__name__}")
    if ChainMap in ancestry(cls):
        form = plain_form(cls, ["ChainMap"], declared=["maps"], open=cls is ChainMap)
        return checked(form, _wraps_mappings, "its maps are no list of mappings")
    return None


def _wraps(kind: type, obj: Any) -> bool:
    return issubclass(type(obj.__dict__["data"]), kind)


def _wraps_mappings(obj: Any) -> bool:
    maps = obj.__dict__["maps"]
    return type(maps) is list and bool(maps) and all(map(_is_mapping, maps))


def _is_mapping(value: Any) -> bool:
    return issubclass(type(value), _MAPPINGS)


def _restore_namespace(state: list[Any]) -> Any:
    _, attributes = state
    check_names(attributes)
    made = types.SimpleNamespace()
    made.__dict__.update(attributes)
    return made


def _proxy_of(mapping: Any) -> Any:
    if not _is_mapping(mapping):
        raise DecodeError("a stored view of a mapping is of none")
    return types.MappingProxyType(mapping)


def _encode_machine_array(obj: Any, pack: Pack) -> bytes:
    if obj.typecode not in _TYPECODES:
        raise Refused(f"its typecode {obj.typecode!r} is not one that can be stored")
    if sys.byteorder != "little":
        obj = obj[:]
        obj.byteswap()
    return f"{obj.typecode}{obj.itemsize}".encode() + bytes(obj.tobytes())


def _decode_machine_array(data: bytes, hook: Hook) -> Any:
    typecode = chr(data[0])
    if typecode not in _TYPECODES:
        raise DecodeError("a stored array has no known typecode")
    made = array.array(typecode)
    if data[1:2] != b"%d" % made.itemsize:
        raise DecodeError("the elements of a stored array have another size on this machine")
    made.frombytes(data[2:])
    if sys.byteorder != "little":
        made.byteswap()
    return made


register(
    PROXY,
    of_parts(_proxy_of),
    types=[types.MappingProxyType],
    # There is no other access to the mapping that a proxy is a view of.
    encode=lambda obj, pack: pack(gc.get_referents(obj), INNER),
)
register(MACHINE_ARRAY, _decode_machine_array, types=[array.array], encode=_encode_machine_array)
register_classes(_form)
