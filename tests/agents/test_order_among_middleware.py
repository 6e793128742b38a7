"""The place of the cache among other middleware: the real ones, the cache next to the model."""

from __future__ import annotations

from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import (
    AgentMiddleware,
    HumanInTheLoopMiddleware,
    ModelCallLimitMiddleware,
    ModelFallbackMiddleware,
    ModelRequest,
    ModelRetryMiddleware,
    ToolRetryMiddleware,
)
from langchain_core.messages import AIMessage, BaseMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import Command
from sample_agents import Calls, Run, SampleModel, agent_that_looks, asking, call_of, thread

from hitrate.langchain import CacheMiddleware


class Down(Exception):
    """The provider does not answer."""


def test_inside_a_fallback_each_model_has_its_own_answers(in_memory: Any, calls: Calls, run: Run) -> None:
    is_down = [True]
    others = Calls()

    def first(messages: list[BaseMessage]) -> AIMessage:
        if is_down[0]:
            raise Down
        return AIMessage("the first")

    agent = create_agent(
        SampleModel(first, calls),
        [],
        middleware=[
            ModelFallbackMiddleware(SampleModel(lambda messages: AIMessage("the second"), others, model_name="b")),
            CacheMiddleware(in_memory),
        ],
    )
    for _ in range(2):
        assert run(agent, asking("x"))["messages"][-1].text == "the second"
    assert (calls["model"], others["model"]) == (2, 1)
    is_down[0] = False
    for _ in range(2):
        assert run(agent, asking("x"))["messages"][-1].text == "the first"
    assert (calls["model"], others["model"]) == (3, 1)


def test_inside_a_retry_what_failed_is_tried_and_no_failure_is_kept(in_memory: Any, calls: Calls, run: Run) -> None:
    failures = [0]

    def answer(messages: list[BaseMessage]) -> AIMessage:
        if failures[0]:
            failures[0] -= 1
            raise Down
        return AIMessage("here")

    retry: Any = ModelRetryMiddleware(max_retries=2, initial_delay=0.0, jitter=False)
    agent = create_agent(SampleModel(answer, calls), [], middleware=[retry, CacheMiddleware(in_memory)])
    failures[0] = 3
    assert "Down" in run(agent, asking("x"))["messages"][-1].text
    assert calls["model"] == 3
    failures[0] = 1
    for _ in range(2):
        assert run(agent, asking("x"))["messages"][-1].text == "here"
        assert calls["model"] == 5


def test_inside_a_retry_of_tools(in_memory: Any, calls: Calls, run: Run) -> None:
    failures = [1]

    @tool
    def look(q: str) -> str:
        """Look it up."""
        calls["look"] += 1
        if failures[0]:
            failures[0] -= 1
            raise Down
        return q.upper()

    retry: Any = ToolRetryMiddleware(max_retries=2, initial_delay=0.0, jitter=False)
    agent = agent_that_looks(calls, [retry, CacheMiddleware(in_memory, tools=["look"])], tools=[look])
    for _ in range(2):
        assert run(agent, asking("x"))["messages"][-1].text == "It is X."
    assert calls == {"model": 2, "look": 2}


def test_a_person_is_asked_on_a_hit_too(cache: Any, calls: Calls, run: Run) -> None:
    approval: Any = HumanInTheLoopMiddleware(interrupt_on={"look": True})
    agent = agent_that_looks(calls, [approval, CacheMiddleware(cache, tools=["look"])], checkpointer=InMemorySaver())
    for name in ("1", "2"):
        assert "__interrupt__" in run(agent, asking("x"), thread(name))
        resumed = run(agent, Command(resume={"decisions": [{"type": "approve"}]}), thread(name))
        assert resumed["messages"][-1].text == "It is X."
    assert calls == {"model": 2, "look": 1}
    assert "__interrupt__" in run(agent, asking("x"), thread("3"))
    resumed = run(agent, Command(resume={"decisions": [{"type": "reject", "message": "No."}]}), thread("3"))
    assert "No." in resumed["messages"][-1].text
    assert calls["look"] == 1


def test_what_follows_an_answer_by_id_is_cached(cache: Any, calls: Calls, run: Run) -> None:
    approval: Any = HumanInTheLoopMiddleware(interrupt_on={"look": True})
    agent = agent_that_looks(calls, [approval, CacheMiddleware(cache, tools=["look"])], checkpointer=InMemorySaver())
    for name in ("1", "2"):
        (asked,) = run(agent, asking("x"), thread(name))["__interrupt__"]
        command: Any = Command(resume={asked.id: {"decisions": [{"type": "approve"}]}})
        assert run(agent, command, thread(name))["messages"][-1].text == "It is X."
    assert calls == {"model": 2, "look": 1}


