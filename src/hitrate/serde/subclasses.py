"""Subclasses of built-in types: the content as the built-in type has it, and the attributes that were set besides.

An instance is made by the built-in type's own ``__new__`` and filled by its own methods; whatever the subclass defines
is not called.
"""

from __future__ import annotations

import datetime as dt
import types
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from functools import partial
from typing import Any
from uuid import UUID

from hitrate.errors import DecodeError
from hitrate.serde.attributes import Attributes, base_of, described
from hitrate.serde.classes import ancestry
from hitrate.serde.forms import Form
from hitrate.serde.registry import register_classes

Make = Callable[[type, Any], Any]


def _fill_ordered_dict(made: Any, content: OrderedDict[Any, Any]) -> None:
    # OrderedDict.update calls the subclass's __setitem__.
    for key, value in content.items():
        OrderedDict.__setitem__(made, key, value)


def _fill_default_dict(made: Any, content: defaultdict[Any, Any]) -> None:
    _factory.__set__(made, content.default_factory)
    dict.update(made, content)


def _fill_deque(made: Any, content: deque[Any]) -> None:
    deque.__init__(made, content, content.maxlen)


_factory: Any = vars(defaultdict)["default_factory"]
_maxlen: Any = vars(deque)["maxlen"]


def _filled(base: Any, fill: Callable[[Any, Any], None]) -> Make:
    """Return how an instance is made empty, and filled by a method of the built-in type."""

    def make(cls: type, content: Any) -> Any:
        made = base.__new__(cls)
        fill(made, content)
        return made

    return make


def _of_state(base: Any) -> tuple[Callable[[Any], Any], Make]:
    """Return how a date or a time is read and made: by what pickle would give to ``__new__``."""

    # fold is in the state of protocol 4 only.
    state_of = vars(base).get("__reduce_ex__") or (lambda obj, _: base.__reduce__(obj))

    def make(cls: Any, obj: Any) -> Any:
        return base.__new__(cls, *state_of(obj, 4)[1])

    return lambda obj: make(base, obj), make


def _of_slots(base: Any) -> tuple[Callable[[Any], Any], Make]:
    """Return how a number or an id that is written in Python is read and made: slot by slot."""
    slots = [member for member in vars(base).values() if type(member) is types.MemberDescriptorType]

    def make(cls: Any, obj: Any) -> Any:
        made = object.__new__(cls)
        for slot in slots:
            slot.__set__(made, slot.__get__(obj))
        return made

    return lambda obj: make(base, obj), make


_BASES: dict[type, tuple[Callable[[Any], Any], Make]] = {
    str: (str.__str__, str.__new__),
    int: (int.__int__, int.__new__),
    float: (float.__float__, float.__new__),
    complex: (complex.__complex__, complex.__new__),
    bytes: (bytes.__bytes__, bytes.__new__),
    bytearray: (
        lambda obj: bytearray(bytearray.__getitem__(obj, slice(None))),
        _filled(bytearray, bytearray.__init__),
    ),
    tuple: (lambda obj: (*tuple.__iter__(obj),), tuple.__new__),
    list: (lambda obj: [*list.__iter__(obj)], _filled(list, list.extend)),
    dict: (lambda obj: dict(dict.items(obj)), _filled(dict, dict.update)),
    set: (lambda obj: {*set.__iter__(obj)}, _filled(set, set.update)),
    frozenset: (lambda obj: frozenset([*frozenset.__iter__(obj)]), frozenset.__new__),
    deque: (lambda obj: deque(deque.__iter__(obj), _maxlen.__get__(obj)), _filled(deque, _fill_deque)),
    OrderedDict: (lambda obj: OrderedDict(OrderedDict.items(obj)), _filled(OrderedDict, _fill_ordered_dict)),
    defaultdict: (
        lambda obj: defaultdict(_factory.__get__(obj), dict.items(obj)),
        _filled(defaultdict, _fill_default_dict),
    ),
    Decimal: (lambda obj: Decimal(Decimal.__str__(obj)), Decimal.__new__),
    dt.datetime: _of_state(dt.datetime),
    dt.date: _of_state(dt.date),
    dt.time: _of_state(dt.time),
    dt.timedelta: _of_state(dt.timedelta),
    Fraction: _of_slots(Fraction),
    UUID: _of_slots(UUID),
}
_OF_SLOTS = (Fraction, UUID)
_MADE_OF_CONTENT = frozenset({str, int, float, complex, bytes, Decimal})
_IMMUTABLE = frozenset(
    {str, int, float, complex, bytes, Decimal, dt.datetime, dt.date, dt.time, dt.timedelta, tuple, frozenset}
)


