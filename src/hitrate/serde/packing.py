"""The fast path: one ``packb`` for a whole document, one more for each object that msgpack does not know.

``packb`` and ``unpackb`` do the work; what they do not know comes to ``default`` and leaves as an extension whose
content is a document of its own. Every level of nesting has its own pair of functions, made beforehand, which is how
depth is bounded without counting.
"""

from __future__ import annotations

import gc
import re
import sys
import threading
from collections.abc import Callable
from typing import Any

import ormsgpack
from ormsgpack import Ext, packb, unpackb

from hitrate.errors import DecodeError
from hitrate.serde.depth import DOCUMENTS, FREE, is_within_bounds
from hitrate.serde.instances import CLASS, Classes
from hitrate.serde.registry import Decoders, Hook, Pack, Refused, Rules

OPTION = (
    ormsgpack.OPT_PASSTHROUGH_TUPLE
    | ormsgpack.OPT_PASSTHROUGH_SUBCLASS
    | ormsgpack.OPT_PASSTHROUGH_DATACLASS
    | ormsgpack.OPT_PASSTHROUGH_DATETIME
    | ormsgpack.OPT_PASSTHROUGH_ENUM
    | ormsgpack.OPT_PASSTHROUGH_UUID
    | ormsgpack.OPT_PASSTHROUGH_BIG_INT
)

# Types that packb writes without calling default, in a form that reads back as another type.
IMPOSTORS = frozenset({bytearray, memoryview, Ext, ormsgpack.Fragment})

_reason = threading.local()


def holds_impostor(root: Any) -> bool:
    """Tell whether a value that ``packb`` accepted holds a type that it silently wrote as another.

    Only what ``packb`` itself walked is looked at: lists and dicts. The rest came to ``default``.
    """
    return not IMPOSTORS.isdisjoint(_types_in(root))


def _types_in(root: Any) -> set[type]:
    """Return the types that a value holds in lists and dicts, as far as the first level with an impostor."""
    level: list[Any] = [root]
    types = {type(root)}
    found = set(types)
    while (list in types or dict in types) and types.isdisjoint(IMPOSTORS):
        inner: list[Any] = []
        for each in level:
            if type(each) is dict:
                inner += each.values()
            elif type(each) is list and not _is_floats(each):
                inner += each
        level = inner
        types = {*map(type, level)}
        found |= types
    return found


def _is_plain(root: Any) -> bool:
    """Tell that a value is plain data without bytearrays, twice as fast as ``holds_impostor``; False if unsure."""
    level = [root]
    types = {type(root)}
    while _REFERENTS_TELL and types <= _PLAIN:
        if list not in types and dict not in types:
            return True
        level = gc.get_referents(*level)
        types = {*map(type, level)}
    return False


_SCALARS = frozenset({type(None), bool, int, float, str, bytes})
_PLAIN = _SCALARS | {list, dict}


def _is_flat(root: Any) -> bool:
    """Tell that a value is a dict of plain data without anything further in."""
    return type(root) is dict and _SCALARS.issuperset(map(type, root.values()))


def _marks_are_no_items(packed: bytes) -> bool:
    """Tell that no item of a payload is bytes, though a byte that marks them is there; False if unsure.

    Its items are gone through from the first, up to the last of these marks.
    """
    end = max(packed.rfind(0xC4), packed.rfind(0xC5)) + 1
    items = _ITEMS.match(packed, 0, end + 8) if end < _NEAR else None
    return items is not None and items.end() >= end


_NEAR = 1024  # to go on takes longer than to walk through most values
# A text is its length and then its characters, which are taken for items of one byte, or of two where they have two. No
# character is taken for a longer item, for another byte comes second in such an item than in any character. Where a
# number could be mistaken for a character, or there is an extension, it ends.
_ITEMS = re.compile(
    rb"(?:[\x00-\xbf\xc0\xc2\xc3\xe0-\xff]+"
    rb"|[\xcb\xcf\xd3][^\x80-\xbf].{7}"
    rb"|[\xcc\xd0\xd9]."
    rb"|[\xcd\xd1\xda\xdc\xde][^\x80-\xbf]."
    rb"|[\xce\xd2\xdb\xdd\xdf][^\x80-\xbf].{3})*+",
    re.DOTALL,
)

# From Python 3.13 the collector does not see what the __dict__ of an instance holds.
_REFERENTS_TELL = sys.version_info < (3, 13)
_SMALL = 4096


def _is_floats(items: list[Any]) -> bool:
    """Tell, of a long list, whether it is all floats, three times as fast as by looking at each."""
    packed = pack_floats(items)
    return packed is not None and is_packed_floats(packed)


def pack_floats(items: list[Any]) -> bytes | None:
    """Pack a list that may be an embedding or the like: many floats and nothing else, as far as the length tells.

    Returns:
        The payload, of which ``is_packed_floats`` tells the truth; None if the list is something else.
    """
    count = len(items)
    if count < _FLOATS_AT_LEAST or type(items[0]) is not float or type(items[-1]) is not float:
        return None
    try:
        packed = packb(items, None, OPTION)
    except ormsgpack.MsgpackEncodeError:
        return None
    return packed if _is_as_long(packed, count) else None


