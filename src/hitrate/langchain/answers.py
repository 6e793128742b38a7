"""Answers of models: which are good for other runs, and what makes an old one new for the run that it is given to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any
from uuid import uuid4

from langchain_core.messages import BaseMessage

from hitrate.langgraph.call_ids import new_ids, rename
from hitrate.langgraph.messages import with_new_item_ids

_REASONS = ("finish_reason", "stop_reason", "stopReason", "done_reason", "status")
_UNFINISHED = frozenset(
    {
        *("length", "max_tokens", "max_output_tokens", "max_length", "model_length", "token_limit", "incomplete"),
        *("model_context_window_exceeded", "context_length_exceeded", "error_limit"),
        *("content_filter", "content_filtered", "content_filter_error", "guardrail_intervened", "safety", "refusal"),
        *("recitation", "blocklist", "prohibited_content", "spii", "image_safety", "error_toxic", "language"),
        *("error", "failed", "cancelled", "aborted", "malformed_function_call", "unexpected_tool_call", "pause_turn"),
        *("insufficient_system_resource", "load", "other", "network_error", "user_cancel", "timeout"),
    }
)
"""Why a model stopped, as providers call it, where another try may bring more: it was cut off, filtered or failed."""


def is_whole(message: BaseMessage, info: Mapping[str, Any] | None = None) -> bool:
    """Tell whether an answer is one that a model gave to its end, and that says something; ``info`` came with it."""
    for told in (message.response_metadata, info):
        if told:
            for name in _REASONS:
                if str(told.get(name)).rpartition(".")[2].lower() in _UNFINISHED:
                    return False
            if told.get("incomplete_details"):
                return False
    if message.additional_kwargs.get("refusal"):
        return False
    if getattr(message, "invalid_tool_calls", None):  # what was cut off in a call, among others
        return False
    content = message.content
    if type(content) is list and any(type(each) is dict and each.get("type") == "refusal" for each in content):
        return False
    if getattr(message, "tool_calls", None) or message.additional_kwargs.get("function_call"):
        return True
    return content.strip() != "" if type(content) is str else any(map(_says_something, content))


def _says_something(block: Any) -> bool:
    if type(block) is not dict:
        return bool(str(block).strip())
    if block.get("type") in ("reasoning", "thinking", "redacted_thinking", "reasoning_content"):
        return False
    return block.get("type") not in ("text", "output_text") or bool(str(block.get("text") or "").strip())


def tokens_of(messages: Iterable[BaseMessage]) -> tuple[int, int]:
    """Return the tokens that went to the model for some answers, and those that came back."""
    sent = made = 0
    for message in messages:
        usage = getattr(message, "usage_metadata", None)
        if usage:
            sent += _count(usage.get("input_tokens"))
            made += _count(usage.get("output_tokens"))
    return sent, made


def _count(value: Any) -> int:
    return value if type(value) is int and value > 0 else 0


def make_new(messages: Sequence[BaseMessage], history: Callable[[], set[str]]) -> None:
    """Give the messages of a hit ids of their own, in place, as if the model had just answered.

    ``history`` returns the ids of tool calls that stand in the conversation already.
    """
    names = new_ids(messages, history)
    for message in messages:
        if message.id is not None:
            message.id = str(uuid4())
        if type(message.content) is not str or message.additional_kwargs:
            with_new_item_ids(message)
        if names:
            rename(message, names)
