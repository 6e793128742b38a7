"""LangGraph's one type that is neither a dataclass nor a model: ``Send``, a class of slots."""

from __future__ import annotations

from langgraph.types import Send

from hitrate.serde.dataclasses_ import plain_plan
from hitrate.serde.registry import Plan, register_classes


def _plan(cls: type) -> Plan | None:
    return plain_plan(cls, ["send"]) if cls is Send else None


register_classes(_plan)
