"""Exceptions as values: class, ``args``, attributes, notes, and what the interpreter's own classes hold besides.

The traceback, context and cause belong to the run and are left out, as by pickle. An exception is made empty, by the
built-in exception that its class derives from, and then filled, so that nothing interprets stored arguments.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Callable, Iterator
from typing import Any

from hitrate.errors import DecodeError
from hitrate.serde.attributes import Attributes, base_of, described
from hitrate.serde.classes import ancestry
from hitrate.serde.forms import Form
from hitrate.serde.registry import Refused, register_classes
from hitrate.serde.texts import is_text

_args: Any = vars(BaseException)["args"]
_OF_THE_RAISE = frozenset({"__traceback__", "__context__", "__cause__", "__suppress_context__", "__dict__", "args"})
# CPython reads the text of a UnicodeError by these five fields without checking them, even beyond its memory.
_OF_UNICODE = {
    UnicodeEncodeError: (str, str, int, int, str),
    UnicodeDecodeError: (str, bytes, int, int, str),
    UnicodeTranslateError: (str, int, int, str),
}
# Printing one of these exceptions relies on the types of these fields.
_PRINTED: dict[type, dict[str, type]] = {
    SyntaxError: {"filename": str, "text": str, "lineno": int, "offset": int, "end_lineno": int, "end_offset": int},
    NameError: {"name": str},
    AttributeError: {"name": str},
    ImportError: {"name": str, "name_from": str},
}


def native_base(cls: type) -> Any:
    """Return the exception of the interpreter that a class is or derives from; of several, the one with the content."""
    while cls.__module__ != "builtins":
        cls = base_of(cls)
    return cls


def _native_fields(base: type) -> Iterator[tuple[str, Any]]:
    """Return name and descriptor of what a built-in exception holds besides ``args``, such as ``OSError.errno``."""
    for each in ancestry(base)[:-1]:
        for name, member in vars(each).items():
            if type(member) in (types.GetSetDescriptorType, types.MemberDescriptorType) and name not in _OF_THE_RAISE:
                yield name, member


def _form(cls: type) -> Form | None:
    if BaseException not in ancestry(cls):
        return None
    described, dump, restore = exception_state(cls)
    return Form(cls, described, dump, restore, open=cls is native_base(cls))


def exception_state(cls: type) -> tuple[list[str], Callable[[Any, str], list[Any]], Callable[[list[Any]], Any]]:
    """Return what describes an exception class, and how instances are read and made, as in a form.

    Raises:
        Refused: instances hold what cannot be read.
    """
    base = native_base(cls)
    attributes = Attributes(cls, base)
    members = dict(_native_fields(base))
    fields = described(cls, attributes)
    make = _maker(cls, base)
    kinds = next((_PRINTED[each] for each in ancestry(base) if each in _PRINTED), {})

    def native(obj: Any) -> dict[str, Any]:
        found = {}
        for name, member in members.items():
            try:
                value = member.__get__(obj)
            except (AttributeError, TypeError):  # such as characters_written, which is there only if it was set
                continue
            if value is not None:
                found[name] = value
        return found

    def may_be(besides: dict[str, Any]) -> bool:
        if base in _OF_UNICODE or issubclass(base, BaseExceptionGroup) or not besides.keys() <= members.keys():
            return False
        # From Python 3.12 on, printing an ImportError with a name_from imports the module that it names.
        if besides.get("name_from") is not None and str(besides.get("name")) not in sys.modules:
            return False
        # From Python 3.13 on, printing an error of a name that cannot be encoded fails.
        return all(
            type(value) is kinds.get(name, type(value)) and (kinds.get(name) is not str or is_text(value))
            for name, value in besides.items()
        )

    def dump(obj: Any, mark: str) -> list[Any]:
        args, others, filled = _args.__get__(obj), obj.__dict__, attributes.filled(obj)
        attributes.missing(filled, others)
        blank, own = native(make(args)), native(obj)
        besides = {name: value for name, value in own.items() if not _is_same(value, blank.get(name))}
        if blank.keys() - own.keys() or (besides and not may_be(besides)):
            raise Refused(f"its {', '.join(besides) or 'fields'} cannot be set to what they are")
        return [mark, [*args], others, besides, filled] if besides or filled else [mark, [*args], others]

    def restore(state: list[Any]) -> Any:
        _, args, others, *more = state
        besides, filled = more or ({}, {})
        if type(args) is not list or type(besides) is not dict:
            raise DecodeError("the stored state of an exception is none")
        attributes.in_slots.check(filled)
        attributes.in_dict.check(others)
        if besides and not may_be(besides):
            raise DecodeError("the stored fields of an exception are none")
        made = make(tuple(args))
        for name, value in besides.items():
            members[name].__set__(made, value)
        attributes.fill(made, filled)
        if "__notes__" in others and type(others["__notes__"]) is not list:
            raise DecodeError("the stored notes of an exception are none")
        attributes.put_dict(made, others)
        return made

    return ["exception", base.__name__, *fields, "slots", *attributes.slots], dump, restore


def _maker(cls: type, base: Any) -> Any:
    """Return what makes an exception of its args, with the fields that follow from them alone."""
    unicode_args = _OF_UNICODE.get(base)

    def make(args: tuple[Any, ...]) -> Any:
        made = base.__new__(cls)
        _args.__set__(made, args)
        return made

    def make_unicode(args: tuple[Any, ...]) -> Any:
        if tuple(map(type, args)) != unicode_args:
            raise Refused("its args are not those of a UnicodeError")
        text, start, end = args[-4:-1]
        if not 0 <= start <= end <= len(text):
            raise Refused("its args are not those of a UnicodeError")
        made = base.__new__(cls, *args)
        base.__init__(made, *args)
        return made

    def make_group(args: tuple[Any, ...]) -> Any:
        if len(args) != 2 or type(args[0]) is not str or type(args[1]) not in (list, tuple):
            raise Refused("its args are not those of an ExceptionGroup")
        made = base.__new__(cls, *args)
        if type(made) is not cls:
            raise Refused("its exceptions make a group of another class")
        return made

    if unicode_args is not None:
        return make_unicode
    return make_group if issubclass(base, BaseExceptionGroup) else make


def _is_same(value: Any, other: Any) -> bool:
    if type(value) is tuple and type(other) is tuple:
        return len(value) == len(other) and all(map(_is_same, value, other))
    return value is other or (type(value) is type(other) and type(value) in (int, str, bytes) and value == other)


register_classes(_form)
