"""Messages that come from the cache are new ones in their thread; what edits or removes a message still does."""

from __future__ import annotations

import asyncio
import operator
from collections import Counter, deque
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import pytest
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, RemoveMessage
from langchain_core.messages.utils import convert_to_messages
from langgraph.cache.base import BaseCache
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import CachePolicy, Command, Send
from sample_graphs import Run

import hitrate
from hitrate.langgraph import TieredCache, policy
from hitrate.langgraph.messages import KEPT, given_in, renew

LAST = CachePolicy(key_func=lambda state: state["messages"][-1].content)


def chat(node: Any, cache: Any, policy: CachePolicy[Any] = LAST, **options: Any) -> Any:
    builder = StateGraph(MessagesState)
    builder.add_node("answer", node, cache_policy=policy)
    return builder.add_edge(START, "answer").compile(cache=cache, **options)


def ask(run: Run, graph: Any, *questions: str, thread: str = "1") -> list[AnyMessage]:
    for question in questions:
        state = run(graph, {"messages": [HumanMessage(question)]}, config={"configurable": {"thread_id": thread}})
    return state["messages"]


def answering(calls: Counter[str]) -> Any:
    model = GenericFakeChatModel(messages=iter([AIMessage(f"answer {number}") for number in range(9)]))

    def answer(state: MessagesState) -> Any:
        calls["answer"] += 1
        return {"messages": [model.invoke(state["messages"])]}

    return answer


def test_a_question_that_is_asked_again_has_its_answer_again(cache: Any, run: Run, calls: Counter[str]) -> None:
    graph = chat(answering(calls), cache, checkpointer=InMemorySaver())
    messages = ask(run, graph, "hi", "how", "hi", "hi")
    assert [each.content for each in messages] == (
        ["hi", "answer 0", "how", "answer 1", "hi", "answer 0", "hi", "answer 0"]
    )
    assert len({each.id for each in messages}) == len(messages)
    assert calls["answer"] == 2


def test_in_tiers_too_from_either(run: Run, calls: Counter[str], tmp_path: Path) -> None:
    node, saver = answering(calls), InMemorySaver()
    for _ in range(2):  # the second finds them in the file alone
        near, far = hitrate.InMemoryCache[Any](), hitrate.SqliteCache[Any](path=tmp_path / "far.db")  # of no graph
        with TieredCache[Any](near, far) as tiers:
            messages = ask(run, chat(node, tiers, checkpointer=saver), "hi", "how", "hi", "hi")
            assert tiers.stats().errors == 0
    assert [each.content for each in messages] == ["hi", "answer 0", "how", "answer 1", *["hi", "answer 0"] * 2] * 2
    assert len({each.id for each in messages}) == len(messages)
    assert calls["answer"] == 2


def test_of_messages_without_an_id_too(cache: Any, run: Run) -> None:
    graph = chat(lambda state: {"messages": [AIMessage("fine")]}, cache, checkpointer=InMemorySaver())
    messages = ask(run, graph, "hi", "how", "hi", "hi")
    assert [each.content for each in messages] == ["hi", "fine", "how", "fine", "hi", "fine", "hi", "fine"]


def test_parallel_hits_of_one_key_are_two_messages(cache: Any, run: Run, calls: Counter[str]) -> None:
    def answer(state: Any) -> Any:
        calls["answer"] += 1
        return {"messages": [AIMessage("fine", id=f"made-{calls['answer']}")]}

    builder = StateGraph(MessagesState)
    builder.add_node("ask", lambda state: {})
    builder.add_node("answer", answer, cache_policy=CachePolicy(key_func=lambda given: given["question"]))
    builder.add_node("again", answer, cache_policy=CachePolicy(key_func=lambda state: "again"))
    builder.add_edge(START, "ask")
    builder.add_conditional_edges("ask", lambda state: [Send("answer", {"question": "a"})], ["answer"])
    graph = builder.add_edge("answer", "again").compile(cache=cache)
    cold = run(graph, {"messages": []})["messages"]
    warm = run(graph, {"messages": []})["messages"]
    assert len(cold) == len(warm) == 2
    assert {each.id for each in cold}.isdisjoint(each.id for each in warm)
    assert calls["answer"] == 2


def test_an_edited_message_replaces_the_one_it_edits(cache: Any, run: Run, calls: Counter[str]) -> None:
    def redact(state: MessagesState) -> Any:
        calls["redact"] += 1
        last = state["messages"][-1]
        return {"messages": [HumanMessage("***", id=last.id), AIMessage("redacted", id="made")]}

    graph = chat(redact, cache)
    given = {"messages": [HumanMessage("secret", id="question")]}
    for _ in range(3):
        messages = run(graph, given)["messages"]
        assert [each.content for each in messages] == ["***", "redacted"]
        assert messages[0].id == "question"
    assert calls["redact"] == 1
    assert messages[1].id != "made"


