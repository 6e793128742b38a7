"""The agent of the demo: it answers questions about the documents of a library with two tools over them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from langchain.agents import create_agent
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.outputs import LLMResult
from langchain_core.tools import BaseTool, tool

from hitrate import SqliteCache
from hitrate.langchain import CacheMiddleware
from librarian import Librarian
from library import contents_of, list_documents
from study import Document, study

QUESTIONS = (
    "Which documents are about a 'queue', and which about a 'worker'?",
    "And those about an 'archive' and about 'compression'?",
    "What is there for a 'calendar', a 'locale' and a 'timezone'?",
    "Where is a 'socket' opened, and where does a 'server' listen?",
    "Last: what of 'json' and 'pickle'?",
)


class Bill(BaseCallbackHandler):
    """Counts what runs. A hit runs nothing, and is not on it.

    Attributes:
        models: calls of the model.
        tools: calls of tools.
        tokens: that went to the model and came back.
    """

    def __init__(self) -> None:
        self.models = self.tools = self.tokens = 0

    def on_llm_end(self, response: LLMResult, **more: Any) -> None:
        """Count a call of the model, and its tokens."""
        self.models += 1
        self.tokens += response.generations[0][0].message.usage_metadata["total_tokens"]  # type: ignore[union-attr]

    def on_tool_end(self, output: Any, **more: Any) -> None:
        """Count a call of a tool."""
        self.tools += 1


def research(cache: SqliteCache[Any], folder: str, bill: Bill, *, seconds: float) -> Iterator[str]:
    """Ask an agent one question after the other, in one conversation; yield its answers.

    Args:
        cache: for the calls of the model and of the tools.
        folder: of the documents.
        bill: for what runs.
        seconds: that the model takes for an answer.
    """
    documents = list_documents({"folder": folder})["documents"]
    # The tools read the documents, so these count in the keys of their calls.
    contents = hashlib.sha256(contents_of({"documents": documents}).encode()).hexdigest()
    caching = CacheMiddleware(cache, tools=["find", "describe"], key=lambda request: contents)
    agent = create_agent(Librarian(seconds=seconds), tools_over(documents), middleware=[caching])
    messages: list[Any] = []
    for question in QUESTIONS:
        given: Any = {"messages": [*messages, ("user", question)]}
        messages = agent.invoke(given, {"callbacks": [bill]})["messages"]
        yield messages[-1].text


def tools_over(documents: list[Document]) -> list[BaseTool]:
    """Return what the agent can do with documents."""
    named = {each.name: each for each in documents}

    @tool
    def find(word: str) -> str:
        """Find the documents that say a word most often."""
        counts = {each.name: Path(each.path).read_bytes().lower().count(word.encode()) for each in documents}
        return "\n".join(sorted(filter(counts.get, counts), key=lambda name: (-counts[name], name))[:10])

    @tool
    def describe(document: str) -> str:
        """Describe a document: how long it is, and what it says of itself."""
        report = study(named[document])
        size = f"{report.lines.get('code', 0)} lines of code, {report.functions} functions"
        return f"{document} ({size}): {' '.join(report.summary[:1]) or 'it does not say.'}"

    return [find, describe]
