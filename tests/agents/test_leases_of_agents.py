"""Agents in two processes that ask the same: the model and the tool run once, altogether."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

CHILD = """
import sys
import hitrate
from langchain.agents import create_agent
from langchain_core.language_models import FakeMessagesListChatModel
from langchain_core.messages import AIMessage
from langchain_core.tools import tool
from hitrate.langchain import CacheMiddleware

where, log = sys.argv[1:]


class Model(FakeMessagesListChatModel):
    def bind_tools(self, tools, **settings):
        return self

    def _generate(self, messages, *args, **settings):
        self.i = len(messages) // 2
        with open(log, "a") as lines:
            print("model", file=lines)
        if not self.i:
            print("computing", flush=True)
            sys.stdin.readline()
        return super()._generate(messages, *args, **settings)


@tool
def look(q: str) -> str:
    "Look it up."
    with open(log, "a") as lines:
        print("tool", file=lines)
    return q.upper()


call = {"name": "look", "args": {"q": "x"}, "id": "call_1"}
model = Model(responses=[AIMessage("", tool_calls=[call]), AIMessage("It is X.")])
asks = lambda request: print("asks", flush=True)  # when the key is made, just before the cache is asked
middleware = CacheMiddleware(hitrate.open(where), tools=["look"], lease=60, scope=asks)
print(create_agent(model, [look], middleware=[middleware]).invoke({"messages": [("user", "x")]})["messages"][-1].text)
"""


@pytest.mark.parametrize("kind", ["sqlite", "redis"])
def test_with_a_lease_two_processes_make_each_call_once(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    where = f"sqlite:///{tmp_path / 'c.db'}" if kind == "sqlite" else request.getfixturevalue("redis_server")
    log = tmp_path / "log"

    def start() -> Any:
        child = [sys.executable, "-c", CHILD, where, str(log)]
        return subprocess.Popen(child, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    with start() as one, start() as two:
        # Whoever is first computes until both have asked.
        lines = [each.stdout.readline() for each in (one, two)]
        assert lines == ["asks\n", "asks\n"]
        for each in (one, two):
            each.stdin.write("\n")
            each.stdin.flush()
        printed = [each.communicate(timeout=50)[0].splitlines()[-1] for each in (one, two)]
    assert printed == ["It is X.", "It is X."]
    assert sorted(log.read_text().split()) == ["model", "model", "tool"]
