"""The graph of the demo: list the documents of a library, study each in a task of its own, join them into an index."""

from __future__ import annotations

import hashlib
import math
import operator
import os
import sysconfig
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypedDict

from langgraph.cache.base import BaseCache
from langgraph.graph import START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import CachePolicy, Send

from study import VERSION, Document, Report, study

_LEFT_OUT = {"site-packages", "dist-packages", "test", "tests", "idle_test", "lib2to3", "__pycache__"}


@dataclass(frozen=True, slots=True)
class Index:
    """What is known of the whole library.

    Attributes:
        lines: counts of lines by kind.
        complex: the functions with the highest cyclomatic complexity.
        imported: for the modules imported most, by how many documents.
        keywords: for each document the terms that tell it from the others.
        documents: for each term the documents it tells most about.
        summaries: for each document the sentences that say most about it.
    """

    lines: Counter[str]
    functions: int
    classes: int
    complex: list[tuple[str, str, int]]
    imported: list[tuple[str, int]]
    keywords: dict[str, tuple[str, ...]]
    documents: dict[str, tuple[str, ...]]
    summaries: dict[str, tuple[str, ...]]


class Library(TypedDict, total=False):
    """The state: of a folder its documents, of each document a report, of all reports the index."""

    folder: str
    documents: list[Document]
    reports: Annotated[list[Report], operator.add]
    index: Index


def standard_library() -> str:
    """Return the folder of the sources of Python's standard library."""
    return sysconfig.get_path("stdlib")


def list_documents(state: Library) -> Library:
    """Find the documents and the digest of each. This runs every time: it sees what has changed."""
    documents = []
    for folder, inner, names in os.walk(state["folder"]):
        inner[:] = [each for each in inner if each not in _LEFT_OUT]
        for path in (Path(folder, name) for name in names if name.endswith(".py")):
            name = path.relative_to(state["folder"]).as_posix()
            documents.append(Document(name, str(path), hashlib.sha256(path.read_bytes()).hexdigest()))
    return {"documents": sorted(documents, key=lambda document: document.name)}


def fan_out(state: Library) -> list[Send]:
    """Send each document to a task of its own."""
    return [Send("study", document) for document in state["documents"]]


def study_document(state: Document) -> Library:
    """Report on one document, the state that was sent to this task."""
    return {"reports": [study(state)]}


def join(state: Library) -> Library:
    """Join the reports into one index."""
    reports = state["reports"]
    spread = Counter(term for report in reports for term in report.terms)
    keywords: dict[str, tuple[str, ...]] = {}
    tellers: defaultdict[str, list[tuple[float, str]]] = defaultdict(list)
    for report in reports:
        weights = {term: count * math.log(len(reports) / spread[term]) for term, count in report.terms.items()}
        keywords[report.name] = tuple(sorted(weights, key=lambda term: (-weights[term], term))[:8])
        for term, weight in weights.items():
            tellers[term].append((-weight, report.name))
    complexity = [(report.name, name, number) for report in reports for name, number in report.complexity]
    imported = Counter(name for report in reports for name in report.imports)
    index = Index(
        lines=sum((Counter(report.lines) for report in reports), Counter()),
        functions=sum(report.functions for report in reports),
        classes=sum(report.classes for report in reports),
        complex=sorted(complexity, key=lambda each: (-each[2], each))[:10],
        imported=sorted(imported.items(), key=lambda pair: (-pair[1], pair[0]))[:10],
        keywords=keywords,
        documents={term: tuple(name for _, name in sorted(tellers[term])[:5]) for term in sorted(tellers)},
        summaries={report.name: report.summary for report in reports},
    )
    return {"index": index}


def facts(index: Index) -> Iterator[str]:
    """Say the main things that an index says."""
    size = f"{index.lines['code']:,} lines of code, {index.functions:,} functions and {index.classes:,} classes"
    yield f"{len(index.summaries)} documents: {size}."
    yield "Imported most: " + ", ".join(f"{name} ({number})" for name, number in index.imported[:5]) + "."
    yield (
        "Most branches: "
        + ", ".join(f"{name} in {where} ({number})" for where, name, number in index.complex[:3])
        + "."
    )
    for name in ("json/__init__.py", "queue.py"):
        if index.summaries.get(name):
            yield f"{name} is about {', '.join(index.keywords[name][:4])}: {index.summaries[name][0]}"


def content_of(document: Document) -> str:
    """Return the cache key of a document's report: it is the same until the document or the code changes."""
    return f"{VERSION} {document.name} {document.digest}"


def contents_of(state: Library) -> str:
    """Return the cache key of the index: it is the same until any document or the code changes."""
    return "\n".join(map(content_of, state["documents"]))


def library_graph(cache: BaseCache[Any]) -> CompiledStateGraph[Library]:
    """Return the graph, with its cache."""
    builder = StateGraph(Library)
    builder.add_node("list", list_documents)
    builder.add_node("study", study_document, input_schema=Document, cache_policy=CachePolicy(key_func=content_of))
    builder.add_node("join", join, cache_policy=CachePolicy(key_func=contents_of))
    builder.add_edge(START, "list")
    builder.add_conditional_edges("list", fan_out, ["study"])
    builder.add_edge("study", "join")
    return builder.compile(cache=cache)
