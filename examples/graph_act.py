"""The first act: a graph makes an index of Python's standard library.

The graph is in ``library.py``, what it does with a document in ``study.py``.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, fields, is_dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from screen import progress, say, table


@dataclass(frozen=True)
class Account:
    """What one run of the graph did.

    Attributes:
        executed: tasks that were executed.
        hits: tasks whose result came from the cache.
        seconds: how long the run took.
        stored: bytes of the cache on disk after it.
        digest: of the index, its values and their types.
        facts: what the index says, in words.
    """

    executed: int
    hits: int
    seconds: float
    stored: int
    digest: str
    facts: list[str]


def run(label: str, folder: Path, library: str) -> Account:
    """Run the graph in this process, on the cache in the folder."""
    from hitrate.langgraph import SqliteCache
    from library import facts, library_graph

    executed = hits = 0
    update: dict[str, Any] = {}
    with SqliteCache[Any](path=folder / "cache.db") as cache:
        started = time.perf_counter()
        updates = library_graph(cache).stream({"folder": library}, stream_mode="updates")
        listed = next(updates)
        total = len(listed["list"]["documents"]) + 2
        for update in progress(chain([listed], updates), f"{label} run", total):
            if update.get("__metadata__", {}).get("cached"):
                hits += 1
            else:
                executed += 1
        seconds = time.perf_counter() - started
    index = update["join"]["index"]
    stored = sum(path.stat().st_size for path in folder.glob("cache.db*"))
    digest = hashlib.sha256(canonical(index).encode()).hexdigest()
    return Account(executed, hits, seconds, stored, digest, list(facts(index)))


def show(cold: Account, warm: Account, processes: tuple[float, float]) -> None:
    """Show both runs beside each other, and the seconds that their processes took."""
    table(
        "One graph, two processes",
        ("", "cold", "warm"),
        [
            ("nodes run", str(cold.executed), str(warm.executed)),
            ("hits", str(cold.hits), str(warm.hits)),
            ("time of the run", f"{cold.seconds:.2f} s", f"{warm.seconds:.2f} s"),
            ("time of the process, imports included", f"{processes[0]:.2f} s", f"{processes[1]:.2f} s"),
            ("seconds saved", "", f"{cold.seconds - warm.seconds:.2f} s"),
            ("bytes on disk", f"{cold.stored:,}", f"{warm.stored:,}"),
        ],
    )


def judge(cold: Account, warm: Account) -> int:
    """Say what the index says and whether both runs made the same; return the exit code."""
    if cold.digest != warm.digest:
        say(f"FAILED: the index is not the same twice: {cold.digest[:16]} cold, {warm.digest[:16]} warm.")
        return 1
    if warm.executed >= cold.executed or not warm.hits:
        say("FAILED: the second run did not use the cache.")
        return 1
    for fact in warm.facts:
        say(fact)
    say(f"\nBoth runs made the same index, values and types (SHA-256 {warm.digest[:16]}...).")
    say(f"The second was {cold.seconds / warm.seconds:.0f} times as fast.")
    return 0


def canonical(value: Any) -> str:
    """Return a text that is the same for values that are equal, type and all, and for no others."""
    name = type(value).__qualname__
    if is_dataclass(value):
        return f"{name}({','.join(canonical(getattr(value, field.name)) for field in fields(value))})"
    if isinstance(value, Mapping):
        return f"{name}{{{','.join(f'{canonical(key)}:{canonical(each)}' for key, each in value.items())}}}"
    if isinstance(value, AbstractSet):
        return f"{name}{{{','.join(sorted(map(canonical, value)))}}}"
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        return f"{name}[{','.join(map(canonical, value))}]"
    return f"{name} {value!r}"