def _is_as_long(packed: bytes, count: int) -> bool:
    """Tell whether a packed list of so many items is as long as one of floats."""
    return len(packed) == (3 if count < 65536 else 5) + 9 * count


def is_packed_floats(packed: bytes) -> bool:
    """Tell whether what ``pack_floats`` packed is all floats: if each so far was one, the next begins nine bytes on."""
    start = len(packed) % 9
    return packed[start::9] == b"\xcb" * (len(packed) // 9)


_FLOATS_AT_LEAST = 64


def packer(rules: Rules) -> Pack:
    """Return the function that packs a whole value by these rules."""
    default = _default(rules, _nested(rules, checked=False))
    default_checked = _default(rules, _nested(rules, checked=True))

    def pack_whole(state: Any, style: int = 0, /) -> bytes:
        packed = packb(state, default, OPTION)
        # Nested documents are part of these bytes. 196 to 198 mark bytes: without such a mark there is no bytearray.
        if not (196 in packed or 197 in packed or (len(packed) > 0xFFFF and 198 in packed)):
            return packed
        if type(state) is list and len(state) >= _FLOATS_AT_LEAST and _is_as_long(packed, len(state)):
            if is_packed_floats(packed):  # an embedding, whose numbers contain such bytes
                return packed
        elif len(packed) < _SMALL and (_is_flat(state) or _marks_are_no_items(packed) or _is_plain(state)):
            return packed
        types = _types_in(state)
        if not types.isdisjoint(IMPOSTORS):
            raise Refused("it holds a type that msgpack would silently change")
        return packed if types <= _PLAIN else packb(state, default_checked, OPTION)

    return pack_whole


def _nested(rules: Rules, *, checked: bool) -> Pack:
    """Return a function that packs what is nested in a value, looking for impostors in it or not."""

    def too_deep(state: Any, style: int = 0, /) -> bytes:
        raise Refused("it is nested too deeply")

    below: Pack = too_deep
    for level in range(DOCUMENTS, 0, -1):
        below = _level(_default(rules, below), level, checked=checked)
    return below


def _default(rules: Rules, below: Pack) -> Callable[[Any], Ext]:
    def default(obj: Any) -> Ext:
        code, encode = rules[type(obj)]
        return Ext(code, encode(obj, below))

    return default


def _level(default: Callable[[Any], Ext], level: int, *, checked: bool) -> Pack:
    bounded = level >= FREE

    def pack(state: Any, style: int = 0, /) -> bytes:
        return packb(state, default, OPTION)

    def pack_with_care(state: Any, style: int = 0, /) -> bytes:
        if checked and holds_impostor(state):
            raise Refused("it holds a type that msgpack would silently change")
        packed = packb(state, default, OPTION)
        if bounded and not is_within_bounds(packed, level):
            raise Refused("it is nested too deeply, or too deeply for its size")
        return packed

    return pack_with_care if checked or bounded else pack


def unpacker(decoders: Decoders, classes: Classes) -> Hook:
    """Return the extension hook for a whole value, which reads by these decoders and restores these classes."""

    def too_deep(code: int, data: bytes) -> Any:
        raise DecodeError("it is nested too deeply")

    below: Hook = too_deep
    for level in range(DOCUMENTS, 0, -1):
        below = _unpacker(decoders, classes, below)
        if level >= FREE:
            below = _bounded(below, level)
    return below


def _unpacker(decoders: Decoders, classes: Classes, below: Hook) -> Hook:
    restore_anew, get_known, get_module = classes.restore, classes.known.get, sys.modules.get

    def hook(code: int, data: bytes) -> Any:
        try:
            if code != CLASS:
                return decoders[code](data, below)
            # Written out here because it is most of what a hit on a LangChain message costs.
            state = unpackb(data, ext_hook=below)
            known = get_known(state[0])
            if known is not None:
                module_name, module, get_class, name, cls, restore = known
                if get_module(module_name) is module and get_class(name) is cls:
                    return restore(state)
            return restore_anew(state)
        except Exception as exc:
            _remember(exc)
            raise

    return hook


def _bounded(hook: Hook, level: int) -> Hook:
    def bounded(code: int, data: bytes) -> Any:
        if not is_within_bounds(data, level):
            error = DecodeError("it is nested too deeply, or too deeply for its size")
            _remember(error)
            raise error
        return hook(code, data)

    return bounded


def _remember(exc: Exception) -> None:
    # unpackb drops what its hook raises, so the reason is kept here; the innermost one explains.
    if str(exc) != "ext_hook failed":
        _reason.error = exc


def decode_error(exc: Exception) -> DecodeError:
    """Return what a reader is told about an exception that came out of decoding."""
    reason = _reason.__dict__.pop("error", exc)
    return DecodeError(f"the stored bytes cannot be restored: {reason}")
