"""Results that whoever takes them uses up: no caller gets what another one has emptied."""

from __future__ import annotations

import asyncio
import csv
import io
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain
from typing import Any

import pytest

from compute.callers import KEY, OTHER, AsyncGated, Caller, Gated, auntil, flying, run, until, waiting
from hitrate.compute.used_up import is_used_up


@dataclass
class Table:
    name: str
    rows: Any


USED_UP: dict[str, tuple[Callable[[], Any], Callable[[Any], Any]]] = {
    "map": (lambda: map(str.lower, "AB"), lambda each: each),
    "filter": (lambda: filter(None, ["a", "", "b"]), lambda each: each),
    "zip": (lambda: zip("ab", strict=True), lambda each: ["".join(part) for part in each]),
    "iterator of a list": (lambda: iter(["a", "b"]), lambda each: each),
    "text in memory": (lambda: io.StringIO("a\nb"), lambda each: [line.strip() for line in each]),
    "bytes in memory": (lambda: io.BytesIO(b"a\nb"), lambda each: [line.strip().decode() for line in each]),
    "reader of CSV": (lambda: csv.reader(["a", "b"]), lambda each: [row[0] for row in each]),
    "chain": (lambda: chain("a", "b"), lambda each: each),
    "within a dict": (lambda: {"rows": map(str.lower, "AB")}, lambda each: each["rows"]),
    "within a tuple": (lambda: (2, [deque([iter("ab")])]), lambda each: each[1][0][0]),
    "generator within a list": (lambda: [(letter for letter in "ab")], lambda each: each[0]),
    "within a dataclass": (lambda: Table("t", map(str.lower, "AB")), lambda each: each.rows),
}


@pytest.mark.parametrize("kind", USED_UP)
def test_each_thread_that_waited_computes_its_own(memory: Any, kind: str) -> None:
    make, taken = USED_UP[kind]
    compute = Gated(make)
    callers = [Caller(lambda: [*taken(memory.get_or_compute(KEY, compute))]) for _ in range(4)]
    until(lambda: waiting(memory) == 3)
    compute.let()
    assert [caller.result() for caller in callers] == [["a", "b"]] * 4
    assert compute.runs == 4
    assert flying(memory) == 0


@pytest.mark.parametrize("kind", USED_UP)
def test_each_task_that_waited_computes_its_own(memory: Any, kind: str) -> None:
    make, taken = USED_UP[kind]

    async def main() -> None:
        compute = AsyncGated(make)
        calls = [asyncio.create_task(memory.aget_or_compute(KEY, compute)) for _ in range(4)]
        await auntil(lambda: waiting(memory) == 4)
        compute.let()
        assert [[*taken(await call)] for call in calls] == [["a", "b"]] * 4
        assert compute.runs == 4

    run(main())
    assert flying(memory) == 0


def test_in_a_batch_only_what_is_used_up_is_computed_again(memory: Any) -> None:
    asked: list[list[Any]] = []

    def compute(keys: list[Any]) -> dict[Any, Any]:
        asked.append(keys)
        return {key: iter("ab") if key == KEY else "kept" for key in keys}

    first = Gated(lambda: compute([KEY, OTHER]))
    leader = Caller(lambda: memory.get_or_compute_many([KEY, OTHER], lambda keys: first()))
    assert first.begun.wait(10)
    waiter = Caller(lambda: memory.get_or_compute_many([OTHER, KEY], compute))
    until(lambda: waiting(memory, OTHER) == 1)
    first.let()
    for caller in (leader, waiter):
        result = caller.result()
        assert [*result[KEY]] == ["a", "b"]
        assert result[OTHER] == "kept"
    assert asked == [[KEY, OTHER], [KEY]]


def test_a_result_that_is_not_to_be_kept_is_not_shared_either(memory: Any) -> None:
    compute = Gated(lambda: iter("ab"))
    callers = [Caller(lambda: [*memory.get_or_compute(KEY, compute, 0)]) for _ in range(3)]
    until(lambda: waiting(memory) == 2)
    compute.let()
    assert [caller.result() for caller in callers] == [["a", "b"]] * 3


def test_a_cycle_is_looked_through_once() -> None:
    circle: list[Any] = [1]
    circle.append(circle)
    assert not is_used_up(circle)
    assert is_used_up([circle, iter("a")])
    assert not is_used_up(Table)
