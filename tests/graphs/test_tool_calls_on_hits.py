"""Tool calls that come from the cache are new ones in their thread, and each still has its own result."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, RemoveMessage, ToolMessage
from langgraph.cache.base import BaseCache
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.graph.message import REMOVE_ALL_MESSAGES
from langgraph.types import CachePolicy, Command, Send
from pydantic import BaseModel
from sample_graphs import Run

from hitrate.langgraph import policy
from hitrate.langgraph.messages import renew


def tools(given: Any) -> Any:
    """Run the calls of the last message, or those that were sent."""
    calls = given if isinstance(given, list) else given["messages"][-1].tool_calls
    return {"messages": [ToolMessage(f"found {call['args']['text']}", tool_call_id=call["id"]) for call in calls]}


def calling(*ids: str, text: str = "call_1") -> AIMessage:
    """A message that makes calls, with the ids wherever providers put them."""
    blocks: list[Any] = [{"type": "text", "text": "looking"}]
    blocks += [{"type": "tool_use", "id": id_, "name": "look", "input": {"text": text}} for id_ in ids]
    return AIMessage(blocks, tool_calls=[{"name": "look", "args": {"text": text}, "id": id_} for id_ in ids])


def check_pairs(messages: list[AnyMessage]) -> None:
    """Each call has an id of its own, and one result, which follows it, as Anthropic's API asks."""
    made: list[str] = []
    answered: list[str] = []
    for message in messages:
        if isinstance(message, AIMessage):
            assert sorted(made) == sorted(answered)
            ids = [str(call["id"]) for call in message.tool_calls]
            assert ids == [block["id"] for block in message.content if isinstance(block, dict) and "id" in block]
            made += ids
        elif isinstance(message, ToolMessage):
            answered.append(message.tool_call_id)
    assert sorted(made) == sorted(answered)
    assert len(set(made)) == len(made) > 0


def ask(run: Run, graph: Any, *questions: str, thread: str = "1") -> list[AnyMessage]:
    for question in questions:
        state = run(graph, {"messages": [HumanMessage(question)]}, config={"configurable": {"thread_id": thread}})
    messages: list[AnyMessage] = state["messages"]
    return messages


def agent(cache: Any, calls: Counter[str], *, sends: bool = False, tools_cached: bool = False) -> Any:
    """A model that looks two things up and then answers, by the last message alone."""

    def model(state: MessagesState) -> Any:
        calls["model"] += 1
        last = state["messages"][-1]
        if isinstance(last, ToolMessage):
            return {"messages": [AIMessage(["It is there."])]}
        return {"messages": [calling(f"{last.text}_1", f"{last.text}_2", text=last.text)]}

    def route(state: MessagesState) -> Any:
        last = state["messages"][-1]
        found = last.tool_calls if isinstance(last, AIMessage) else []
        if sends:
            return [Send("tools", [call]) for call in found] or END
        return "tools" if found else END

    builder = StateGraph(MessagesState)
    builder.add_node("model", model, cache_policy=policy(model, messages=1))
    kept: dict[str, Any] = {"cache_policy": policy(scope="tools", messages=1)} if tools_cached else {}
    builder.add_node("tools", tools, **kept)
    builder.add_edge(START, "model")
    builder.add_conditional_edges("model", route, ["tools", END])
    builder.add_edge("tools", "model")
    return builder.compile(cache=cache, checkpointer=InMemorySaver())


@pytest.mark.parametrize("tools_cached", [False, True])
@pytest.mark.parametrize("sends", [False, True])
def test_calls_of_a_hit_have_ids_of_their_own(
    cache: Any, run: Run, calls: Counter[str], sends: bool, tools_cached: bool
) -> None:
    graph = agent(cache, calls, sends=sends, tools_cached=tools_cached)
    messages = ask(run, graph, "hi", "how", "hi", "hi")
    check_pairs(messages)
    assert calls["model"] < 8
    assert [each.text for each in messages if isinstance(each, ToolMessage)] == (
        ["found hi"] * 2 + ["found how"] * 2 + ["found hi"] * 4
    )


def test_in_a_thread_that_has_no_such_id_it_stays(cache: Any, run: Run, calls: Counter[str]) -> None:
    graph = agent(cache, calls)
    for thread in "12":
        messages = ask(run, graph, "hi", thread=thread)
        check_pairs(messages)
        assert messages[1].tool_calls[0]["id"] == "hi_1"  # type: ignore[union-attr]


