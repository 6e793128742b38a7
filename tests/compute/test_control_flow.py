"""What is raised for one caller reaches that one alone; whoever waited computes for itself."""

from __future__ import annotations

import asyncio
import concurrent.futures
import unittest
from collections.abc import Callable
from typing import Any, TypedDict

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.errors import GraphInterrupt, NodeInterrupt, ParentCommand
from langgraph.graph import START, StateGraph
from langgraph.types import Command, interrupt

from compute.callers import KEY, OTHER, AsyncGated, Caller, Gated, auntil, flying, run, until, waiting
from hitrate import InMemoryCache, ReentrancyError, SqliteCache, cached
from hitrate.testing import Clock


class Cancelled(BaseException):
    """As those of trio and its like."""


FOR_ONE_ALONE: list[Callable[[], BaseException]] = [
    lambda: GraphInterrupt(()),
    lambda: ParentCommand(Command(goto="elsewhere", graph=Command.PARENT)),
    lambda: concurrent.futures.CancelledError(),
    lambda: ExceptionGroup("several", [unittest.SkipTest("which pytest would take for its own")]),
    lambda: ExceptionGroup("several", [ValueError(), ExceptionGroup("inner", [GraphInterrupt(())])]),
    lambda: BaseExceptionGroup("several", [Cancelled()]),
    lambda: asyncio.CancelledError(),
    lambda: KeyboardInterrupt(),
    lambda: SystemExit(3),
    lambda: GeneratorExit(),
    lambda: Cancelled(),
]
FOR_ALL: list[Callable[[], BaseException]] = [
    lambda: ValueError("no"),
    lambda: TimeoutError("of the function's own"),
    lambda: StopIteration("of a next()"),
    lambda: StopAsyncIteration("of an anext()"),
    lambda: ExceptionGroup("several", [ValueError()]),
]


def _name(make: Callable[[], BaseException]) -> str:
    return repr(make())


class Raising:
    """Raises to the first who has it run, and returns a value to the others."""

    def __init__(self, make: Callable[[], BaseException]) -> None:
        self.make = make
        self.first = True

    def __call__(self) -> Any:
        first, self.first = self.first, False
        if first:
            self.raised = self.make()
            raise self.raised
        return ["value"]


@pytest.mark.parametrize("lease", [None, 30])
@pytest.mark.parametrize("make", FOR_ONE_ALONE, ids=_name)
def test_of_threads_only_the_one_that_computed_is_told(
    cache: Any, make: Callable[[], BaseException], lease: float | None
) -> None:
    raising = Raising(make)
    compute = Gated(raising)
    first = Caller(lambda: cache.get_or_compute(KEY, compute, lease=lease))
    until(compute.begun.is_set)
    others = [Caller(lambda: cache.get_or_compute(KEY, compute, lease=lease)) for _ in range(3)]
    until(lambda: waiting(cache) == 3)
    compute.let()
    assert first.ended() is raising.raised
    assert [other.result() for other in others] == [["value"]] * 3
    assert flying(cache) == 0


@pytest.mark.parametrize("make", FOR_ALL, ids=_name)
def test_another_exception_is_told_to_all_who_waited(cache: Any, make: Callable[[], BaseException]) -> None:
    raising = Raising(make)
    compute = Gated(raising)
    callers = [Caller(lambda: cache.get_or_compute(KEY, compute))]
    until(compute.begun.is_set)
    callers.append(Caller(lambda: cache.get_or_compute(KEY, compute)))
    until(lambda: waiting(cache) == 1)
    compute.let()
    assert [caller.ended() for caller in callers] == [raising.raised] * 2
    assert compute.runs == 1


@pytest.mark.parametrize("lease", [None, 30])
@pytest.mark.parametrize(
    "make",
    [make for make in FOR_ONE_ALONE if not isinstance(make(), (KeyboardInterrupt, SystemExit, GeneratorExit))],
    ids=_name,
)
def test_of_tasks_only_the_one_that_computed_is_told(
    cache: Any, make: Callable[[], BaseException], lease: float | None
) -> None:
    async def main() -> None:
        compute = AsyncGated(Raising(make))
        first = asyncio.ensure_future(cache.aget_or_compute(KEY, compute, lease=lease))
        await auntil(compute.begun.is_set)
        others = [asyncio.ensure_future(cache.aget_or_compute(KEY, compute, lease=lease)) for _ in range(3)]
        await auntil(lambda: waiting(cache) == 4)
        compute.let()
        with pytest.raises(type(make())):
            await first
        assert await asyncio.gather(*others) == [["value"]] * 3

    run(main())
    assert flying(cache) == 0


def test_those_who_waited_compute_at_the_same_time(memory: Any) -> None:
    def make() -> Any:
        raise GraphInterrupt(())

    begun = Gated(make)
    first = Caller(lambda: memory.get_or_compute(KEY, begun))
    until(begun.begun.is_set)
    alone = Gated()
    others = [Caller(lambda: memory.get_or_compute(KEY, alone)) for _ in range(3)]
    until(lambda: waiting(memory) == 3)
    begun.let()
    assert isinstance(first.ended(), GraphInterrupt)
    until(lambda: alone.runs == 3)
    memory.delete([KEY])
    alone.let()
    assert [other.result() for other in others] == [["value"]] * 3
    assert memory.get([KEY]) == {}  # it was removed while they computed it


