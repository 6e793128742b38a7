"""Tools that hold what has no content, as a client: whose result one is, if nothing else tells."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from langchain_core.tools import BaseTool, StructuredTool, tool
from pydantic import BaseModel
from sample_agents import Calls, Run, agent_with, asking, call_of, results

import hitrate


class OneText(BaseModel):
    q: str


class Client:
    """What says nothing of itself, as a connection."""

    def __init__(self, calls: Calls, user: str) -> None:
        self.calls = calls
        self.user = user

    def find(self, q: str) -> str:
        self.calls[self.user] += 1
        return f"{q} of {self.user}"


class FindsBy(BaseTool):
    name: str = "look"
    description: str = "Look it up."
    client: Any

    def _run(self, q: str) -> str:
        return str(self.client.find(q))


def tool_over(client: Client) -> Any:
    @tool
    def look(q: str) -> str:
        """Look it up."""
        return client.find(q)

    return look


OVER_A_CLIENT: dict[str, Callable[[Client], Any]] = {
    "closure": tool_over,
    "field": lambda client: FindsBy(client=client),
    "method": lambda client: StructuredTool.from_function(client.find, name="look", description="Look it up."),
    "default": lambda client: StructuredTool.from_function(
        lambda q, _client=client: _client.find(q), name="look", description="Look it up.", args_schema=OneText
    ),
    "within": lambda client: tool_over(SimpleNamespace(client=client, find=client.find)),
}


@pytest.mark.parametrize("kind", OVER_A_CLIENT)
def test_tools_over_two_clients_do_not_share(kind: str, in_memory: Any, calls: Calls, run: Run) -> None:
    clients = [Client(calls, user) for user in ("ann", "bob")]
    its_tools = [OVER_A_CLIENT[kind](client) for client in clients]
    for _ in range(2):
        for client, each in zip(clients, its_tools, strict=True):
            agent = agent_with([each], lambda: [call_of("look", q="x")], in_memory, tools=["look"])
            assert results(run(agent, asking("x")))[0].content == f"x of {client.user}"
    assert calls == {"ann": 1, "bob": 1}


@pytest.mark.parametrize("options", [{"scope": "v1"}, {"key": lambda request: "v1"}])
def test_a_scope_or_a_key_tells_tools_over_clients_apart(
    options: dict[str, Any], cache: Any, calls: Calls, run: Run, caplog: Any
) -> None:
    for user in ("ann", "bob"):
        each = tool_over(Client(calls, user))
        agent = agent_with([each], lambda: [call_of("look", q="x")], cache, tools=["look"], **options)
        assert results(run(agent, asking("x")))[0].content == "x of ann"
    assert not caplog.records


def test_that_a_tool_is_for_this_process_is_logged_once_where_there_are_others(
    open_cache: Any, calls: Calls, run: Run, caplog: Any
) -> None:
    cache = open_cache()
    agent = agent_with([tool_over(Client(calls, "ann"))], lambda: [call_of("look", q="x")], cache, tools=["look"])
    for _ in range(2):
        run(agent, asking("x"))
    lines = [each.getMessage() for each in caplog.records]
    if isinstance(cache, hitrate.InMemoryCache):
        assert lines == []
    else:
        (line,) = lines
        assert line.startswith("the tool 'look' is answered in this process alone (logged once): ")
        assert "closes over 'client', which is of type " in line
        assert line.endswith(". Say with scope= or key= what tells it from another of its kind")
