"""NamedTuples: a tuple of the class, made without its constructor."""

from __future__ import annotations

from typing import Any

from hitrate.serde.classes import ancestry, attribute
from hitrate.serde.forms import Form
from hitrate.serde.registry import Refused, listed, register_classes


def _form(cls: type) -> Form | None:
    names = attribute(cls, "_fields")
    if tuple not in ancestry(cls) or type(names) is not tuple or not all(type(name) is str for name in names):
        return None
    size = len(names)

    def dump(obj: Any, mark: str) -> list[Any]:
        if getattr(obj, "__dict__", None) or len(obj) != size:
            raise Refused("it holds more, or less, than its fields")
        return [mark, [*obj]]

    def restore(state: list[Any]) -> Any:
        _, items = state
        if len(listed(items)) != size:
            raise ValueError("a stored NamedTuple has another length")
        return tuple.__new__(cls, items)

    return Form(cls, ["namedtuple", *names], dump, restore)


register_classes(_form)
