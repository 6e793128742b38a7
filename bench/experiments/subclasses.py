"""The time of a hit on a value that holds a subclass of str, as a message's text is, beside one that holds the str."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench.experiments.base import Conditions, Samples
from bench.timing import Effort, Lane, take_turns

_ENTRIES = 16
_NAMESPACE = ("answers",)


class Text(str):
    """A subclass as LangChain has one for the text of a message."""

    __slots__ = ()


def measure(conditions: Conditions, *, where: str) -> Samples:
    """Measure one hit of each.

    Args:
        conditions: how to run.
        where: ``"memory"`` or ``"file"``.
    """
    from hitrate import InMemoryCache, SqliteCache

    effort = Effort(rounds=15, block=0.003) if conditions.quick else Effort(rounds=60, block=0.006)
    keys = [(_NAMESPACE, f"question {number}") for number in range(_ENTRIES)]
    asked = [[key] for key in keys]
    with TemporaryDirectory(dir=conditions.folder) as folder:
        lanes = []
        caches: list[Any] = []
        for name, kind in (("hitrate", Text), ("a str", str)):
            cache: Any = (
                InMemoryCache() if where == "memory" else SqliteCache(path=Path(folder) / f"{kind.__name__}.db")
            )
            caches.append(cache)
            value = {"answer": kind("It is sunny in Rome. " * 10), "tokens": 40}
            cache.set(dict.fromkeys(keys, (value, 3600)))
            for _ in range(3):
                assert all(type(found["answer"]) is kind for found in cache.get(keys).values())
            lanes.append(Lane(name, lambda count, get=cache.get: (get, (asked * (count // _ENTRIES + 1))[:count])))
        samples = take_turns(lanes, effort, conditions.rng, progress=conditions.progress)
        for cache in caches:
            cache.close()
    return {"hit": samples}