def test_many_keys_of_one_call(cache: Any) -> None:
    def interrupted(keys: Any) -> Any:
        begun()
        raise GraphInterrupt(())

    begun = Gated()
    first = Caller(lambda: cache.get_or_compute_many([KEY, OTHER], interrupted))
    until(begun.begun.is_set)
    other = Caller(lambda: cache.get_or_compute_many([OTHER, KEY], lambda keys: dict.fromkeys(keys, 1)))
    until(lambda: waiting(cache, OTHER) == 1)
    begun.let()
    assert isinstance(first.ended(), GraphInterrupt)
    assert other.result() == {OTHER: 1, KEY: 1}


def _asks() -> Any:
    return _in_asks()


_in_asks: Callable[[], Any] = print


@pytest.mark.filterwarnings("ignore:NodeInterrupt is deprecated")
def test_control_flow_is_not_kept_as_an_error(cache: Any, monkeypatch: Any) -> None:
    monkeypatch.setitem(globals(), "_in_asks", Raising(lambda: NodeInterrupt("sure?")))
    asks = cached(cache, cache_errors=Exception, error_ttl=60)(_asks)
    with pytest.raises(NodeInterrupt):
        asks()
    assert asks() == ["value"]


def test_an_interrupt_in_the_background_leaves_the_old_value(cache: Any, clock: Clock, caplog: Any) -> None:
    def interrupted() -> Any:
        raise GraphInterrupt(())

    cache.get_or_compute(KEY, lambda: "old", 10, stale=60)
    clock.advance(20)
    assert cache.get_or_compute(KEY, interrupted, 10, stale=60) == "old"
    until(lambda: "GraphInterrupt" in caplog.text)
    until(lambda: not flying(cache))
    assert cache.get_or_compute(KEY, lambda: "old", 10, stale=60) == "old"


class State(TypedDict, total=False):
    question: str
    answer: str


def _graph(node: Any) -> Any:
    builder = StateGraph(State)
    builder.add_node("ask", node)
    builder.add_edge(START, "ask")
    return builder.compile(checkpointer=InMemorySaver())


def _config(thread: str) -> Any:
    return {"configurable": {"thread_id": thread}}


@pytest.mark.parametrize("lease", [None, 30])
@pytest.mark.parametrize("by_id", [True, False])
def test_runs_that_meet_in_an_async_node_are_asked_and_answered_each(
    cache: Any, by_id: bool, lease: float | None
) -> None:
    async def main() -> None:
        async def ask(state: State) -> State:
            await asyncio.sleep(0.01)
            return {"answer": str(interrupt("sure?"))}

        graph = _graph(cached(cache, cache_if=lambda result: False, lease=lease)(ask))
        runs = "ABC"
        await asyncio.gather(*(graph.ainvoke({"question": "1"}, _config(each)) for each in runs))
        ids = {}
        for each in runs:
            ((asked),) = (await graph.aget_state(_config(each))).interrupts
            ids[each] = asked.id
        assert len({*ids.values()}) == 3
        answers = await asyncio.gather(
            *(graph.ainvoke(Command(resume={ids[each]: each} if by_id else each), _config(each)) for each in runs)
        )
        assert [answer["answer"] for answer in answers] == list(runs)

    run(main())


def test_runs_that_meet_in_a_sync_node_are_asked_and_answered_each(cache: Any, monkeypatch: Any) -> None:
    gate = Gated(lambda: None)
    monkeypatch.setitem(globals(), "_in_asks", gate)

    def ask(state: State) -> State:
        _asks()
        return {"answer": str(interrupt("sure?"))}

    graph = _graph(cached(cache, cache_if=lambda result: False)(ask))
    callers = [Caller(lambda each=each: graph.invoke({"question": "1"}, _config(each))) for each in "ABC"]  # type: ignore[misc]
    until(lambda: sum(flight.waiting for flight in [*cache._computing.flights._flights.values()]) == 2)
    gate.let()
    for caller in callers:
        caller.result()
    answers = [Caller(lambda each=each: graph.invoke(Command(resume=each), _config(each))) for each in "ABC"]  # type: ignore[misc]
    assert [answer.result()["answer"] for answer in answers] == ["A", "B", "C"]


def test_who_computes_alone_and_asks_for_itself_is_told(memory: Any) -> None:
    def ask(state: State) -> State:
        interrupt("sure?")
        return memory.get_or_compute(KEY, lambda: ask(state))  # type: ignore[no-any-return]

    graph = _graph(lambda state: memory.get_or_compute(KEY, lambda: ask(state)))
    graph.invoke({"question": "1"}, _config("A"))
    with pytest.raises(ReentrancyError):
        graph.invoke(Command(resume="yes"), _config("A"))


def test_hosts_are_not_imported() -> None:
    import subprocess
    import sys

    code = (
        "import sys, hitrate\n"
        "c = hitrate.InMemoryCache()\n"
        "try: c.get_or_compute((('n',), 'k'), lambda: 1 / 0)\n"
        "except ZeroDivisionError: pass\n"
        "assert not [m for m in sys.modules if m.startswith('lang')]"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_a_file_and_its_memory_agree(tmp_path: Any) -> None:
    """A lease that an interrupted computation had is given back at once."""
    with SqliteCache(path=tmp_path / "c.db") as one, SqliteCache(path=tmp_path / "c.db") as two:
        with pytest.raises(GraphInterrupt):
            one.get_or_compute(KEY, Raising(lambda: GraphInterrupt(())), lease=300)
        assert two.get_or_compute(KEY, lambda: 2, lease=300) == 2
    assert InMemoryCache().get([KEY]) == {}