def test_a_removed_message_is_removed(cache: Any, run: Run, calls: Counter[str]) -> None:
    def forget(state: MessagesState) -> Any:
        calls["forget"] += 1
        return {"messages": [RemoveMessage(id=state["messages"][0].id)]}

    graph = chat(forget, cache)
    given = {"messages": [HumanMessage("first", id="1"), HumanMessage("second", id="2")]}
    for _ in range(3):
        assert [each.content for each in run(graph, given)["messages"]] == ["second"]
    assert calls["forget"] == 1


def test_in_another_thread_it_is_that_threads_message(cache: Any, run: Run, calls: Counter[str]) -> None:
    """The messages of each thread have ids of their own; what was stored names those of the first."""

    def tidy(state: MessagesState) -> Any:
        calls["tidy"] += 1
        first, second, _ = state["messages"]
        return {"messages": [RemoveMessage(id=first.id), HumanMessage("B", id=second.id), AIMessage("done", id="made")]}

    graph = chat(tidy, cache, policy(tidy, ignore="calls"), checkpointer=InMemorySaver())
    for thread in ("1", "2", "3"):
        given = {"messages": [HumanMessage("a"), HumanMessage("b"), HumanMessage("c")]}
        messages = run(graph, given, config={"configurable": {"thread_id": thread}})["messages"]
        assert [each.content for each in messages] == ["B", "c", "done"]
    assert calls["tidy"] == 1


def test_the_last_question_of_a_thread_is_edited_and_not_an_earlier_one(cache: Any, run: Run) -> None:
    def shout(state: MessagesState) -> Any:
        last = state["messages"][-1]
        return {"messages": [HumanMessage(str(last.content).upper(), id=last.id), AIMessage(f"to {last.content}")]}

    graph = chat(shout, cache, policy(shout, messages=1), checkpointer=InMemorySaver())
    messages = ask(run, graph, "hi", "how", "hi")
    assert [each.content for each in messages] == ["HI", "to hi", "HOW", "to how", "HI", "to hi"]


def test_the_first_message_of_a_thread_that_has_grown(cache: Any, run: Run) -> None:
    def instruct(state: MessagesState) -> Any:
        first, last = state["messages"][0], state["messages"][-1]
        return {"messages": [HumanMessage("be brief", id=first.id), AIMessage(f"to {last.content}")]}

    graph = chat(instruct, cache, policy(instruct, messages=1), checkpointer=InMemorySaver())
    config = {"configurable": {"thread_id": "1"}}
    run(graph, {"messages": [HumanMessage("be kind"), HumanMessage("hi")]}, config=config)
    messages = ask(run, graph, "how", "hi")
    assert [each.content for each in messages] == ["be brief", "hi", "to hi", "how", "to how", "hi", "to hi"]


def test_a_message_that_the_run_has_not_is_a_miss(cache: Any, run: Run, calls: Counter[str]) -> None:
    def forget(state: MessagesState) -> Any:
        calls["forget"] += 1
        return {"messages": [RemoveMessage(id=state["messages"][0].id)]}

    graph = chat(forget, cache)  # the key is the last message alone, and another one is removed
    for first in ("a", "b"):
        messages = run(graph, {"messages": [HumanMessage(first), HumanMessage("same")]})["messages"]
        assert [each.content for each in messages] == ["same"]
    assert calls["forget"] == 2
    assert (cache.stats().hits, cache.stats().misses) == (0, 2)


def test_through_a_cache_of_the_programs_own(cache: Any, run: Run, calls: Counter[str]) -> None:
    class Around(BaseCache[Any]):
        def get(self, keys: Any) -> Any:
            return cache.get(keys)

        async def aget(self, keys: Any) -> Any:
            return await cache.aget(keys)

        def set(self, pairs: Any) -> None:
            cache.set(pairs)

        async def aset(self, pairs: Any) -> None:
            await cache.aset(pairs)

        def clear(self, namespaces: Any = None) -> None:
            cache.clear(namespaces)

        async def aclear(self, namespaces: Any = None) -> None:
            await cache.aclear(namespaces)

    def redact(state: MessagesState) -> Any:
        calls["redact"] += 1
        return {"messages": [HumanMessage("***", id=state["messages"][-1].id), AIMessage("redacted")]}

    graph = chat(redact, Around())
    for _ in range(2):
        messages = run(graph, {"messages": [HumanMessage("secret", id="question")]})["messages"]
        assert [each.content for each in messages] == ["***", "redacted"]
    assert calls["redact"] == 1