def built_in_base(cls: type) -> type | None:
    """Return the built-in type that holds the content of a class's instances, None if there is none."""
    base: type | None = cls
    while base is not None and base not in _BASES:
        base = base_of(base)
    return base


def holds_only_content(cls: type) -> type | None:
    """Return the immutable built-in type of a class whose instances are nothing but its content, else None."""
    base = built_in_base(cls)
    if base not in _IMMUTABLE or cls.__dictoffset__ or any(vars(each).get("__slots__") for each in ancestry(cls)):
        return None
    return base


def remaker(cls: type, state: list[Any]) -> Callable[[], Any] | None:
    """Return what makes an instance anew of a dumped state that is nothing but an immutable content, else None."""
    base: Any = built_in_base(cls)
    if base not in _MADE_OF_CONTENT or len(state) != 2:
        return None
    return partial(base.__new__, cls, state[1])


def content_of(obj: Any, base: type) -> Any:
    """Return what an instance holds as the built-in type that it derives from."""
    return _BASES[base][0](obj)


def _form(cls: type) -> Form | None:
    base = built_in_base(cls)
    if base is None:
        return None
    read, make = _BASES[base]
    attributes = Attributes(cls, object if base in _OF_SLOTS else base, [base] if base in _OF_SLOTS else ())
    fields = ["subclass", base.__name__, *described(cls, attributes)]
    names_in_dict, has_names = attributes.in_dict.names, bool(attributes.in_slots.names or attributes.in_dict.names)
    has_dict, slots, put_dict = attributes.has_dict, attributes.slots, attributes.put_dict

    def dump_content(obj: Any, mark: str) -> list[Any]:
        return [mark, read(obj)]

    def restore_content(state: list[Any]) -> Any:
        _, content = state
        if type(content) is not base:
            raise DecodeError(f"the stored content is no {base.__name__}")
        return make(cls, content)

    if not has_dict and not slots:
        return Form(cls, fields, dump_content, restore_content)

    def dump(obj: Any, mark: str) -> list[Any]:
        others = obj.__dict__ if has_dict else {}
        filled = attributes.filled(obj) if slots else {}
        if has_names:
            attributes.missing(filled, others)
        if filled:
            return [mark, read(obj), others or None, filled]
        return [mark, read(obj), others] if others else [mark, read(obj)]

    def restore(state: list[Any]) -> Any:
        # Fast path: nothing but the content, or attributes in a dict besides.
        if len(state) == 2 and not has_names:
            content = state[1]
            if type(content) is base:
                return make(cls, content)
        elif len(state) == 3 and not slots:
            _, content, others = state
            if type(content) is base and type(others) is dict:
                if [*others] != names_in_dict:
                    attributes.in_dict.check(others)
                made = make(cls, content)
                put_dict(made, others)
                return made
        return restore_with_care(*state)

    def restore_with_care(mark: str, content: Any, others: Any = None, filled: Any = None) -> Any:
        made = restore_content([mark, content])
        filled = {} if filled is None else filled
        others = {} if has_dict and others is None else others
        attributes.check(filled, others)
        put_dict(made, others)
        attributes.fill(made, filled)
        return made

    def again(state: list[Any]) -> Any:
        made = make(cls, state[1])
        if len(state) > 2 and has_dict:
            put_dict(made, state[2] or {})
        if len(state) > 3:
            attributes.fill(made, state[3])
        return made

    return Form(cls, [*fields, "slots", *slots], dump, restore, again=again)


register_classes(_form)