@pytest.mark.parametrize("by_id", [False, True])
def test_what_follows_an_answer_within_a_graph_is_cached(cache: Any, calls: Calls, run: Run, by_id: bool) -> None:
    approval: Any = HumanInTheLoopMiddleware(interrupt_on={"look": True})
    agent = agent_that_looks(calls, [approval, CacheMiddleware(cache, tools=["look"])])
    builder = StateGraph(MessagesState).add_node("agent", agent).add_edge(START, "agent")
    graph = builder.compile(checkpointer=InMemorySaver())
    for name in ("1", "2"):
        (asked,) = run(graph, asking("x"), thread(name))["__interrupt__"]
        answer: Any = {"decisions": [{"type": "approve"}]}
        command: Any = Command(resume={asked.id: answer} if by_id else answer)
        assert run(graph, command, thread(name))["messages"][-1].text == "It is X."
    assert calls == {"model": 2, "look": 1}


def test_edited_arguments_are_what_counts(in_memory: Any, calls: Calls, run: Run) -> None:
    approval: Any = HumanInTheLoopMiddleware(interrupt_on={"look": True})
    agent = agent_that_looks(
        calls, [approval, CacheMiddleware(in_memory, tools=["look"])], checkpointer=InMemorySaver()
    )
    edit = {"type": "edit", "edited_action": {"name": "look", "args": {"q": "other"}}}
    for name, decision, said in (("1", {"type": "approve"}, "X."), ("2", edit, "OTHER"), ("3", edit, "OTHER")):
        run(agent, asking("x"), thread(name))
        resumed = run(agent, Command(resume={"decisions": [decision]}), thread(name))
        assert said in resumed["messages"][-1].text
    assert calls["look"] == 2


def test_a_limit_of_calls_counts_hits_too(in_memory: Any, calls: Calls, run: Run) -> None:
    limit: Any = ModelCallLimitMiddleware(run_limit=1, exit_behavior="end")
    agent = agent_that_looks(calls, [limit, CacheMiddleware(in_memory, tools=["look"])])
    for _ in range(2):
        messages = run(agent, asking("x"))["messages"]
        assert "limit" in messages[-1].text
        assert calls == {"model": 1, "look": 1}


class PromptCaching(AgentMiddleware[Any, Any, Any]):
    """Marks what the middleware of langchain-anthropic marks: the settings, the system prompt, the last tool."""

    def __init__(self, ttl: str) -> None:
        super().__init__()
        self.mark = {"type": "ephemeral", "ttl": ttl}

    def _marked(self, request: ModelRequest[Any]) -> ModelRequest[Any]:
        blocks: Any = [{"type": "text", "text": request.system_prompt, "cache_control": self.mark}]
        *tools, last = request.tools
        marked: Any = last.model_copy(update={"extras": {"cache_control": self.mark}})  # type: ignore[union-attr]
        return request.override(
            model_settings={**request.model_settings, "cache_control": self.mark},
            system_message=SystemMessage(blocks),
            tools=[*tools, marked],
        )

    def wrap_model_call(self, request: Any, handler: Any) -> Any:
        return handler(self._marked(request))

    async def awrap_model_call(self, request: Any, handler: Any) -> Any:
        return await handler(self._marked(request))


@pytest.mark.parametrize("outside", [True, False])
def test_marks_for_a_providers_cache_do_not_count(outside: bool, in_memory: Any, calls: Calls, run: Run) -> None:
    for ttl in ("5m", "1h"):
        ours = CacheMiddleware(in_memory, tools=["look"])
        both: list[Any] = [PromptCaching(ttl), ours] if outside else [ours, PromptCaching(ttl)]
        run(agent_that_looks(calls, both, system_prompt="You help."), asking("x"))
    assert calls == {"model": 2, "look": 1}


def test_two_of_them_in_one_agent(in_memory: Any, calls: Calls, run: Run) -> None:
    both = [
        CacheMiddleware(in_memory, name="models"),
        CacheMiddleware(in_memory, models=False, tools=["look"], name="tools"),
    ]
    for _ in range(2):
        run(agent_that_looks(calls, both), asking("x"))
    assert calls == {"model": 2, "look": 1}


def test_the_messages_of_a_cold_run_and_of_a_warm_one_are_equal_but_for_ids(cache: Any, calls: Calls, run: Run) -> None:
    def answer(messages: list[BaseMessage]) -> AIMessage:
        if isinstance(messages[-1], ToolMessage):
            return AIMessage([{"type": "text", "text": "Done", "id": f"msg_{calls['model']}"}])
        reasoning = {"type": "reasoning", "id": f"rs_{calls['model']}", "summary": []}
        call = call_of("look", q="x")
        block = {"type": "function_call", "id": f"fc_{calls['model']}", "call_id": call["id"], "name": "look"}
        return AIMessage([reasoning, block], tool_calls=[call])

    for _ in range(2):
        agent = agent_that_looks(calls, [CacheMiddleware(cache, tools=["look"])], model=SampleModel(answer, calls))
        messages = run(agent, asking("x"))["messages"]
        call = messages[1].content[-1]
        assert call["call_id"] == messages[1].tool_calls[0]["id"] == messages[2].tool_call_id
    assert calls == {"model": 2, "look": 1}
    assert [block.get("id") for message in (messages[1], messages[3]) for block in message.content] == [None, None]