@pytest.mark.parametrize(
    "kept", [None, ["question"], [("question", 0, 0, 1)], [("question", "0", 0, 1, "")], [(1,)], [1]]
)
def test_a_damaged_note_of_edits_is_a_miss(cache: Any, kept: Any) -> None:
    key = (("__pregel_ns_writes", "m.f", "f"), "0" * 32)
    cache.set({key: (deque([("messages", [AIMessage("fine")]), (KEPT, kept)]), None)})
    assert cache.get([key]) == {}


def test_a_hit_is_streamed_with_its_new_id(cache: Any, calls: Counter[str]) -> None:
    graph = chat(answering(calls), cache, checkpointer=InMemorySaver())

    async def streamed() -> AnyMessage:
        config = {"configurable": {"thread_id": "1"}}
        given = {"messages": [HumanMessage("hi")]}
        (chunk,) = [each async for each in graph.astream(given, config, stream_mode="updates") if "answer" in each]
        (message,) = chunk["answer"]["messages"]
        return message  # type: ignore[no-any-return]

    first, second = asyncio.run(streamed()), asyncio.run(streamed())
    state = graph.get_state({"configurable": {"thread_id": "1"}}).values["messages"]
    assert [first.id, second.id] == [state[1].id, state[3].id]
    assert first.id != second.id
    assert calls["answer"] == 1


@pytest.mark.parametrize("id_", ["resp_1", None])
@pytest.mark.parametrize("times", [2, 3])
def test_no_item_of_openai_stands_twice_in_a_history(cache: Any, run: Run, times: int, id_: str | None) -> None:
    content = [
        {"type": "reasoning", "id": "rs_1", "summary": []},
        {"type": "text", "text": "fine", "id": "msg_1"},
        {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "f", "arguments": "{}"},
    ]
    made = AIMessage(content, id=id_, additional_kwargs={"reasoning": {"id": "rs_1", "summary": []}})  # type: ignore[arg-type]
    made.response_metadata["id"] = "resp_1"
    graph = chat(lambda state: {"messages": [made.model_copy(deep=True)]}, cache, checkpointer=InMemorySaver())
    messages = ask(run, graph, *["hi"] * times)
    assert len(messages) == 2 * times
    text = repr(messages)
    assert all(text.count(f"'{item}'") <= 2 for item in ("rs_1", "msg_1", "fc_1", "resp_1"))
    assert [block["type"] for block in messages[-1].content] == ["text", "function_call"]


def test_it_can_be_turned_off(cache: Any, run: Run) -> None:
    cache.new_message_ids = False
    graph = chat(lambda state: {"messages": [AIMessage("fine", id="made")]}, cache)
    for _ in range(2):
        assert run(graph, {"messages": [HumanMessage("hi")]})["messages"][1].id == "made"


@dataclass
class Hidden:
    _message: Any


@dataclass(slots=True)
class Slotted:
    message: Any


class Pair(NamedTuple):
    first: int
    message: Any


class Messages(list[Any]):
    """A list of a class of its own."""


@pytest.mark.parametrize(
    "around",
    [
        lambda message: message,
        lambda message: {1: [message]},
        lambda message: {"plain": [1, 2.0, None, ("a", b"b")], "not": ({"at": message},)},
        lambda message: [2**70, message],
        lambda message: ["\ud800", message],
        lambda message: Hidden(message),
        lambda message: [Slotted(message)],
        lambda message: Pair(1, message),
        lambda message: Messages([message]),
        lambda message: deque([deque([message])]),
        lambda message: Send("node", {"message": message}),
        lambda message: Command(update={"message": message}),
    ],
)
def test_a_message_is_found_wherever_it_stands(around: Any) -> None:
    message = AIMessage("Hello", id="old")
    writes = deque([("plain", {"number": 1}), ("channel", around(message)), ("branch:to:node", None)])
    assert [[seen[0] for seen in each] for each in given_in(writes)] == [["old"]]
    renew(writes, {}, new_ids=True)
    assert message.id not in (None, "old")


def as_json(message: dict[str, Any]) -> dict[str, Any]:
    """A message as LangChain writes it as JSON."""
    return {"lc": 1, "type": "constructor", "id": ["langchain", "schema", "messages", "AIMessage"], "kwargs": message}


def as_dict(message: dict[str, Any]) -> dict[str, Any]:
    return {"role": "assistant", **message}


def in_a_list(message: dict[str, Any]) -> list[dict[str, Any]]:
    return [as_dict(message)]


