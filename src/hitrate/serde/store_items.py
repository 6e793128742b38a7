"""The items of LangGraph's stores: classes of slots, whose ``repr`` and ``hash`` count on what is in them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from langgraph.store.base import Item

from hitrate.serde.classes import ancestry
from hitrate.serde.dataclasses_ import checked, plain_form
from hitrate.serde.forms import Form
from hitrate.serde.registry import register_classes


def _form(cls: type) -> Form | None:
    if Item not in ancestry(cls):
        return None
    return checked(plain_form(cls, ["item"]), _is_whole, "its namespace or its times are none")


def _is_whole(item: Any) -> bool:
    """Tell whether an item has what its ``repr`` and its ``hash`` need."""
    return (
        type(item.key) is str
        and type(item.namespace) is tuple
        and all(type(each) is str for each in item.namespace)
        and issubclass(type(item.created_at), datetime)
        and issubclass(type(item.updated_at), datetime)
    )


register_classes(_form)