def test_a_call_and_its_result_of_one_node_go_together(cache: Any, run: Run, calls: Counter[str]) -> None:
    def both(state: MessagesState) -> Any:
        calls["both"] += 1
        made = calling("call_1")
        result = ToolMessage("call_1", tool_call_id="call_1", name="look")
        return {"messages": [made, result, AIMessage(["call_1"])]}

    builder = StateGraph(MessagesState).add_node("both", both, cache_policy=policy(both, messages=1))
    graph = builder.add_edge(START, "both").compile(cache=cache, checkpointer=InMemorySaver())
    messages = ask(run, graph, "hi", "hi", "hi")
    check_pairs(messages)
    assert calls["both"] == 1
    # What the model and the tool said is not touched, though it reads as the id does.
    assert {each.text for each in messages if isinstance(each, ToolMessage)} == {"call_1"}
    assert all(each.tool_calls[0]["args"] == {"text": "call_1"} for each in messages if getattr(each, "tool_calls", ()))
    assert messages[-1].content == ["call_1"]


def test_a_result_of_a_call_of_the_input_stays_with_it(cache: Any, run: Run, calls: Counter[str]) -> None:
    """What puts another message in the place of one that made a call, which has its result already, makes no call."""

    def rewrite(state: MessagesState) -> Any:
        calls["rewrite"] += 1
        old = next(each for each in state["messages"] if isinstance(each, AIMessage))
        return {"messages": [RemoveMessage(str(old.id)), old.model_copy(update={"id": "rewritten"})]}

    builder = StateGraph(MessagesState).add_node("rewrite", rewrite, cache_policy=policy(rewrite))
    graph = builder.add_edge(START, "rewrite").compile(cache=cache)
    for number in range(2):
        made = calling("call_1").model_copy(update={"id": f"made {number}"})
        result = ToolMessage("found", tool_call_id="call_1", id=f"result {number}")
        messages = run(graph, {"messages": [HumanMessage("hi", id=f"hi {number}"), made, result]})["messages"]
        assert [each.type for each in messages] == ["human", "tool", "ai"]
        assert messages[-1].tool_calls[0]["id"] == messages[1].tool_call_id == "call_1"
    assert calls["rewrite"] == 1


BY_TEXT: Any = CachePolicy(key_func=lambda state: repr([each.text for each in state["messages"]]))
"""A policy that counts no ids of calls, nor what calls are given."""


def called(number: int, *texts: str) -> list[AnyMessage]:
    """A question, calls, and their results, with the ids of a run of this number."""
    made = AIMessage(
        "", tool_calls=[{"name": "look", "args": {"text": text}, "id": f"{number} {text}"} for text in texts]
    )
    return [HumanMessage("hi"), made, *(ToolMessage("found", tool_call_id=f"{number} {text}") for text in texts)]


EDITS: dict[str, Callable[[list[Any]], list[Any]]] = {
    "keeps the last": lambda given: [RemoveMessage(id=REMOVE_ALL_MESSAGES), *given[1:]],
    "shortens a result": lambda given: [given[2].model_copy(update={"content": "..."})],
    "answers the calls": lambda given: [ToolMessage("x", tool_call_id=call["id"]) for call in given[1].tool_calls],
    "says what it calls": lambda given: [given[1].model_copy(update={"content": "looking"})],
}


@pytest.mark.parametrize("what", EDITS)
@pytest.mark.parametrize("texts", ["ab", "cb"])
def test_a_hit_refers_to_the_calls_of_its_own_run(
    cache: Any, run: Run, calls: Counter[str], what: str, texts: str
) -> None:
    def edit(state: MessagesState) -> Any:
        calls["edit"] += 1
        return {"messages": EDITS[what](state["messages"])}

    builder = StateGraph(MessagesState).add_node("edit", edit, cache_policy=BY_TEXT)
    graph = builder.add_edge(START, "edit").compile(cache=cache, checkpointer=InMemorySaver())
    for number, its_texts in ((1, "ab"), (2, texts)):
        config = {"configurable": {"thread_id": str(number)}}
        messages = run(graph, {"messages": called(number, *its_texts)}, config=config)["messages"]
        made = [call for each in messages if isinstance(each, AIMessage) for call in each.tool_calls]
        assert [(call["id"], call["args"]) for call in made] == [
            (f"{number} {text}", {"text": text}) for text in its_texts
        ]
        answered = {each.tool_call_id for each in messages if isinstance(each, ToolMessage)}
        assert answered == {call["id"] for call in made}
    is_found = what == "shortens a result" or (texts == "ab" and what != "answers the calls")
    assert calls["edit"] == (1 if is_found else 2)