def as_type(message: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"type": "ai", **message}]


def is_a_message(message: dict[str, Any]) -> bool:
    """Tell whether this release of LangChain takes it for one: old ones do not take what they write as JSON."""
    try:
        return bool(convert_to_messages([message]))
    except ValueError:
        return False


AS_DICTS = [as_dict, in_a_list, as_type, *([as_json] if is_a_message(as_json({"content": ""})) else [])]


@pytest.mark.parametrize("form", AS_DICTS, ids=lambda form: form.__name__)
def test_a_message_that_is_a_dict_with_an_id_is_a_new_one_too(
    cache: Any, run: Run, calls: Counter[str], form: Any
) -> None:
    def answer(state: MessagesState) -> Any:
        calls["answer"] += 1
        question = state["messages"][-1].text
        return {"messages": form({"content": question.upper(), "id": f"of {question}"})}

    graph = chat(answer, cache, checkpointer=InMemorySaver())
    messages = ask(run, graph, "hi", "how", "hi", "hi")
    assert [each.content for each in messages] == ["hi", "HI", "how", "HOW", "hi", "HI", "hi", "HI"]
    assert [each.id for each in messages[1:4:2]] == ["of hi", "of how"]
    assert len({each.id for each in messages}) == len(messages)
    assert calls["answer"] == 2


def test_a_dict_that_edits_or_removes_a_message_still_does(cache: Any, run: Run, calls: Counter[str]) -> None:
    def edit(state: MessagesState) -> Any:
        calls["edit"] += 1
        first, *_, last = state["messages"]
        removed = [{"role": "remove", "content": "", "id": first.id}] if first is not last else []
        return {"messages": [*removed, {"role": "user", "content": last.text.upper(), "id": last.id}]}

    graph = chat(edit, cache, CachePolicy(key_func=lambda state: " ".join(each.text for each in state["messages"])))
    for _ in range(2):  # the messages of the second run have other ids
        state = run(graph, {"messages": [HumanMessage("one"), HumanMessage("two")]})
        assert [each.content for each in state["messages"]] == ["TWO"]
    assert calls["edit"] == 1


def test_of_a_dict_the_calls_and_items_are_new_as_well(cache: Any, run: Run) -> None:
    content = [{"type": "text", "text": "fine", "id": "msg_1"}]
    made = {"content": content, "id": "m", "tool_calls": [{"name": "f", "args": {}, "id": "call_1"}]}
    graph = chat(lambda state: {"messages": in_a_list(made)}, cache, checkpointer=InMemorySaver())
    _, cold, _, warm = ask(run, graph, "hi", "hi")
    assert cold.tool_calls[0]["id"] == "call_1" != warm.tool_calls[0]["id"]
    assert repr([cold, warm]).count("msg_1") == 1
    assert warm.id != "m"


class Events(MessagesState):
    events: Annotated[list[dict[str, Any]], operator.add]


def test_a_dict_of_another_channel_is_data(cache: Any, run: Run) -> None:
    event = {"role": "assistant", "content": "started", "id": "event-1"}
    builder = StateGraph(Events)
    builder.add_node(
        "note", lambda state: {"events": [dict(event)]}, cache_policy=CachePolicy(key_func=lambda state: "k")
    )
    graph = builder.add_edge(START, "note").compile(cache=cache)
    for _ in range(2):
        assert run(graph, {"messages": [], "events": []})["events"] == [event]
    cache.new_message_ids = False
    graph = chat(lambda state: {"messages": [event]}, cache)
    for _ in range(2):
        assert run(graph, {"messages": [HumanMessage("hi")]})["messages"][1].id == "event-1"


@pytest.mark.parametrize(
    "value",
    [
        {"role": "assistant", "id": "x"},
        {"role": "assistant", "content": None, "id": "x"},
        {"role": "assistant", "content": "a", "id": 5},
        {"role": ["assistant"], "content": "a", "id": "x"},
        {"role": "nobody", "content": "a", "id": "x"},
        {"role": "assistant", "content": "a", "id": "x", "tool_calls": [1]},
        {"lc": 1, "type": "constructor", "id": "AIMessage", "kwargs": {"content": "a", "id": "x"}},
        {"lc": 1, "type": "constructor", "id": ["AIMessage"], "kwargs": None, "content": "a"},
    ],
)
def test_a_dict_that_is_no_message_stays_as_it_is(value: dict[str, Any]) -> None:
    writes = deque([("messages", [dict(value)])])
    renew(writes, {}, new_ids=True, channels={"messages"})
    assert writes == deque([("messages", [value])])
