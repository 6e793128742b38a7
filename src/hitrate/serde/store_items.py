"""The items of LangGraph's stores: classes of slots, whose ``repr`` and ``hash`` count on what is in them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from langgraph.store.base import Item

from hitrate.errors import DecodeError
from hitrate.serde.classes import ancestry
from hitrate.serde.dataclasses_ import plain_plan
from hitrate.serde.registry import Plan, Refused, register_classes


def _plan(cls: type) -> Plan | None:
    if Item not in ancestry(cls):
        return None
    plan = plain_plan(cls, ["item"])
    dump, restore = plan.dump, plan.restore

    def dump_whole(obj: Any, mark: str) -> list[Any]:
        if not _is_whole(obj):
            raise Refused("its namespace or its times are none")
        return dump(obj, mark)

    def restore_whole(state: list[Any]) -> Any:
        made = restore(state)
        if not _is_whole(made):
            raise DecodeError("a stored item is none")
        return made

    plan.dump, plan.restore = dump_whole, restore_whole
    return plan


def _is_whole(item: Any) -> bool:
    """Tell whether an item has what its ``repr`` and its ``hash`` need."""
    return (
        type(item.key) is str
        and type(item.namespace) is tuple
        and all(type(each) is str for each in item.namespace)
        and issubclass(type(item.created_at), datetime)
        and issubclass(type(item.updated_at), datetime)
    )


register_classes(_plan)
