"""The second act: an agent answers questions about the same documents.

The agent and its tools are in ``researcher.py``, its model in ``librarian.py``.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from screen import progress, say, table


@dataclass(frozen=True)
class Account:
    """What one run of the agent did.

    Attributes:
        models: calls of the model that ran.
        tools: calls of tools that ran.
        tokens: that went to the model and came back.
        seconds: how long the run took.
        hits: calls that were answered from the cache.
        tokens_saved: that hits did not send to the model, or have it make.
        seconds_saved: that the calls had taken when they ran, summed over hits.
        spared: what hits spared, by model and tool, in words.
        answers: of the agent.
    """

    models: int
    tools: int
    tokens: int
    seconds: float
    hits: int
    tokens_saved: int
    seconds_saved: float
    spared: list[str]
    answers: list[str]


def run(label: str, folder: Path, library: str, pace: float) -> Account:
    """Run the agent in this process, on the cache in the folder."""
    from hitrate import SqliteCache
    from hitrate.langchain import savings
    from researcher import QUESTIONS, Bill, research

    bill = Bill()
    with SqliteCache[Any](path=folder / "agent.db") as cache:
        started = time.perf_counter()
        answering = research(cache, library, bill, seconds=pace)
        answers = list(progress(answering, f"{label} run", len(QUESTIONS)))
        seconds = time.perf_counter() - started
        stats = cache.stats()
        spared = [
            f"{' '.join(each.namespace[1:])}: {each.hits} calls, {each.seconds_saved:.2f} s, "
            f"for {each.seconds_spent * 1000:.0f} ms of the cache's"
            for each in savings(cache)
        ]
    return Account(
        models=bill.models,
        tools=bill.tools,
        tokens=bill.tokens,
        seconds=seconds,
        hits=stats.hits,
        tokens_saved=sum(number for tokens in stats.tokens_saved.values() for number in tokens.values()),
        seconds_saved=stats.seconds_saved,
        spared=spared,
        answers=answers,
    )


def show(cold: Account, warm: Account, processes: tuple[float, float]) -> None:
    """Show both runs beside each other, and the seconds that their processes took."""
    table(
        "One agent, two processes",
        ("", "cold", "warm"),
        [
            ("calls of the model", str(cold.models), str(warm.models)),
            ("calls of tools", str(cold.tools), str(warm.tools)),
            ("hits", str(cold.hits), str(warm.hits)),
            ("tokens", f"{cold.tokens:,}", f"{warm.tokens:,}"),
            ("tokens saved", f"{cold.tokens_saved:,}", f"{warm.tokens_saved:,}"),
            ("time of the run", f"{cold.seconds:.2f} s", f"{warm.seconds:.2f} s"),
            ("time of the process, imports included", f"{processes[0]:.2f} s", f"{processes[1]:.2f} s"),
            ("seconds saved", f"{cold.seconds_saved:.2f} s", f"{warm.seconds_saved:.2f} s"),
        ],
    )


def judge(cold: Account, warm: Account) -> int:
    """Say what the hits spared and whether both runs gave the same answers; return the exit code."""
    if cold.answers != warm.answers:
        say("FAILED: the agent's answers are not the same twice.")
        return 1
    if warm.models or warm.tools or not warm.hits:
        say("FAILED: the second run did not answer every call from the cache.")
        return 1
    if warm.tokens_saved != cold.tokens - cold.tokens_saved:
        say(f"FAILED: {cold.tokens:,} tokens were paid for, and {warm.tokens_saved:,} are said to be saved.")
        return 1
    say("Spared, by model and tool:")
    for each in warm.spared:
        say(f"  {each}")
    say(f"\nIts last answer, both times:\n{warm.answers[-1]}")
    say(f"\nBoth runs gave the same answers. The second was {cold.seconds / warm.seconds:.0f} times as fast.")
    return 0
