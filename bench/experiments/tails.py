"""The slowest of many calls: each is timed alone, at moments when a cache has other work to do.

One caller sets new keys, one after the other, while entries are evicted, fall due or are cleared. The cyclic collector
does not run: its pauses are the program's.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from random import Random
from typing import Any

from bench.contenders import FILES, MEMORY, Calls, Contender, Terms
from bench.experiments.base import Conditions, Samples
from bench.payloads import NAMESPACE, PAYLOADS, FullKey, new_key
from bench.percentiles import PERCENTILES, percentile
from bench.timing import no_collections

ROWS = 1_000_000
_DUE = 300_000
_DUE_AFTER = 30
"""Seconds until all fall due; whoever has not stored them by then would be measured with fewer."""
_SETS = {"memory": 200_000, "file": 70_000}
_CHUNK = 5000
_GONE_WITHIN = 100
"""Sets from one look at what is gone to the next."""
_GONE_AT_LATEST = 60
_CLEARS = 5
_CLEARING_SECONDS = 10.0
_STATS_EVERY = 200
"""Sets from one ``stats()`` to the next."""

_NAMES = {
    "memory": ("hitrate", "LangGraph", "cachetools LRUCache"),
    "file": ("hitrate", "LangGraph", "diskcache"),
}
_BOUNDED = {"hitrate", "cachetools LRUCache"}
"""Those that can be told how many entries to hold."""
_WITH_TTLS = {"hitrate", "LangGraph"}
_WITH_NAMESPACES = {"hitrate", "LangGraph", "diskcache"}

Times = dict[str, list[float]]
"""By part of the experiment, milliseconds of each call; those of ``sets`` become percentiles."""


def measure(conditions: Conditions, *, where: str, situation: str, rows: int = ROWS) -> Samples:
    """Time every call of a situation.

    Args:
        conditions: how to run.
        where: ``"memory"`` or ``"file"``.
        situation: ``"steady"``, ``"limit"`` (new keys at ``max_entries``), ``"due"`` (many fall due at one moment),
            ``"clearing"`` (sets while all others are cleared) or ``"clear"`` (of a tenth).
        rows: entries that are there before; a tenth of them, and of the sets, in a quick run.
    """
    run, able = _SITUATIONS[situation]
    rows = rows // 10 if conditions.quick else rows
    kinds = {"memory": MEMORY, "file": FILES}[where]
    sets = min(_SETS[where] // 10 if conditions.quick else _SETS[where], rows)
    samples: Samples = {}
    for name in _NAMES[where]:
        if name not in able:
            continue
        terms = Terms(max_entries=rows if situation == "limit" else None, max_bytes=1 << 40)
        # One at a time: a million entries of each would not be near each other, nor fit everywhere.
        own = replace(conditions, folder=conditions.folder / name)
        own.folder.mkdir()
        with own.contenders({name: kinds[name]}, PAYLOADS["R"], terms=terms) as opened, no_collections():
            for contender in opened.values():
                times = run(contender, own, rows, sets)
                for part, number in _parts(times):
                    samples.setdefault(part, {})[name] = number
    return samples


def _parts(times: Times) -> Iterator[tuple[str, list[float]]]:
    for part, numbers in times.items():
        if part == "sets":
            ordered = sorted(numbers)
            for percent in (50, 99, 99.9):
                yield f"p{percent}", [percentile(ordered, percent)]
            yield "worst", [ordered[-1]]
            yield "worst by percentile", [percentile(ordered, percent) for percent in PERCENTILES]
        else:
            yield part, [max(numbers)]


def _steady(contender: Contender, conditions: Conditions, rows: int, sets: int) -> Times:
    _fill(contender, 1000, conditions)
    return {"sets": [time for chunk in _new_sets(contender, conditions, sets) for time in _each(chunk)]}


def _at_limit(contender: Contender, conditions: Conditions, rows: int, sets: int) -> Times:
    """Fill to the limit, read one in twenty so that eviction has visited entries to spare, and go on setting.

    In memory as many new keys are set as there are entries: by then the order of eviction was rebuilt once.
    """
    keys = _fill(contender, rows, conditions)
    for start in range(0, len(keys) // 20, 100):
        contender.read(keys[start : start + 100])
    if type(contender) in MEMORY.values():
        sets = rows * 6 // 5
    times = [time for chunk in _new_sets(contender, conditions, sets) for time in _each(chunk)]
    return {"first": times[:1], "sets": times[1:]}


def _due(contender: Contender, conditions: Conditions, rows: int, sets: int) -> Times:
    """Let many fall due in one moment, and set from then on, at least until those that remove them have."""
    number = _CHUNK if conditions.quick else _DUE
    seconds = _DUE_AFTER // 10 if conditions.quick else _DUE_AFTER
    # A little before a full second, at which hitrate looks for them, so that it finds all of them at once.
    begins = math.ceil(time.time()) + seconds
    due = begins - 0.1
    values = _values(conditions)
    for _ in range(number // _CHUNK):
        batch = {new_key(conditions.rng): conditions.rng.choice(values) for _ in range(_CHUNK)}
        ttl = due - time.time()
        contender.cache.set({key: (value, ttl) for key, value in batch.items()})  # type: ignore[attr-defined]
        conditions.progress(f"filling {contender.name}")
    chunks = _new_sets(contender, conditions, 1 << 60, chunk=_GONE_WITHIN)
    chunk = next(chunks)
    if time.time() >= due:
        raise AssertionError(f"{contender.name} took more than {seconds} seconds to store {number:,} entries")
    time.sleep(begins - time.time())
    stats = contender.cache.stats if contender.name == "hitrate" else None  # type: ignore[attr-defined]
    times: Times = {"sets": []} if stats is None else {"sets": [], "until": []}
    while len(times["sets"]) < sets or not times.get("until", True):
        times["sets"] += _each(chunk)
        if stats is not None and not times["until"]:
            if stats().expirations >= number:
                times["until"].append(float(len(times["sets"])))
            elif time.time() > begins + _GONE_AT_LATEST:
                raise AssertionError(f"{number:,} entries were due and are not gone after {_GONE_AT_LATEST} seconds")
        chunk = next(chunks)
    return times


def _clearing(contender: Contender, conditions: Conditions, rows: int, sets: int) -> Times:
    """Clear all that is there in another thread, and set meanwhile in another namespace."""
    _fill(contender, rows, conditions)
    clear, [argument] = contender.clears([NAMESPACE])
    stats: Callable[[], Any] | None = getattr(getattr(contender, "cache", None), "stats", None)
    measures_stats = contender.name == "hitrate" and stats is not None
    clearing = threading.Thread(target=clear, args=(argument,))
    seconds = _CLEARING_SECONDS / 10 if conditions.quick else _CLEARING_SECONDS
    times: Times = {"sets": [], "stats": []} if measures_stats else {"sets": []}
    chunks = _new_sets(contender, conditions, 1 << 60, namespace=("bench", "beside"), chunk=_STATS_EVERY)
    chunk = next(chunks)
    ends = time.perf_counter() + seconds
    clearing.start()
    while time.perf_counter() < ends or clearing.is_alive():
        times["sets"] += _each(chunk)
        if measures_stats:
            times["stats"] += _each((lambda _: stats(), [None]))
            ends += times["stats"][-1] / 1000
        chunk = next(chunks)
    clearing.join()
    return times


def _clear(contender: Contender, conditions: Conditions, rows: int, sets: int) -> Times:
    """Clear namespaces of a tenth of the entries each, one after the other."""
    spaces = [(*NAMESPACE[:2], f"tenth {number}") for number in range(10)]
    for namespace in spaces:
        _fill(contender, rows // 10, conditions, namespace)
    call, arguments = contender.clears(spaces[:_CLEARS])
    return {"worst": _each((call, arguments))}


_SITUATIONS = {
    "steady": (_steady, _WITH_NAMESPACES),
    "limit": (_at_limit, _BOUNDED),
    "due": (_due, _WITH_TTLS),
    "clearing": (_clearing, _WITH_NAMESPACES),
    "clear": (_clear, _WITH_NAMESPACES),
}


def _values(conditions: Conditions) -> list[Any]:
    return [PAYLOADS["R"].make(index, conditions.rng) for index in range(200)]


def _fill(
    contender: Contender, rows: int, conditions: Conditions, namespace: tuple[str, ...] = NAMESPACE
) -> list[FullKey]:
    values, rng = _values(conditions), conditions.rng
    keys: list[FullKey] = []
    while len(keys) < rows:
        batch = [new_key(rng, namespace) for _ in range(min(_CHUNK, rows - len(keys)))]
        contender.store({key: rng.choice(values) for key in batch})
        keys += batch
        conditions.progress(f"filling {contender.name}: {len(keys):,} of {rows:,} entries")
    return keys


def _new_sets(
    contender: Contender,
    conditions: Conditions,
    number: int,
    namespace: tuple[str, ...] = NAMESPACE,
    chunk: int = _CHUNK,
) -> Iterator[Calls]:
    """Yield so many sets of new keys in chunks, each made when it is asked for: a million need not be held."""
    values, rng = _values(conditions), Random(conditions.rng.random())
    for start in range(0, number, chunk):
        count = min(chunk, number - start)
        yield contender.sets([{new_key(rng, namespace): rng.choice(values)} for _ in range(count)])


def _each(calls: Calls) -> list[float]:
    """Return the milliseconds of every call."""
    call, arguments = calls
    clock = time.perf_counter_ns
    times = []
    for argument in arguments:
        started = clock()
        call(argument)
        times.append((clock() - started) / 1e6)
    return times
