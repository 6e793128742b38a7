"""Agents in two processes that ask the same: the model and the tool run once, altogether."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

CHILD = """
import sys
import hitrate
from langchain.agents import create_agent
from langchain_core.language_models import FakeMessagesListChatModel
from langchain_core.messages import AIMessage
from langchain_core.tools import tool
from hitrate.langchain import CacheMiddleware

stores = sys.argv[1:]


class Model(FakeMessagesListChatModel):
    def bind_tools(self, tools, **settings):
        return self

    def _generate(self, messages, *args, **settings):
        self.i = len(messages) // 2
        with open(f"{number}.log", "a") as lines:
            print("model", file=lines)
        if not self.i:
            while sys.stdin.readline().strip() != where:
                pass
        return super()._generate(messages, *args, **settings)


@tool
def look(q: str) -> str:
    "Look it up."
    with open(f"{number}.log", "a") as lines:
        print("tool", file=lines)
    return q.upper()


call = {"name": "look", "args": {"q": "x"}, "id": "call_1"}
model = Model(responses=[AIMessage("", tool_calls=[call]), AIMessage("It is X.")])
asks = lambda request: print("asks", flush=True)  # when the key is made, just before the cache is asked
for number, where in enumerate(stores):
    middleware = CacheMiddleware(hitrate.open(where), tools=["look"], lease=60, scope=asks)
    agent = create_agent(model, [look], middleware=[middleware])
    print(agent.invoke({"messages": [("user", "x")]})["messages"][-1].text, flush=True)
"""


def test_with_a_lease_two_processes_make_each_call_once(redis_server: str, tmp_path: Path) -> None:
    """On one store, and on another after it."""
    stores = [f"sqlite:///{tmp_path / 'c.db'}", redis_server]

    def start() -> Any:
        child = [sys.executable, "-c", CHILD, *stores]
        return subprocess.Popen(child, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=tmp_path)

    with start() as one, start() as two:
        for number, where in enumerate(stores):
            # Whoever is first computes until both have asked.
            assert [each.stdout.readline() for each in (one, two)] == ["asks\n", "asks\n"]
            for each in (one, two):
                print(where, file=each.stdin, flush=True)
            for each in (one, two):
                answered = iter(each.stdout.readline, "")
                assert next(line for line in answered if line != "asks\n") == "It is X.\n"
            assert sorted((tmp_path / f"{number}.log").read_text().split()) == ["model", "model", "tool"]
