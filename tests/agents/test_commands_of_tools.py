"""Commands of tools that are kept, about messages of the state: a hit is about those of its own run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import pytest
from langchain_core.messages import RemoveMessage, ToolMessage
from langchain_core.tools import InjectedToolCallId, tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph.message import REMOVE_ALL_MESSAGES
from langgraph.prebuilt import InjectedState
from langgraph.types import Command
from sample_agents import Calls, Run, agent_with, call_of, results, thread, tool_that_looks

Edit = Callable[[list[Any]], list[Any]]


def by_texts(request: Any) -> list[str]:
    return [each.text for each in request.state["messages"]]


def agent_that_edits(edit: Edit, calls: Calls, cache: Any, *, others: int = 0, key: Any = by_texts) -> Any:
    """An agent whose cached tool changes the messages of the state."""

    @tool
    def tidy(n: int, tool_call_id: Annotated[str, InjectedToolCallId], state: Annotated[Any, InjectedState]) -> Any:
        """Tidy up."""
        calls["tidy"] += 1
        return Command(update={"messages": [*edit(state["messages"]), ToolMessage("Tidy", tool_call_id=tool_call_id)]})

    def made() -> list[dict[str, Any]]:
        return [call_of("tidy", n=1), *(call_of("look", q="x") for _ in range(others))]

    options: Any = {"tools": ["tidy"], "keep_commands": True, "key": key, "checkpointer": InMemorySaver()}
    return agent_with([tidy, tool_that_looks(calls)], made, cache, **options)


EDITS: dict[str, tuple[Edit, str]] = {
    "removes": (lambda given: [RemoveMessage(id=given[0].id)], "second"),
    "repeats": (lambda given: given, "first second"),
    "edits": (lambda given: [given[1].model_copy(update={"content": "SECOND"})], "first SECOND"),
    "removes all": (lambda given: [RemoveMessage(id=REMOVE_ALL_MESSAGES), *given[1:]], "second"),
}


@pytest.mark.parametrize("what", EDITS)
@pytest.mark.parametrize("others", [0, 2])
def test_a_command_on_messages_of_the_state_is_one_on_those_of_the_run(
    what: str, others: int, in_memory: Any, calls: Calls, run: Run
) -> None:
    edit, remaining = EDITS[what]
    agent = agent_that_edits(edit, calls, in_memory, others=others)
    said: dict[str, list[list[str]]] = {"a": [], "b": []}
    for name, texts in said.items():
        for turn in (["first", "second"], ["third"]):
            messages = run(agent, {"messages": [("user", text) for text in turn]}, thread(name))["messages"]
            texts.append([each.text for each in messages if each.type == "human"])
            assert len({each.id for each in messages}) == len(messages)
            asked = [call["id"] for each in messages for call in getattr(each, "tool_calls", ())]
            assert sorted(each.tool_call_id for each in results({"messages": messages})) == sorted(asked)
    assert " ".join(said["a"][0]) == remaining
    assert said["a"] == said["b"]
    assert calls["tidy"] == 2


def test_a_command_on_a_message_that_another_run_has_not_is_made_anew(in_memory: Any, calls: Calls, run: Run) -> None:
    agent = agent_that_edits(EDITS["removes"][0], calls, in_memory, key=lambda request: None)
    for name, first in (("a", "first"), ("b", "other")):
        messages = run(agent, {"messages": [("user", first), ("user", "second")]}, thread(name))["messages"]
        assert [each.text for each in messages if each.type == "human"] == ["second"]
    assert calls["tidy"] == 2
