"""What nodes return is restored exactly, or not cached."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langgraph.cache.memory import InMemoryCache as LangGraphInMemoryCache
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.serde.encrypted import EncryptedSerializer
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.graph import START, StateGraph
from langgraph.types import CachePolicy, Command, Send
from sample_graphs import Chat, Run, Work, counting_documents, one_node

from graphs.conftest import EVERY_KIND
from hitrate import MsgpackSerializer


@pytest.fixture(params=EVERY_KIND)
def store_kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def without_id(message: BaseMessage) -> BaseMessage:
    return message.model_copy(update={"id": None})


class TestWhatNodesReturn:
    """Whatever a node may write is restored as it was."""

    def test_messages(self, cache: Any, run: Run, calls: Counter[str]) -> None:
        def answer(state: Chat) -> Chat:
            calls["answer"] += 1
            return {
                "messages": [
                    AIMessage(
                        "It is sunny.",
                        id="answer-1",
                        tool_calls=[{"name": "weather", "args": {"city": "Rome"}, "id": "call-1"}],
                        usage_metadata={"input_tokens": 3, "output_tokens": 4, "total_tokens": 7},
                        response_metadata={"model": "m"},
                    )
                ]
            }

        builder = StateGraph(Chat)
        builder.add_node("answer", answer, cache_policy=CachePolicy(key_func=lambda state: state["question"]))
        graph = builder.add_edge(START, "answer").compile(cache=cache)
        question = {"question": "Rome?", "messages": [HumanMessage("Rome?", id="question-1")]}
        first = run(graph, question)
        for _ in range(4):
            again = run(graph, question)
            # A hit is a new message: in a thread it follows the first one, and does not replace it.
            assert again["messages"][1].id not in (None, first["messages"][1].id)
            assert [without_id(each) for each in again["messages"]] == [without_id(each) for each in first["messages"]]
            assert list(map(type, again["messages"])) == [HumanMessage, AIMessage]
            assert again["messages"][1].model_fields_set == first["messages"][1].model_fields_set
            again["messages"][1].content = "changed by the caller"
            again["messages"][1].tool_calls[0]["args"]["city"] = "changed by the caller"
        assert calls["answer"] == 1

    def test_a_message_without_an_id_is_a_new_one_each_time(self, cache: Any) -> None:
        """`add_messages` gives it an id in place, after the node and while it is being written."""

        def answer(state: Chat) -> Chat:
            return {"messages": [AIMessage("It is sunny.")]}

        builder = StateGraph(Chat)
        builder.add_node("answer", answer, cache_policy=CachePolicy(key_func=lambda state: state["question"]))
        graph = builder.add_edge(START, "answer").compile(cache=cache, checkpointer=InMemorySaver())
        for number in range(1, 4):
            state = asyncio.run(
                graph.ainvoke({"question": "Rome?", "messages": []}, config={"configurable": {"thread_id": "1"}})
            )
            assert len({message.id for message in state["messages"]}) == number

    def test_a_command(self, cache: Any, run: Run, calls: Counter[str]) -> None:
        def decide(state: Work) -> Command[Any]:
            calls["decide"] += 1
            return Command(update={"done": ["decide"]}, goto="even" if state["number"] % 2 == 0 else "odd")

        builder = StateGraph(Work)
        builder.add_node("decide", decide, cache_policy=CachePolicy(), destinations=("even", "odd"))
        builder.add_node("even", lambda state: {"done": ["even"]})
        builder.add_node("odd", lambda state: {"done": ["odd"]})
        graph = builder.add_edge(START, "decide").compile(cache=cache)
        for _ in range(2):
            assert run(graph, {"number": 2})["done"] == ["decide", "even"]
            assert run(graph, {"number": 3})["done"] == ["decide", "odd"]
        assert calls["decide"] == 2

    def test_a_command_that_sends(self, cache: Any, run: Run, calls: Counter[str]) -> None:
        def split(state: Work) -> Command[Any]:
            calls["split"] += 1
            return Command(goto=[Send("part", {"number": number}) for number in range(state["number"])])

        def part(state: Work) -> Work:
            calls["part"] += 1
            return {"done": [f"part {state['number']}"]}

        builder = StateGraph(Work)
        builder.add_node("split", split, cache_policy=CachePolicy(), destinations=("part",))
        builder.add_node("part", part, cache_policy=CachePolicy())
        graph = builder.add_edge(START, "split").compile(cache=cache)
        for _ in range(3):
            assert run(graph, {"number": 3})["done"] == ["part 0", "part 1", "part 2"]
        assert calls == {"split": 1, "part": 3}

    def test_edges_that_send(self, cache: Any, run: Run, calls: Counter[str]) -> None:
        def plan(state: Work) -> Work:
            calls["plan"] += 1
            return {"items": [1, 2, 3]}

        builder = StateGraph(Work)
        builder.add_node("plan", plan, cache_policy=CachePolicy())
        builder.add_node("part", lambda state: {"done": [str(state["number"])]})
        builder.add_edge(START, "plan")
        builder.add_conditional_edges(
            "plan", lambda state: [Send("part", {"number": item}) for item in state["items"]], ["part"]
        )
        graph = builder.compile(cache=cache)
        for _ in range(2):
            assert run(graph, {"number": 1})["done"] == ["1", "2", "3"]
        assert calls["plan"] == 1

    def test_nothing(self, cache: Any, run: Run, calls: Counter[str]) -> None:
        def node(state: Work) -> None:
            calls["node"] += 1

        graph = one_node(node, cache)
        for _ in range(2):
            assert run(graph, {"number": 1}) == {"number": 1, "done": []}
        assert calls["node"] == 1

    def test_an_error_is_not_cached(self, cache: Any, run: Run, calls: Counter[str]) -> None:
        def node(state: Work) -> Work:
            calls["node"] += 1
            if calls["node"] == 1:
                raise LookupError("the first time only")
            return {"items": ["value"]}

        graph = one_node(node, cache)
        with pytest.raises(LookupError):
            run(graph, {"number": 1})
        assert run(graph, {"number": 1})["items"] == ["value"]


class TestValuesAreExact:
    def test_what_a_later_node_changes_does_not_reach_the_cache(self, cache: Any, calls: Counter[str]) -> None:
        """`ainvoke` writes in the background, while later nodes change the very objects it writes."""
        graph = self.changing(cache, calls)
        for number in range(100):
            assert asyncio.run(graph.ainvoke({"number": number}))["items"] == ["made", "changed"]
        for number in range(100):
            assert asyncio.run(graph.ainvoke({"number": number}))["items"] == ["made", "changed"]
        assert calls["make"] == 100

    def test_what_a_run_changes_does_not_reach_the_next(self, cache: Any, run: Run, calls: Counter[str]) -> None:
        """Nor do changes of what was read from the cache."""
        graph = self.changing(cache, calls)
        run(self.changing(cache, calls, change=False), {"number": 1})
        assert cache.stats().entries == 1
        for _ in range(5):
            assert run(graph, {"number": 1})["items"] == ["made", "changed"]
        assert calls["make"] == 1

    def changing(self, cache: Any, calls: Counter[str], *, change: bool = True) -> Any:
        def make(state: Work) -> Work:
            calls["make"] += 1
            return {"items": ["made"]}

        def change_it(state: Work) -> Work:
            if change:
                state["items"].append("changed")
            return {"done": ["change"]}

        builder = StateGraph(Work)
        builder.add_node("make", make, cache_policy=CachePolicy(key_func=lambda state: str(state["number"])))
        builder.add_node("change", change_it)
        return builder.add_edge(START, "make").add_edge("make", "change").compile(cache=cache)


class Unknown:
    """Of no family that a serializer knows."""

    def __init__(self) -> None:
        self.lock = threading.Lock()


UNSTORABLE: dict[str, Callable[[], Any]] = {
    "_thread.lock": threading.Lock,
    "Unknown": Unknown,
    "Local": lambda: dataclass(type("Local", (), {"__qualname__": "function.<locals>.Local"}))(),
    "generator": lambda: (each for each in "abc"),
}


class TestWhatCannotBeStored:
    """The entry is left out, logged once for each type, and counted; the run goes on."""

    @pytest.mark.parametrize("kind", UNSTORABLE)
    def test_lets_the_run_go_on(
        self, cache: Any, run: Run, calls: Counter[str], kind: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        def node(state: Work) -> Work:
            calls["node"] += 1
            return {"items": [UNSTORABLE[kind]()], "done": ["node"]}

        graph = one_node(node, cache)
        for number in (1, 1, 2):
            assert run(graph, {"number": number})["done"] == ["node"]
        assert calls["node"] == 3
        stats = cache.stats()
        assert (stats.hits, stats.sets, stats.errors, stats.entries) == (0, 0, 3, 0)
        assert len(caplog.records) == 1
        assert kind in caplog.text

    def test_is_logged_once_for_each_type(self, cache: Any, run: Run, caplog: pytest.LogCaptureFixture) -> None:
        makers = list(UNSTORABLE.values())
        graph = one_node(lambda state: {"items": [makers[state["number"] % len(makers)]()]}, cache)
        for number in range(3 * len(makers)):
            run(graph, {"number": number})
        assert [record.name for record in caplog.records] == ["hitrate"] * len(makers)

    def test_leaves_the_other_tasks_cached(self, cache: Any, run: Run, calls: Counter[str]) -> None:
        def part(number: int) -> Work:
            calls[str(number)] += 1
            return {"done": [threading.Lock() if number == 2 else number]}

        builder = StateGraph(Work)
        builder.add_node("part", part, cache_policy=CachePolicy())
        builder.add_conditional_edges(START, lambda state: [Send("part", number) for number in range(4)], ["part"])
        graph = builder.compile(cache=cache)
        for _ in range(2):
            assert [type(each) for each in run(graph, {"number": 1})["done"]] == [int, int, type(threading.Lock()), int]
        assert calls == {"0": 1, "1": 1, "2": 2, "3": 1}


class Mirror:
    """A cipher that needs no key."""

    def encrypt(self, plaintext: bytes) -> tuple[str, bytes]:
        return "mirror", plaintext[::-1]

    def decrypt(self, ciphername: str, ciphertext: bytes) -> bytes:
        return ciphertext[::-1]


class TestSerializers:
    """LangGraph's serializers work in our caches, and ours in LangGraph's."""

    @pytest.mark.parametrize("serde", [JsonPlusSerializer(), EncryptedSerializer(Mirror())], ids=["plain", "encrypted"])
    def test_those_of_langgraph(self, open_cache: Any, run: Run, calls: Counter[str], serde: Any) -> None:
        def node(state: Work) -> Work:
            calls["node"] += 1
            return {"items": [state["number"], {"a": None}], "done": [HumanMessage("hello", id="1")]}

        graph = one_node(node, cache := open_cache(serde=serde))
        cache.new_message_ids = False
        first = run(graph, {"number": 1})
        assert run(graph, {"number": 1}) == first
        assert calls["node"] == 1
        assert cache.stats().errors == 0

    def test_our_serializer_in_the_caches_of_langgraph(self, run: Run, calls: Counter[str]) -> None:
        graph = counting_documents(calls, LangGraphInMemoryCache(serde=MsgpackSerializer()))
        first = run(graph, {"documents": ["a", "bb"]})
        assert run(graph, {"documents": ["a", "bb"]}) == first
        assert calls == {"measure": 2, "join": 1}