def test_what_a_command_and_a_field_say_of_a_call_goes_with_it(cache: Any, run: Run, calls: Counter[str]) -> None:
    class State(MessagesState, total=False):
        pending: list[Any]

    def model(state: State) -> Any:
        calls["model"] += 1
        made = calling("call_1")
        update = {"messages": [made], "pending": [{"tool_call_id": "call_1", "why": "call_1"}]}
        return Command(update=update, goto=[Send("act", {"call": made.tool_calls[0]})])

    def act(given: Any) -> Any:
        call = given["call"]
        return {"messages": [ToolMessage(call["args"]["text"], tool_call_id=call["id"])]}

    builder = StateGraph(State)
    builder.add_node("model", model, cache_policy=policy(model, only="messages", messages=1), destinations=("act",))
    builder.add_node("act", act)
    graph = builder.add_edge(START, "model").compile(cache=cache, checkpointer=InMemorySaver())
    for _ in range(3):
        state = run(graph, {"messages": [HumanMessage("hi")]}, config={"configurable": {"thread_id": "1"}})
        check_pairs(state["messages"])
        (pending,) = state["pending"]
        assert pending == {"tool_call_id": state["messages"][-1].tool_call_id, "why": "call_1"}
    assert calls["model"] == 1


@dataclass
class Pending:
    call: dict[str, Any]
    tool_call_id: str


@dataclass(frozen=True)
class Frozen:
    calls: list[Any]


class Noted(BaseModel):
    call: dict[str, Any]


@pytest.mark.parametrize(
    ("around", "taken_out"),
    [
        (lambda call: [call], lambda value: value[0]),
        (lambda call: {"a": ({"b": call},)}, lambda value: value["a"][0]["b"]),
        (lambda call: Pending(call, call["id"]), lambda value: {**value.call, "id": value.tool_call_id}),
        (lambda call: Pending(call, call["id"]), lambda value: value.call),
        (lambda call: Frozen([call]), lambda value: value.calls[0]),
        (lambda call: Noted(call=call), lambda value: value.call),
        (lambda call: Send("tools", {"call": call}), lambda value: value.arg["call"]),
        (lambda call: Command(goto=[Send("tools", [call])]), lambda value: value.goto[0].arg[0]),
    ],
)
def test_a_call_beside_the_message_goes_with_it(around: Any, taken_out: Any) -> None:
    call = {"name": "look", "args": {"id": "call_1"}, "id": "call_1"}
    message, value = calling("call_1"), around(call)
    renew(deque([("messages", [message]), ("other", value)]), {}, new_ids=True, taken=lambda: {"call_1"})
    id_ = message.tool_calls[0]["id"]
    assert id_ != "call_1"
    assert taken_out(value) == {"name": "look", "args": {"id": "call_1"}, "id": id_}


def test_it_can_be_turned_off(cache: Any, run: Run, calls: Counter[str]) -> None:
    cache.new_message_ids = False

    def model(state: MessagesState) -> Any:
        return {"messages": [calling("call_1")]}

    builder = StateGraph(MessagesState).add_node("model", model, cache_policy=policy(model, messages=1))
    graph = builder.add_edge(START, "model").compile(cache=cache)
    for number in range(2):
        given = [calling("call_1"), ToolMessage("found", tool_call_id="call_1"), HumanMessage("hi")]
        messages = run(graph, {"messages": given})["messages"]
        assert messages[-1].tool_calls[0]["id"] == "call_1", number


def test_ids_of_a_hit_that_nobody_of_a_graph_asked_for_stay(cache: BaseCache[Any]) -> None:
    key = (("__pregel_ns_writes", "m.f", "f"), "a")
    cache.set({key: ([("messages", [calling("call_1")])], None)})
    assert cache.get([key])[key][0][1][0].tool_calls[0]["id"] == "call_1"
