"""Types that a program teaches: by a name it registers, and functions of its own.

Stored is the name and the state that ``dump`` returned. What reads it is the function that this process registered
under that name; stored bytes choose among these and nothing else.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from hitrate.errors import DecodeError, raised
from hitrate.serde.registry import FINDERS, INNER, Decode, Pack, Refused, Rule, form_of, load_core, of_parts, rule_of

TAUGHT = 64  # one code for all of them


T = TypeVar("T")


class _Taught(NamedTuple):
    cls: type
    name: str
    dump: Callable[[Any], Any]
    load: Callable[[Any], Any]
    key: Callable[[Any], Any]


# Only ever replaced entry by entry under the lock; read without it.
_by_class: dict[type, _Taught] = {}
_by_name: dict[str, _Taught] = {}
_lock = threading.Lock()


def register(
    cls: type[T],
    *,
    name: str,
    dump: Callable[[T], Any],
    load: Callable[[Any], T],
    key: Callable[[T], Any] | None = None,
) -> None:
    """Teach a class to every cache, serializer and key of this process, those that exist already included.

    Do so where the class is defined, so that every process that uses it has it: in one that has not, what was stored
    is a miss. ``load`` is this program's own code, found by a name that this program registered, and is given what is
    stored: if others can write to the store, it has to check that before it makes an object of it.

    Args:
        cls: the class; instances of its subclasses are not included.
        name: what its instances are stored under, such as ``"shop.Money"``; it is part of the stored data, and of keys.
        dump: returns the state of an instance: any value that can be stored, instances of taught classes included. It
            must not change the instance.
        load: returns an instance of such a state.
        key: returns what counts of an instance in keys; ``dump`` if it is not given.

    Raises:
        TypeError: an argument is of the wrong type.
        ValueError: the name is another class's, the class has another name, or it is stored without being taught.
    """
    if not isinstance(cls, type):
        raise TypeError(f"a class is registered, not {cls!r}")
    if not isinstance(name, str):
        raise TypeError(f"the name of a registered class is a str, not {type(name).__name__}")
    if not name or len(name) > 200 or not name.isprintable():
        raise ValueError(f"the name {name[:200]!r} is not 1 to 200 printable characters")
    for what, function in (("dump", dump), ("load", load), ("key", dump if key is None else key)):
        if not callable(function):
            raise TypeError(f"{what} is a function, not {type(function).__name__}")
    load_core()
    with _lock:
        taken, known = _by_name.get(name), _by_class.get(cls)
        if taken is not None and taken.cls is not cls and not _is_redefined(taken.cls, cls):
            raise ValueError(f"the name {name!r} is registered for {_title(taken.cls)}: give {_title(cls)} another one")
        if known is not None and known.name != name:
            raise ValueError(f"{_title(cls)} is registered under the name {known.name!r}")
        if known is None and _is_stored_anyway(cls):
            raise ValueError(f"{_title(cls)} is stored without being registered")
        if taken is not None:
            _by_class.pop(taken.cls, None)
        made = _Taught(cls, name, dump, load, dump if key is None else key)
        _by_class[cls] = _by_name[name] = made


def _is_redefined(old: type, new: type) -> bool:
    """Tell whether a class was defined anew, as when a module is reloaded or a cell of a notebook run again."""
    return (old.__module__, old.__qualname__) == (new.__module__, new.__qualname__)


def _is_stored_anyway(cls: type) -> bool:
    if cls in (object, str, bytes, int, float, bool, list, dict, type(None)) or rule_of(cls) is not None:
        return True
    try:
        form_of(cls)
    except Refused:
        return False
    return True


def _title(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"


def _find(cls: type) -> Rule | None:
    return (TAUGHT, _encode) if cls in _by_class else None


def _of(obj: Any) -> _Taught:
    taught = _by_class.get(type(obj))
    if taught is None:
        raise Refused("its class was defined anew since, and the name it had is now that of the new one")
    return taught


def _state(function: Callable[[Any], Any], obj: Any, what: str) -> Any:
    try:
        return function(obj)
    except RecursionError:
        raise
    except Exception as exc:
        raise Refused(f"the {what} function registered for it raised {raised(exc)}") from exc


def _encode(obj: Any, pack: Pack) -> bytes:
    taught = _of(obj)
    return pack([taught.name, _state(taught.dump, obj, "dump")], INNER)


def encode_key(obj: Any, pack: Pack) -> bytes:
    """Return what stands for an instance in a key."""
    taught = _of(obj)
    return pack([taught.name, _state(taught.key, obj, "key")], INNER)


def decoder(allowed: frozenset[type] | None) -> Decode:
    """Return the decoder of a serializer that restores only these classes, all of them for None."""

    @of_parts
    def decode(name: Any, state: Any) -> Any:
        taught = _by_name.get(name) if type(name) is str else None
        if taught is None:
            raise DecodeError(f"this process has registered no class under the name {name!r:.200}")
        if allowed is not None and taught.cls not in allowed:
            raise DecodeError(f"{_title(taught.cls)} is not among the types that this serializer was given")
        try:
            made = taught.load(state)
        except Exception as exc:
            raise DecodeError(f"the load function of {taught.name!r} raised {raised(exc)}") from exc
        if type(made) is not taught.cls:
            raise DecodeError(
                f"the load function of {taught.name!r} returned a {_title(type(made))}, no {_title(taught.cls)}"
            )
        return made

    return decode


FINDERS.append(_find)
