"""hitrate.langgraph in real graphs: a run is fast the second time, exact each time, and survives its cache."""

from __future__ import annotations

import asyncio
import operator
import random
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypedDict

import pytest
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage
from langgraph.cache.memory import InMemoryCache as LangGraphInMemoryCache
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.serde.encrypted import EncryptedSerializer
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.func import entrypoint, task
from langgraph.graph import START, StateGraph
from langgraph.graph.message import add_messages
from langgraph.types import CachePolicy, Command, Send, interrupt

from hitrate import ClosedError, MsgpackSerializer
from hitrate.langgraph import InMemoryCache, SqliteCache
from hitrate.testing import Clock


class Documents(TypedDict, total=False):
    documents: Sequence[str]
    lengths: Annotated[list[tuple[str, int]], operator.add]
    total: int


class Chat(TypedDict, total=False):
    question: str
    messages: Annotated[list[AnyMessage], add_messages]


class Work(TypedDict, total=False):
    number: int
    items: list[Any]
    done: Annotated[list[Any], operator.add]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["memory", "sqlite"])
def open_cache(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> Iterator[Callable[..., Any]]:
    """A function that opens a cache of each kind in turn; a SqliteCache is on the same file each time."""
    with ExitStack() as at_the_end:

        def open_one(**options: Any) -> Any:
            options.setdefault("clock", clock)
            if request.param == "memory":
                cache: Any = InMemoryCache(**options)
            else:
                cache = SqliteCache(path=tmp_path / "cache.db", **options)
            return at_the_end.enter_context(cache)

        yield open_one


@pytest.fixture
def cache(open_cache: Callable[..., Any]) -> Any:
    return open_cache()


Run = Callable[..., Any]


@pytest.fixture(params=["invoke", "ainvoke"])
def run(request: pytest.FixtureRequest) -> Run:
    """Runs a graph through each face in turn, each run of the async one in an event loop of its own."""

    def run_it(graph: Any, given: Any, **options: Any) -> Any:
        if request.param == "invoke":
            return graph.invoke(given, **options)
        return asyncio.run(graph.ainvoke(given, **options))

    run_it.is_async = request.param == "ainvoke"  # type: ignore[attr-defined]
    return run_it


@pytest.fixture
def calls() -> Counter[str]:
    """How often each node was executed."""
    return Counter()


def counting_documents(calls: Counter[str], cache: Any, *, ttl: int | None = None) -> Any:
    """A graph that fans out: one task for each document, joined at the end, all of it cached."""

    def fan_out(state: Documents) -> list[Send]:
        return [Send("measure", document) for document in state["documents"]]

    def measure(document: str) -> Documents:
        calls["measure"] += 1
        return {"lengths": [(document, len(document))]}

    def join(state: Documents) -> Documents:
        calls["join"] += 1
        return {"total": sum(length for _, length in state["lengths"])}

    builder = StateGraph(Documents)
    builder.add_node("measure", measure, cache_policy=CachePolicy(ttl=ttl))
    builder.add_node("join", join, cache_policy=CachePolicy(key_func=lambda s: repr(s["lengths"]), ttl=ttl))
    builder.add_conditional_edges(START, fan_out, ["measure"])
    builder.add_edge("measure", "join")
    return builder.compile(cache=cache)


def one_node(node: Callable[[Any], Any], cache: Any, **policy: Any) -> Any:
    """A graph of one cached node, keyed by the state's number."""
    policy.setdefault("key_func", lambda state: str(state.get("number")))
    return (
        StateGraph(Work)
        .add_node("node", node, cache_policy=CachePolicy(**policy))
        .add_edge(START, "node")
        .compile(cache=cache)
    )


class TestASecondRun:
    """A second run of the same input executes nothing and returns the same."""

    DOCUMENTS = tuple(f"document {'x' * number}" for number in range(40))

    def test_of_a_fan_out_is_all_hits(self, cache: Any, run: Run, calls: Counter[str]) -> None:
        graph = counting_documents(calls, cache)
        first = run(graph, {"documents": self.DOCUMENTS})
        assert calls == {"measure": 40, "join": 1}
        second = run(graph, {"documents": self.DOCUMENTS})
        assert calls == {"measure": 40, "join": 1}
        assert second == first
        assert [type(pair) for pair in second["lengths"]] == [tuple] * 40
        stats = cache.stats()
        assert (stats.hits, stats.misses, stats.sets, stats.errors, stats.entries) == (41, 41, 41, 0, 41)

    def test_executes_only_what_is_new(self, cache: Any, run: Run, calls: Counter[str]) -> None:
        graph = counting_documents(calls, cache)
        run(graph, {"documents": self.DOCUMENTS[:30]})
        run(graph, {"documents": self.DOCUMENTS})
        assert calls == {"measure": 40, "join": 2}

    def test_of_another_graph_on_the_same_cache(self, cache: Any, run: Run, calls: Counter[str]) -> None:
        first = run(counting_documents(calls, cache), {"documents": self.DOCUMENTS})
        assert run(counting_documents(calls, cache), {"documents": self.DOCUMENTS}) == first
        assert calls == {"measure": 40, "join": 1}

    def test_in_the_other_face(self, cache: Any, calls: Counter[str]) -> None:
        graph = counting_documents(calls, cache)
        first = graph.invoke({"documents": self.DOCUMENTS})
        assert asyncio.run(graph.ainvoke({"documents": self.DOCUMENTS})) == first
        assert calls == {"measure": 40, "join": 1}

    def test_after_the_ttl_executes_again(self, cache: Any, run: Run, calls: Counter[str], clock: Clock) -> None:
        graph = counting_documents(calls, cache, ttl=60)
        run(graph, {"documents": self.DOCUMENTS})
        clock.advance(59)
        run(graph, {"documents": self.DOCUMENTS})
        assert calls["measure"] == 40
        clock.advance(1)
        run(graph, {"documents": self.DOCUMENTS})
        assert calls["measure"] == 80

    def test_uses_the_default_ttl_of_the_cache(
        self, open_cache: Any, run: Run, calls: Counter[str], clock: Clock
    ) -> None:
        graph = counting_documents(calls, open_cache(default_ttl=60))
        run(graph, {"documents": self.DOCUMENTS})
        clock.advance(60)
        run(graph, {"documents": self.DOCUMENTS})
        assert calls["measure"] == 80

    def test_is_decided_by_the_key_function(self, cache: Any, run: Run, calls: Counter[str]) -> None:
        def node(state: Work) -> Work:
            calls["node"] += 1
            return {"items": [state["number"]]}

        graph = one_node(node, cache, key_func=lambda state: b"even" if state["number"] % 2 == 0 else b"odd")
        assert [run(graph, {"number": number})["items"] for number in range(5)] == [[0], [1], [0], [1], [0]]
        assert calls["node"] == 2

    def test_saves_the_seconds_of_the_first(self, cache: Any, run: Run, clock: Clock) -> None:
        def node(state: Work) -> Work:
            clock.advance(3)
            return {"items": [1]}

        graph = one_node(node, cache)
        run(graph, {"number": 1})
        run(graph, {"number": 1})
        assert cache.stats().seconds_saved == pytest.approx(3, abs=0.01)


class TestTheFunctionalApi:
    def test_a_task_is_executed_once(self, cache: Any, run: Run, calls: Counter[str]) -> None:
        @task(cache_policy=CachePolicy(ttl=60))
        def square(number: int) -> int:
            calls["square"] += 1
            return number * number

        @task(cache_policy=CachePolicy())
        async def asquare(number: int) -> int:
            calls["square"] += 1
            return number * number

        @entrypoint(cache=cache)
        def squares(numbers: list[int]) -> list[int]:
            return [future.result() for future in [square(number) for number in numbers]]

        @entrypoint(cache=cache)
        async def asquares(numbers: list[int]) -> list[int]:
            return list(await asyncio.gather(*(asquare(number) for number in numbers)))

        graph = asquares if run.is_async else squares  # type: ignore[attr-defined]
        for _ in range(3):
            assert run(graph, list(range(10))) == [number**2 for number in range(10)]
        assert calls["square"] == 10

    def test_an_entrypoint_is_executed_once(self, cache: Any, run: Run, calls: Counter[str]) -> None:
        @entrypoint(cache=cache, cache_policy=CachePolicy())
        def double(number: int) -> int:
            calls["double"] += 1
            return 2 * number

        assert [run(double, 4), run(double, 4), run(double, 5)] == [8, 8, 10]
        assert calls["double"] == 2


class TestClearCache:
    def clear(self, run: Run, graph: Any, **options: Any) -> None:
        if run.is_async:  # type: ignore[attr-defined]
            asyncio.run(graph.aclear_cache(**options))
        else:
            graph.clear_cache(**options)

    def test_of_an_empty_cache(self, cache: Any, run: Run, calls: Counter[str]) -> None:
        self.clear(run, counting_documents(calls, cache))
        assert cache.stats().entries == 0

    def test_of_the_whole_graph(self, cache: Any, run: Run, calls: Counter[str]) -> None:
        graph = counting_documents(calls, cache)
        run(graph, {"documents": ["a", "b"]})
        self.clear(run, graph)
        assert cache.stats().entries == 0
        run(graph, {"documents": ["a", "b"]})
        assert calls == {"measure": 4, "join": 2}

    def test_of_one_node(self, cache: Any, run: Run, calls: Counter[str]) -> None:
        graph = counting_documents(calls, cache)
        run(graph, {"documents": ["a", "b"]})
        self.clear(run, graph, nodes=["measure"])
        run(graph, {"documents": ["a", "b"]})
        assert calls == {"measure": 4, "join": 1}

    def test_leaves_what_is_not_of_the_graph(self, cache: Any, run: Run, calls: Counter[str]) -> None:
        other = (("other",), "key")
        cache.set({other: ("value", None)})
        graph = counting_documents(calls, cache)
        run(graph, {"documents": ["a", "b"]})
        self.clear(run, graph)
        assert cache.get([other]) == {other: "value"}


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
            assert again == first
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


class TestBadDays:
    """Whatever happens to what is stored, a run is as it would be without a cache."""

    def test_an_entry_that_cannot_be_decoded_is_executed_again(
        self, open_cache: Any, run: Run, calls: Counter[str], caplog: pytest.LogCaptureFixture
    ) -> None:
        class Broken(MsgpackSerializer):
            def loads_typed(self, data: tuple[str, bytes]) -> Any:
                value = super().loads_typed(data)
                if ("lengths", [("bad", 3)]) in value:
                    raise ValueError("damaged")
                return value

        graph = counting_documents(calls, open_cache(serde=Broken()))
        first = run(graph, {"documents": ["good", "bad", "better"]})
        assert run(graph, {"documents": ["good", "bad", "better"]}) == first
        assert calls == {"measure": 4, "join": 1}
        assert "damaged" in caplog.text

    def test_a_serializer_that_fails_is_a_cache_that_is_not_there(
        self, open_cache: Any, run: Run, calls: Counter[str], caplog: pytest.LogCaptureFixture
    ) -> None:
        class Failing(MsgpackSerializer):
            def dumps_typed(self, obj: Any) -> tuple[str, bytes]:
                raise OSError("the key server is down")

        graph = counting_documents(calls, cache := open_cache(serde=Failing()))
        assert run(graph, {"documents": ["a", "b"]})["total"] == 2
        assert run(graph, {"documents": ["a", "b"]})["total"] == 2
        assert (calls["measure"], cache.stats().errors) == (4, 6)
        assert "the key server is down" in caplog.text

    def test_use_after_close_is_a_mistake_and_raises(self, cache: Any, run: Run, calls: Counter[str]) -> None:
        graph = counting_documents(calls, cache)
        cache.close()
        with pytest.raises(ClosedError):
            run(graph, {"documents": ["a"]})

    def test_a_bounded_cache_only_forgets(self, open_cache: Any, run: Run, calls: Counter[str]) -> None:
        graph = counting_documents(calls, open_cache(max_entries=10))
        documents = [str(number) for number in range(50)]
        first = run(graph, {"documents": documents})
        assert run(graph, {"documents": documents}) == first
        assert calls["measure"] > 50


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
        first = run(graph, {"number": 1})
        assert run(graph, {"number": 1}) == first
        assert calls["node"] == 1
        assert cache.stats().errors == 0

    def test_our_serializer_in_the_caches_of_langgraph(self, run: Run, calls: Counter[str]) -> None:
        graph = counting_documents(calls, LangGraphInMemoryCache(serde=MsgpackSerializer()))
        first = run(graph, {"documents": ["a", "bb"]})
        assert run(graph, {"documents": ["a", "bb"]}) == first
        assert calls == {"measure": 2, "join": 1}


class TestStopsAndSubgraphs:
    def test_a_node_that_interrupts_is_cached_when_it_has_finished(
        self, cache: Any, run: Run, calls: Counter[str]
    ) -> None:
        def prepare(state: Work) -> Work:
            calls["prepare"] += 1
            return {"items": ["prepared"]}

        def ask(state: Work) -> Work:
            calls["ask"] += 1
            return {"done": [interrupt("go on?")]}

        builder = StateGraph(Work)
        builder.add_node("prepare", prepare, cache_policy=CachePolicy())
        builder.add_node("ask", ask, cache_policy=CachePolicy())
        builder.add_edge(START, "prepare").add_edge("prepare", "ask")
        graph = builder.compile(cache=cache, checkpointer=InMemorySaver())

        first = {"configurable": {"thread_id": "1"}}
        stopped = run(graph, {"number": 1}, config=first)
        assert stopped["__interrupt__"][0].value == "go on?"
        assert calls == {"prepare": 1, "ask": 1}
        assert run(graph, Command(resume="yes"), config=first)["done"] == ["yes"]
        assert calls == {"prepare": 1, "ask": 2}

        second = run(graph, {"number": 1}, config={"configurable": {"thread_id": "2"}})
        assert calls["prepare"] == 1
        assert second["items"] == ["prepared"]

    def test_a_subgraph_with_a_cache_of_its_own(self, cache: Any, run: Run, calls: Counter[str]) -> None:
        def inner(state: Work) -> Work:
            calls["inner"] += 1
            return {"items": [state["number"]]}

        def outer(state: Work) -> Work:
            calls["outer"] += 1
            return {"done": ["outer"]}

        subgraph = one_node(inner, cache)
        builder = StateGraph(Work)
        builder.add_node("outer", outer, cache_policy=CachePolicy(key_func=lambda state: str(state["number"])))
        builder.add_node("subgraph", subgraph)
        graph = builder.add_edge(START, "outer").add_edge("outer", "subgraph").compile(cache=cache)
        for _ in range(3):
            assert run(graph, {"number": 7})["items"] == [7]
        assert calls == {"inner": 1, "outer": 1}

    def test_a_subgraph_that_is_a_cached_node(self, cache: Any, run: Run, calls: Counter[str]) -> None:
        def inner(state: Work) -> Work:
            calls["inner"] += 1
            return {"items": [state["number"]]}

        subgraph = StateGraph(Work).add_node("inner", inner).add_edge(START, "inner").compile()
        graph = one_node(subgraph, cache)
        for _ in range(3):
            assert run(graph, {"number": 7})["items"] == [7]
        assert calls == {"inner": 1}

    def test_runs_at_the_same_time_share_a_cache(self, cache: Any, calls: Counter[str]) -> None:
        graph = counting_documents(calls, cache)

        async def several() -> list[Any]:
            given = [{"documents": [f"{'x' * run} {number}" for number in range(20)]} for run in range(8)]
            return await asyncio.gather(*(graph.ainvoke(each) for each in given * 2))

        results = asyncio.run(several())
        assert results[:8] == results[8:]
        with ThreadPoolExecutor(4) as pool:
            again = list(pool.map(graph.invoke, [{"documents": each["documents"]} for each in results]))
        assert again == results
        assert cache.stats().errors == 0


class TestTheFile:
    """What is particular to a SqliteCache."""

    DOCUMENTS = tuple(f"document {number}" for number in range(20))

    def test_a_run_in_another_process_is_all_hits(self, tmp_path: Path, run: Run, calls: Counter[str]) -> None:
        path = tmp_path / "cache.db"
        with SqliteCache[Any](path=path) as cache:
            first = run(counting_documents(calls, cache), {"documents": self.DOCUMENTS})
        with SqliteCache[Any](path=path) as cache:
            assert run(counting_documents(calls, cache), {"documents": self.DOCUMENTS}) == first
            assert (cache.stats().hits, cache.stats().misses) == (21, 0)
        assert calls == {"measure": 20, "join": 1}

    def test_two_graphs_with_a_handle_each_share_it(self, tmp_path: Path, run: Run, calls: Counter[str]) -> None:
        path = tmp_path / "cache.db"
        with SqliteCache[Any](path=path) as one, SqliteCache[Any](path=path) as other:
            first = run(counting_documents(calls, one), {"documents": self.DOCUMENTS})
            assert run(counting_documents(calls, other), {"documents": self.DOCUMENTS}) == first
            assert calls == {"measure": 20, "join": 1}
            counting_documents(calls, one).clear_cache()
            assert other.stats().entries == 0

    @pytest.mark.parametrize("when", ["before it is opened", "while it is open"])
    def test_a_damaged_file_lets_the_run_go_on(
        self, tmp_path: Path, run: Run, calls: Counter[str], when: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        path = tmp_path / "cache.db"
        with SqliteCache[Any](path=path) as cache:
            first = run(counting_documents(calls, cache), {"documents": self.DOCUMENTS})
        if when == "before it is opened":
            self.damage(path)
        with SqliteCache[Any](path=path) as cache:
            if when == "while it is open":
                self.damage(path)
            for _ in range(2):
                assert run(counting_documents(calls, cache), {"documents": self.DOCUMENTS}) == first
        assert calls["measure"] >= 20

    def damage(self, path: Path) -> None:
        """Overwrite all pages but the first with noise."""
        size = path.stat().st_size
        with path.open("r+b") as file:
            file.seek(4096)
            file.write(random.Random(1).randbytes(max(0, size - 4096)))

    def test_a_file_that_another_process_has_locked_lets_the_run_go_on(
        self, tmp_path: Path, run: Run, calls: Counter[str]
    ) -> None:
        def node(state: Work) -> Work:
            calls[str(state["number"])] += 1
            return {"items": [state["number"]]}

        path = tmp_path / "cache.db"
        with SqliteCache[Any](path=path) as cache:
            graph = one_node(node, cache)
            run(graph, {"number": 1})
            with locked_by_another_process(path):
                assert run(graph, {"number": 1})["items"] == [1]
                assert calls == {"1": 1}, "a read waited for, or failed because of, a writer"
                assert run(graph, {"number": 2})["items"] == [2]
            for _ in range(2):
                assert run(graph, {"number": 3})["items"] == [3]
            assert calls["3"] == 1


@contextmanager
def locked_by_another_process(path: Path) -> Iterator[None]:
    """Hold a database's write lock in another process: two copies of SQLite in one do not see each other's locks."""
    lock = (
        "import sqlite3, sys\n"
        "connection = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "connection.execute('BEGIN IMMEDIATE')\n"
        "print('locked', flush=True)\n"
        "sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", lock, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "locked\n"
        yield
        other.communicate()
