"""Writers of memory without a lock: exact whatever the threads do, also where a tracer switches them between lines."""

import ast
import dis
import inspect
import sys
import threading
from pathlib import Path
from random import Random
from types import CodeType

import pytest

import hitrate
from hitrate import InMemoryCache
from hitrate.stores.memory import MemoryStore
from hitrate.stores.memory.dividing import Divided
from hitrate.stores.memory.space import SIZE, LargeSpace, Space

# At these CPython looks whether another thread is to run, or a signal has come; and within the last, the collector may.
STEPS_END = ("CALL", "PRECALL", "JUMP_BACKWARD", "RESUME", "FOR_ITER", "SEND", "YIELD", "AWAIT", "WITH", "BUILD_")


def run_at_once(run):
    """Run a function on four threads, each with its number, which switch as often as they can."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=run, args=[number]) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)


def race(cache, ttl, turns, trace):
    """Have threads use a cache in all ways."""

    def run(seed):
        sys.settrace(trace)
        rng = Random(seed)
        for _ in range(turns):
            key = ((str(rng.randrange(3)),), str(rng.randrange(40)))
            match rng.randrange(20):
                case 0:
                    cache.delete([key])
                case 1:
                    cache.clear([key[0]])
                case 2:
                    cache.stats()
                case 3 | 4 | 5 | 6:
                    cache.get([key])
                case 7 | 8:
                    cache.set({(key[0], str(number)): ({"n": number}, ttl) for number in range(rng.randrange(2, 9))})
                case number:
                    text = "x" * rng.randrange(5000)
                    cache.set({key: ({"text": text}, None if number < 15 else ttl and rng.randrange(1, ttl))})

    run_at_once(run)


def trace_lines(frame, event, arg):
    return trace_lines


@pytest.mark.parametrize("ttl", [None, 60])
@pytest.mark.parametrize(("turns", "trace"), [(3000, None), (600, trace_lines)], ids=["untraced", "traced"])
def test_the_counts_are_exact_after_threads_have_raced(ttl, turns, trace):
    cache = InMemoryCache(max_bytes=200_000)
    race(cache, ttl, turns, trace)
    spaces = cache._store.spaces
    with cache._store.lock:  # the housekeeping removes what expires
        stats = cache.stats()
        assert stats.bytes <= 200_000
        assert stats.entries == sum(map(len, spaces.values()))
        assert stats.bytes == sum(held[SIZE] for space in spaces.values() for held in space.values())
    cache.clear()
    assert (cache.stats().entries, cache.stats().bytes) == (0, 0)


@pytest.mark.parametrize("ttl", [None, 60])
def test_room_that_is_spent_under_a_tracer_is_spent_once(ttl):
    """Much room, and writers that nothing sends to the lock: the exchange of the fast path alone."""
    cache = InMemoryCache(max_bytes=50_000_000)
    cache.set({(("ns",), "first"): ({"n": 0}, ttl)})

    def write(seed):
        sys.settrace(trace_lines)
        for number in range(1500):
            cache.set({(("ns",), str(number % 7)): ({"text": "x" * (seed * 50 + number % 11)}, ttl)})

    run_at_once(write)
    with cache._store.lock:
        entries = [held for space in cache._store.spaces.values() for held in space.values()]
        assert cache.stats().bytes == sum(held[SIZE] for held in entries)
    assert cache.stats().sets == 6001


def lines_that_are_one_step(function) -> dict[int, str]:
    """Return the lines of a function that have several statements, which only these lines have."""
    lines, first = inspect.getsourcelines(function)
    return {first + at: line.strip() for at, line in enumerate(lines) if "E702" in line}


@pytest.mark.parametrize(
    ("function", "lines"),
    [
        (InMemoryCache.set, 1),
        (MemoryStore.put_in_part, 2),
        (Space.take_room, 1),
        (Space.exchange, 1),
        (LargeSpace.exchange, 1),
        (LargeSpace.__setitem__, 1),
        (Divided.__setitem__, 1),
        (Divided.pop, 1),
        (Divided.move, 1),
    ],
)
def test_a_line_that_must_be_one_step_has_nothing_at_which_threads_are_switched(function, lines):
    code: CodeType = function.__code__
    steps = lines_that_are_one_step(function)
    assert len(steps) == lines
    seen = []
    line = None
    for instruction in dis.get_instructions(code):
        positions = instruction.positions
        line = positions.lineno if positions and positions.lineno else line
        if line in steps:
            seen.append(instruction.opname)
    assert {"STORE_SUBSCR", "STORE_ATTR"} & {*seen}
    if seen[-1] == "JUMP_BACKWARD":  # the end of a loop's body comes after the step
        seen.pop()
    assert [name for name in seen if name.startswith(STEPS_END)] == []


def test_nothing_is_called_between_the_load_and_the_store_of_a_counter():
    """``counters.sets += store(...)`` loads the count first, and loses what other threads count meanwhile."""
    package = Path(hitrate.__file__).parent
    wrong = []
    for path in package.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Attribute):
                counters = ast.unparse(node.target.value)
                inner = [each for each in ast.walk(node.value) if isinstance(each, ast.Call | ast.comprehension)]
                if counters.endswith("counters") and inner:
                    wrong.append(f"{path.name}:{node.lineno}: {ast.unparse(node)}")
    assert wrong == []
