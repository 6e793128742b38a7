"""What keys take of any instance: the mark of its class, and its attributes."""

from __future__ import annotations

import types
from typing import Any

from ormsgpack import Ext

from hitrate.keys import encode_text
from hitrate.serde.classes import ancestry
from hitrate.serde.instances import CLASS


def class_mark(name: str) -> Ext:
    """Return what an instance of the class of a name begins with."""
    return Ext(CLASS, encode_text(name))


def attributes_of(obj: Any) -> dict[str, Any]:
    """Return the attributes of an object, those in slots too."""
    found: dict[str, Any] = {}
    for base in ancestry(type(obj))[:-1]:
        for name, member in vars(base).items():
            if type(member) is types.MemberDescriptorType:
                try:
                    found.setdefault(name, member.__get__(obj))
                except AttributeError:
                    pass
    try:
        found.update(object.__getattribute__(obj, "__dict__"))
    except AttributeError:
        pass
    return found
