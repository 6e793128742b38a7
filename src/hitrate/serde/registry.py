"""The table of what can be stored: for each type how it is written, for each extension code how it is read.

A family of types is one file that calls ``register`` (types with an encoding of their own) or ``register_classes``
(user classes, restored by name) when it is imported. Families of optional libraries are imported only once the program
itself has imported that library: nothing that is read from a store can cause an import.

In all of them, what writes raises ``Refused`` for a value that it cannot keep exactly. What reads is given bytes of any
author: it raises ``DecodeError`` for what no encoder wrote, or lets out what the library's own checks raise.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

from ormsgpack import unpackb

from hitrate.errors import DecodeError

if TYPE_CHECKING:
    from hitrate.serde.forms import Form

UNKNOWN = "no exact encoding is known for it (hitrate.serde.register teaches one for a class of your own)"

# How the parts of an encoder's state are named in error messages (the slow path of packing builds the paths).
ITEMS = 0  # a list is indexed, a dict is keyed, as the user sees them
INNER = 1  # the list is the encoder's own; its elements are named by what they are
FIELDS = 2  # like INNER; the dicts in the list hold attributes
PAIRS = 3  # a flat list of key, value, key, value


class Pack(Protocol):
    """Turns a plain list or dict, whose content may be any storable value, into msgpack one level further in."""

    def __call__(self, state: Any, style: int = ITEMS, /) -> bytes: ...


Hook = Callable[[int, bytes], Any]
Encode = Callable[[Any, Pack], bytes]
Decode = Callable[[bytes, Hook], Any]
Rule = tuple[int, Encode]
Rules = Mapping[type, Rule]
"""How each type is written; to look up one that cannot be stored raises ``Refused``."""
Decoders = Mapping[int, Decode]
"""How each extension code is read; to look up one that is not known raises."""


class Refused(Exception):
    """An encoder cannot store this object exactly; the slow path turns it into a ``SerializationError`` with a path."""


ENCODERS: dict[type, Rule] = {}
DECODERS: dict[int, Decode] = {}
FINDERS: list[Callable[[type], Rule | None]] = []
"""Find the encoding of a type that has no entry above: one made at run time, or taught by the program."""
FAMILIES: list[Callable[[type], Form | None]] = []

_CORE = (
    *("containers", "scalars", "fractions_", "times", "texts", "addresses", "namedtuples", "enums", "references"),
    "struct_sequences",
    # A dataclass that derives from a built-in type is first of all one of that type.
    *("subclasses", "exceptions", "wrappers", "dataclasses_", "taught"),
)
_OPTIONAL = {
    "numpy": "numpy_",
    "numpy.ma": "masked",
    "pandas": "pandas_",
    "polars": "polars_",
    "pydantic_core": "urls",
    "pydantic": "pydantic_",
    "langgraph.types": "langgraph_",
    "langgraph.store.base": "store_items",
    "attr": "attrs_",
    "msgspec": "msgspec_",
    "uuid_utils": "uuid_utils_",
    "pytz": "pytz_",
    "dateutil.tz": "dateutil_",
    "dateutil.relativedelta": "relativedelta_",
    "httpx": "httpx_",
}
_tried: set[str] = set()
LOADED: set[str] = set()
"""The optional libraries whose types are known."""
_log = logging.getLogger("hitrate")


def register(code: int, decode: Decode, *, types: Iterable[type] = (), encode: Encode | None = None) -> None:
    """Add an encoding.

    Args:
        code: its extension code, 1 to 127; part of the format, never to be given to another encoding.
        decode: makes the value of the bytes; the hook is what it passes to ``unpackb`` for nested content.
        types: the exact types that ``encode`` writes; subclasses are not included.
        encode: makes the bytes of a value, raising ``Refused`` when it cannot be exact.

    Raises:
        ValueError: the code is taken.
    """
    if code in DECODERS:
        raise ValueError(f"extension code {code} is taken")
    DECODERS[code] = decode
    if encode is not None:
        for each in types:
            ENCODERS[each] = (code, encode)


def of_parts(make: Callable[..., Any]) -> Decode:
    """Return what reads an encoding whose content is a list: the function is given the parts in it."""

    @wraps(make)
    def decode(data: bytes, hook: Hook) -> Any:
        return make(*listed(unpackb(data, ext_hook=hook)))

    return decode


def register_classes(form_of: Callable[[type], Form | None]) -> None:
    """Add a family of user classes: a function that returns the form of a class, or None if it is of another.

    Which family a class is of does not depend on what was imported first: those of the standard library are asked in
    the order of ``_CORE``, before all others.
    """
    FAMILIES.append(form_of)
    FAMILIES.sort(key=lambda each: _rank(each.__module__.rpartition(".")[2]))


def _rank(module: str) -> int:
    return _CORE.index(module) if module in _CORE else len(_CORE)


def discover() -> bool:
    """Import the families whose library the program has imported; return whether there was one."""
    found = False
    for library, module in _OPTIONAL.items():
        if library not in _tried and library in sys.modules:
            if getattr(getattr(sys.modules[library], "__spec__", None), "_initializing", False):
                continue  # it is being imported at this moment
            try:
                import_module(f"hitrate.serde.{module}")
                LOADED.add(library)
                found = True
            except (ImportError, AttributeError, TypeError, ValueError) as exc:
                # A release of the library that we do not know must not keep all other types from being stored.
                _log.warning("types of %s are not stored: this release of it is not supported (%s)", library, exc)
            _tried.add(library)
    return found


def load_core() -> None:
    """Import the families of the standard library."""
    for module in _CORE:
        import_module(f"hitrate.serde.{module}")


def rule_of(cls: type) -> Rule | None:
    """Return how a type with an encoding of its own is written; None for user classes, which are restored by name."""
    discover()
    return ENCODERS.get(cls) or next((rule for find in FINDERS if (rule := find(cls)) is not None), None)


def form_of(cls: type) -> Form:
    """Return the form of a user class."""
    discover()
    for form_in_family in FAMILIES:
        form = form_in_family(cls)
        if form is not None:
            return form
    raise Refused(UNKNOWN)


def made_again(make: Callable[..., Any], *parts: Any) -> Any:
    """Return what will be restored of the parts of a value that is to be stored; None if that is refused."""
    try:
        return make(*parts)
    except (DecodeError, TypeError, ValueError, LookupError):
        return None


def listed(value: Any) -> list[Any]:
    """Return the value if it is a list, as every encoder's state is on the wire."""
    if type(value) is not list:
        raise DecodeError("the stored bytes do not have the shape of their encoding")
    return value
