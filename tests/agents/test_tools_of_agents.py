"""The calls of an agent's tools: which are cached, what is found again, and how it comes back."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass
from typing import Annotated, Any

import pytest
from langchain.agents import create_agent
from langchain.tools import ToolRuntime
from langchain_core.messages import AIMessage, ToolMessage
from langchain_core.tools import BaseTool, InjectedToolCallId, tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command, interrupt
from sample_agents import (
    Calls,
    Run,
    SampleModel,
    agent_that_looks,
    agent_with,
    asking,
    call_of,
    results,
    thread,
    tool_that_looks,
)

from hitrate.langchain import CacheMiddleware


def test_only_tools_that_are_named_are_cached(in_memory: Any, calls: Calls, run: Run) -> None:
    @tool
    def other(q: str) -> str:
        """Another."""
        calls["other"] += 1
        return q

    agent = agent_with(
        [tool_that_looks(calls), other],
        lambda: [call_of("look", q="x"), call_of("other", q="x")],
        in_memory,
        tools=["look"],
    )
    for _ in range(2):
        run(agent, asking("x"))
    assert calls == {"look": 1, "other": 2}


@pytest.mark.parametrize(("metadata", "number"), [({"cacheable": True}, 1), ({"cacheable": False}, 2), ({}, 2)])
def test_a_tool_may_say_that_it_is_cacheable(
    metadata: dict[str, Any], number: int, in_memory: Any, calls: Calls, run: Run
) -> None:
    look = tool_that_looks(calls)
    look.metadata = metadata
    agent = agent_with([look], lambda: [call_of("look", q="x")], in_memory)
    for _ in range(2):
        run(agent, asking("x"))
    assert calls["look"] == number


def test_each_tool_may_have_a_ttl(open_cache: Any, calls: Calls, clock: Any, run: Run) -> None:
    @tool
    def other(q: str) -> str:
        """Another."""
        calls["other"] += 1
        return q

    agent = agent_with(
        [tool_that_looks(calls), other],
        lambda: [call_of("look", q="x"), call_of("other", q="x")],
        open_cache(),
        tools={"look": 10, "other": None},
        ttl=100,
    )
    for seconds, look, others in ((0, 1, 1), (9, 1, 1), (2, 2, 1), (90, 3, 2)):
        clock.advance(seconds)
        run(agent, asking("x"))
        assert calls == {"look": look, "other": others}


def test_a_result_comes_back_as_it_was_with_the_id_of_its_call(cache: Any, calls: Calls, run: Run) -> None:
    @tool(response_format="content_and_artifact")
    def look(q: str) -> tuple[list[Any], dict[str, Any]]:
        """Look it up."""
        calls["look"] += 1
        return [{"type": "text", "text": q}], {"rows": [1, 2], "of": (3, 4)}

    made: list[dict[str, Any]] = []

    def calling() -> list[dict[str, Any]]:
        made.append(call_of("look", q="x"))
        return made[-1:]

    for _ in range(2):
        (result,) = results(run(agent_with([look], calling, cache, tools=["look"]), asking("x")))
        assert result.tool_call_id == made[-1]["id"]
        assert (result.name, result.content, result.status) == ("look", [{"type": "text", "text": "x"}], "success")
        assert result.artifact == {"rows": [1, 2], "of": (3, 4)}
    assert calls["look"] == 1


def test_a_thread_keeps_the_results_of_each_turn(cache: Any, calls: Calls, run: Run) -> None:
    agent = agent_with(
        [tool_that_looks(calls)], lambda: [call_of("look", q="x")], cache, tools=["look"], checkpointer=InMemorySaver()
    )
    for _ in range(3):
        state = run(agent, asking("x"), thread("1"))
    assert [each.content for each in results(state)] == ["X", "X", "X"]
    assert len({each.id for each in state["messages"]}) == len(state["messages"])
    assert calls["look"] == 1


def test_arguments_tell_calls_apart(in_memory: Any, calls: Calls, run: Run) -> None:
    asked = iter([{"q": "x"}, {"q": "y"}, {"q": "x"}, {"q": "1"}, {"q": "y"}])
    agent = agent_with([tool_that_looks(calls)], lambda: [call_of("look", **next(asked))], in_memory, tools=["look"])
    for _ in range(5):
        run(agent, asking("x"))
    assert calls["look"] == 3


def test_tools_of_one_name_do_not_share(in_memory: Any, calls: Calls, run: Run) -> None:
    @tool("look")
    def elsewhere(q: str) -> str:
        """Look it up."""
        calls["elsewhere"] += 1
        return q

    class Search(BaseTool):
        name: str = "look"
        description: str = "Look it up."
        results: int = 5

        def _run(self, q: str) -> str:
            calls["search"] += 1
            return q * self.results

    for _ in range(2):
        for each in (tool_that_looks(calls), elsewhere, Search(), Search(results=2)):
            run(agent_with([each], lambda: [call_of("look", q="x")], in_memory, tools=["look"]), asking("x"))
    assert calls == {"look": 1, "elsewhere": 1, "search": 2}


def test_tools_that_one_function_makes_do_not_share(in_memory: Any, calls: Calls, run: Run) -> None:
    def tool_of(table: str) -> Any:
        @tool
        def look(q: str) -> str:
            """Look it up."""
            calls[table] += 1
            return f"{q} of {table}"

        return look

    for _ in range(2):
        for table in ("a", "b"):
            agent = agent_with([tool_of(table)], lambda: [call_of("look", q="x")], in_memory, tools=["look"])
            assert results(run(agent, asking("x")))[0].content == f"x of {table}"
    assert calls == {"a": 1, "b": 1}


@dataclass
class Context:
    user: str


def test_key_says_what_a_tool_reads_besides(cache: Any, calls: Calls, run: Run) -> None:
    @tool
    def mine(q: str, runtime: ToolRuntime[Context]) -> str:
        """What is mine."""
        calls["mine"] += 1
        return f"{q} of {runtime.context.user}"

    agent = agent_with(
        [mine],
        lambda: [call_of("mine", q="x")],
        cache,
        tools=["mine"],
        key=lambda request: request.runtime.context.user,
        context_schema=Context,
    )
    for user in ("ann", "bob", "ann", "bob"):
        (result,) = results(run(agent, asking("x"), context=Context(user)))
        assert result.content == f"x of {user}"
    assert calls["mine"] == 2


# What is not kept


def test_failures_are_not_kept_unless_asked_for(in_memory: Any, calls: Calls, run: Run) -> None:
    @tool
    def fails(q: str) -> str:
        """Fail."""
        calls["fails"] += 1
        raise ValueError(q)

    fails.handle_tool_error = True

    from langchain_core.tools import ToolException

    @tool
    def reports(q: str) -> str:
        """Report a failure."""
        calls["reports"] += 1
        raise ToolException(q)

    reports.handle_tool_error = True
    for keep, number in ((False, 2), (True, 3)):
        agent = agent_with(
            [reports], lambda: [call_of("reports", q="x")], in_memory, tools=["reports"], keep_errors=keep
        )
        for _ in range(2):
            (result,) = results(run(agent, asking("x")))
            assert (result.status, result.content) == ("error", "x")
        assert calls["reports"] == number
    agent = agent_with([fails], lambda: [call_of("fails", q="x")], in_memory, tools=["fails"], keep_errors=True)
    for number in (1, 2):
        with pytest.raises(ValueError, match="x"):
            run(agent, asking("x"))
        assert calls["fails"] == number


def test_commands_are_not_kept_unless_asked_for(cache: Any, calls: Calls, run: Run) -> None:
    @tool
    def remember(q: str, tool_call_id: Annotated[str, InjectedToolCallId]) -> Any:
        """Remember it."""
        calls["remember"] += 1
        more = AIMessage("So be it", id="remembered")
        return Command(update={"messages": [more, ToolMessage(f"{q}!", tool_call_id=tool_call_id)]})

    for keep, number in ((False, 2), (True, 3)):
        agent = agent_with(
            [remember], lambda: [call_of("remember", q="x")], cache, tools=["remember"], keep_commands=keep
        )
        for _ in range(2):
            state = run(agent, asking("x"))
            call = next(each for each in state["messages"] if getattr(each, "tool_calls", None)).tool_calls[0]
            assert [each.tool_call_id for each in results(state)] == [call["id"]]
            assert len({each.id for each in state["messages"]}) == len(state["messages"])
        assert calls["remember"] == number


def test_a_call_that_asks_a_person_is_asked_again(cache: Any, calls: Calls, run: Run) -> None:
    @tool
    def pay(to: str) -> str:
        """Pay."""
        calls["pay"] += 1
        answer = interrupt(f"Pay {to}?")
        return f"{answer} {to}"

    agent = agent_with([pay], lambda: [call_of("pay", to="Eve")], cache, tools=["pay"], checkpointer=InMemorySaver())
    for name, said in (("1", "yes"), ("2", "no")):
        assert "__interrupt__" in run(agent, asking("x"), thread(name))
        (result,) = results(run(agent, Command(resume=said), thread(name)))
        assert result.content == f"{said} Eve"
    assert calls["pay"] == 4


@pytest.mark.parametrize("models", [True, False])
def test_a_misspelt_name_of_a_tool_is_logged(in_memory: Any, calls: Calls, run: Run, caplog: Any, models: bool) -> None:
    caching = CacheMiddleware(in_memory, models=models, tools=["lok", "of_another_agent"])
    agent = agent_that_looks(calls, [caching])
    for _ in range(2):
        run(agent, asking("x"))
    assert calls["look"] == 2
    (line,) = [each.getMessage() for each in caplog.records]
    assert line == (
        "CacheMiddleware caches the tool 'lok', which the agent does not have (logged once): did you mean 'look'?"
    )


@pytest.mark.parametrize("tools", [["look"], ["look", "looks"], ["of_another_agent"]])
def test_names_of_tools_that_may_be_meant_are_not_logged(
    in_memory: Any, calls: Calls, caplog: Any, tools: list[str]
) -> None:
    agent_that_looks(calls, [CacheMiddleware(in_memory, tools=tools)]).invoke(asking("x"))
    assert not caplog.records


@pytest.mark.parametrize("by_id", [False, True])
def test_an_agent_within_a_tool_that_asks_a_person_is_asked_again(in_memory: Any, calls: Calls, by_id: bool) -> None:
    @tool
    def pay(to: str) -> str:
        """Pay."""
        return f"{interrupt('Pay?')} {to}"

    inner = create_agent(
        SampleModel(
            lambda messages: (
                AIMessage(messages[-1].text)
                if isinstance(messages[-1], ToolMessage)
                else AIMessage("", tool_calls=[call_of("pay", to="Eve")])
            ),
            Calls(),
        ),
        [pay],
    )

    @tool
    def ask_clerk(q: str) -> str:
        """Ask the clerk."""
        calls["clerk"] += 1
        return str(inner.invoke(asking(q))["messages"][-1].text)

    agent = agent_with(
        [ask_clerk], lambda: [call_of("ask_clerk", q="x")], in_memory, tools=["ask_clerk"], checkpointer=InMemorySaver()
    )
    for name, said in (("1", "yes"), ("2", "no")):
        (asked,) = agent.invoke(asking("x"), thread(name))["__interrupt__"]
        answer: Any = {asked.id: said} if by_id else said
        (result,) = results(agent.invoke(Command(resume=answer), thread(name)))
        assert result.content == f"{said} Eve"


def test_what_cannot_be_stored_is_returned(in_memory: Any, calls: Calls, run: Run, caplog: Any) -> None:
    @tool(response_format="content_and_artifact")
    def look(q: str) -> tuple[str, Any]:
        """Look it up."""
        calls["look"] += 1
        return q, threading.Lock()

    for number in (1, 2):
        agent = agent_with([look], lambda: [call_of("look", q="x")], in_memory, tools=["look"])
        (result,) = results(run(agent, asking("x")))
        assert result.content == "x"
        assert calls["look"] == number


def test_an_unknown_tool_is_left_to_the_agent(in_memory: Any, run: Run, calls: Calls) -> None:
    agent = agent_with([tool_that_looks(calls)], lambda: [call_of("lock", q="x")], in_memory, tools=["lock"])
    (result,) = results(run(agent, asking("x")))
    assert result.status == "error"


# Once


def test_equal_parallel_calls_run_once(cache: Any, calls: Calls) -> None:
    """Each in a thread of its own, all of one message."""
    at_once = threading.Barrier(4)
    everyone = threading.Event()

    @tool
    def look(q: str) -> str:
        """Look it up."""
        calls["look"] += 1
        everyone.wait(20)
        return q.upper()

    def scope(request: Any) -> None:
        if at_once.wait(20) == 0:
            everyone.set()

    agent = agent_with([look], lambda: [call_of("look", q="x") for _ in range(4)], cache, tools=["look"], scope=scope)
    state = agent.invoke(asking("x"), {"max_concurrency": 8})
    assert [each.content for each in results(state)] == ["X"] * 4
    assert calls["look"] == 1
    assert len({each.tool_call_id for each in results(state)}) == 4
    assert len({each.id for each in state["messages"]}) == len(state["messages"]) == 7


def test_equal_parallel_calls_of_tasks_run_once(cache: Any, calls: Calls) -> None:
    @tool
    async def look(q: str) -> str:
        """Look it up."""
        calls["look"] += 1
        await asyncio.sleep(0)
        return q.upper()

    agent = agent_with([look], lambda: [call_of("look", q="x") for _ in range(4)], cache, tools=["look"])
    state = asyncio.run(agent.ainvoke(asking("x")))
    assert [each.content for each in results(state)] == ["X"] * 4
    assert len({each.tool_call_id for each in results(state)}) == 4
    assert calls["look"] == 1


def test_equal_parallel_calls_that_return_commands_all_run(in_memory: Any, calls: Calls) -> None:
    @tool
    async def remember(q: str, tool_call_id: Annotated[str, InjectedToolCallId]) -> Any:
        """Remember it."""
        calls["remember"] += 1
        await asyncio.sleep(0)
        return Command(update={"messages": [ToolMessage(q, tool_call_id=tool_call_id)]})

    agent = agent_with(
        [remember], lambda: [call_of("remember", q="x") for _ in range(3)], in_memory, tools=["remember"]
    )
    state = asyncio.run(agent.ainvoke(asking("x")))
    assert len({each.tool_call_id for each in results(state)}) == 3
    assert calls["remember"] == 3


def test_an_interrupt_is_its_own_calls_alone(in_memory: Any, calls: Calls) -> None:
    """Two equal calls of one message that each ask a person: both are asked."""

    @tool
    async def pay(to: str) -> str:
        """Pay."""
        calls["pay"] += 1
        return f"{interrupt(f'Pay {to}?')} {to}"

    agent = agent_with(
        [pay],
        lambda: [call_of("pay", to="Eve"), call_of("pay", to="Eve")],
        in_memory,
        tools=["pay"],
        checkpointer=InMemorySaver(),
    )
    state = asyncio.run(agent.ainvoke(asking("x"), thread("1")))
    asked = state["__interrupt__"]
    assert len({each.id for each in asked}) == 2
    answers = {each.id: said for each, said in zip(asked, ("yes", "no"), strict=True)}
    state = asyncio.run(agent.ainvoke(Command(resume=answers), thread("1")))
    assert [each.content for each in results(state)] == ["yes Eve", "no Eve"]


def test_a_tool_that_calls_the_agent_again_ends(in_memory: Any, calls: Calls, run: Run) -> None:
    agents: list[Any] = []

    @tool
    def look(q: str) -> str:
        """Look it up."""
        calls["look"] += 1
        if calls["look"] == 1:
            return str(agents[0].invoke(asking(q))["messages"][-1].text)
        return q.upper()

    agents.append(agent_with([look], lambda: [call_of("look", q="x")], in_memory, tools=["look"]))
    assert run(agents[0], asking("x"))["messages"][-1].text == "X"
    assert calls["look"] == 2


def test_a_lease_is_for_other_caches_of_one_store(open_cache: Any, calls: Calls, run: Run) -> None:
    with open_cache() as cache:
        agent = agent_that_looks(calls, [CacheMiddleware(cache, tools=["look"], lease=30)])
        for _ in range(2):
            assert run(agent, asking("x"))["messages"][-1].text == "It is X."
    assert calls == {"model": 2, "look": 1}
