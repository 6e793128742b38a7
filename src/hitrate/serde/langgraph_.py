"""LangGraph's one type that is neither a dataclass nor a model: ``Send``, a class of slots."""

from __future__ import annotations

from langgraph.types import Send

from hitrate.serde.dataclasses_ import plain_form
from hitrate.serde.forms import Form
from hitrate.serde.registry import register_classes


def _form(cls: type) -> Form | None:
    return plain_form(cls, ["send"]) if cls is Send else None


register_classes(_form)
