"""The time of one call: a hit, a miss, a set, of one key or many."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bench.contenders import FILES, MEMORY, POSTGRES, REDIS, TIERS, Calls, Contender, Durability, Terms
from bench.experiments.base import Conditions, Samples, cycled, draws, fill
from bench.payloads import PAYLOADS, FullKey, fresh, new_key
from bench.timing import Effort, Lane, take_turns, time_calls

_SETS_AT_MOST = 1000
_EARLY_HITS_AT_MOST = 200
_VALUES = 200
_NO_LIMIT = 1 << 40
_WARM_READS = 3
"""Times that every entry is read first: hitrate's memory cache chooses the form of an entry by its first hits."""


def measure(
    conditions: Conditions,
    *,
    where: str,
    op: str,
    payload: str,
    rows: int,
    batch: int = 1,
    durability: Durability = "normal",
    ttl: int | None = None,
    near: bool = True,
) -> Samples:
    """Measure one operation.

    Args:
        conditions: how to run.
        where: ``"memory"``, ``"file"``, ``"redis"``, ``"postgres"`` or ``"tiers"``.
        op: ``"hit"``, ``"first"`` or ``"second"`` (hit since the set), ``"miss"``, ``"set"`` (of new keys),
            ``"overwrite"``, or ``"fill"`` (a miss, and the set that follows it).
        payload: the name of the kind of values.
        rows: entries that are there before, and that hits are drawn from; of more than 1,000, a tenth in a quick run.
        batch: keys in a call.
        durability: the durability class of those that have a choice.
        ttl: seconds that the entries live, None for ever.
        near: whether hitrate may keep copies of a file's entries in memory, as it does unless told otherwise.
    """
    if conditions.quick and rows > 1000:
        rows //= 10
    kind = PAYLOADS[payload]
    conditions.progress("making values")
    entries = conditions.entries(kind, rows)
    # Sets are of more values than a cache may hold: a few could by chance be all easy, or all hard, to serialise.
    values = [kind.make(index, conditions.rng) for index in range(_VALUES)]
    kinds = {"memory": MEMORY, "file": FILES, "redis": REDIS, "postgres": POSTGRES, "tiers": TIERS}[where]
    # No byte limit that many entries of 20 KB would reach.
    terms = Terms(ttl=ttl, max_bytes=_NO_LIMIT, near=near)
    with conditions.contenders(kinds, kind, durability, terms) as contenders:
        lanes = []
        for name, contender in contenders.items():
            conditions.progress(f"filling {name}")
            fill(contender, entries)
            names = list(entries)
            for start in [*range(0, rows, 1000)] * _WARM_READS:
                contender.read(names[start : start + 1000])
            if op in ("hit", "miss"):
                keys = list(entries) if op == "hit" else [new_key(conditions.rng) for _ in range(4000)]
                lanes.append(Lane(name, cycled(contender.gets(draws(keys, batch, conditions.rng)))))
            elif op in ("first", "second"):
                block = _early_hits(contender, values, conditions, before=op == "second")
                lanes.append(Lane(name, block, most=_EARLY_HITS_AT_MOST))
            else:
                block = _sets(
                    contender, entries, values, batch, conditions, new=op != "overwrite", renew=where == "memory"
                )
                if op == "fill":
                    block = _after_misses(contender, block)
                lanes.append(Lane(name, block, most=_SETS_AT_MOST))
        pause = 0.003 if where != "memory" and op in ("set", "overwrite") else 0.0
        return {op: take_turns(lanes, _effort(conditions), conditions.rng, pause=pause, progress=conditions.progress)}


def _effort(conditions: Conditions) -> Effort:
    return Effort(rounds=15, block=0.003) if conditions.quick else Effort(rounds=60, block=0.006)


def _early_hits(
    contender: Contender, values: list[Any], conditions: Conditions, *, before: bool
) -> Callable[[int], Calls]:
    """Return what makes a block of hits on entries just set, that were hit once ``before`` or never."""

    def block(number: int) -> Calls:
        contender.close()
        contender.open()
        keys = [new_key(conditions.rng) for _ in range(number)]
        contender.store(dict(zip(keys, conditions.rng.choices(values, k=number), strict=True)))
        calls = contender.gets([[fresh(key)] for key in keys])
        if before:
            time_calls(calls)
        return calls

    return block


def _after_misses(contender: Contender, sets: Callable[[int], Calls]) -> Callable[[int], Calls]:
    """Return what makes a block in which each set follows a miss of its key, as a program that computes does it."""

    def block(number: int) -> Calls:
        call, arguments = sets(number)
        # A set of one entry is called with a batch or, where the contender has a shorter way, with the item.
        keys = [list(each) if isinstance(each, dict) else [each[0]] for each in arguments]
        get, asked = contender.gets([[fresh(key) for key in batch] for batch in keys])

        def fill(both: tuple[Any, Any]) -> None:
            get(both[0])
            call(both[1])

        return fill, list(zip(asked, arguments, strict=True))

    return block


def _sets(
    contender: Contender,
    entries: dict[FullKey, Any],
    values: list[Any],
    batch: int,
    conditions: Conditions,
    *,
    new: bool,
    renew: bool,
) -> Callable[[int], Calls]:
    """Return what makes a block of sets; with ``renew`` the contender starts anew in each, lest memory runs out."""
    rng = conditions.rng
    keys = list(entries)

    def block(number: int) -> Calls:
        if new and renew:
            contender.close()
            contender.open()
            contender.store({new_key(rng): value for value in values[:10]})
        batches = []
        for _ in range(number):
            chosen = [new_key(rng) for _ in range(batch)] if new else rng.sample(keys, batch)
            batches.append(dict(zip(chosen, rng.choices(values, k=batch), strict=True)))
        return contender.sets(batches)

    return block
