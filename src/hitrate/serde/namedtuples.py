"""NamedTuples: a tuple of the class, made without its constructor."""

from __future__ import annotations

from typing import Any

from hitrate.serde.registry import Plan, Refused, listed, register_classes


def _plan(cls: type) -> Plan | None:
    names = getattr(cls, "_fields", None)
    if not issubclass(cls, tuple) or type(names) is not tuple or cls.__itemsize__ != tuple.__itemsize__:
        return None
    size = len(names)

    def dump(obj: Any, mark: str) -> list[Any]:
        if getattr(obj, "__dict__", None):
            raise Refused("it has attributes of its own besides its fields")
        return [mark, [*obj]]

    def restore(state: list[Any]) -> Any:
        _, items = state
        if len(listed(items)) != size:
            raise ValueError("a stored NamedTuple has another length")
        return tuple.__new__(cls, items)

    return Plan(cls, ["namedtuple", *names], dump, restore)


register_classes(_plan)
