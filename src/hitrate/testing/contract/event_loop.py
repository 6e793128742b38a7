"""The event loop goes on while a cache waits."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from hitrate.testing.contract.fixtures import Fixtures, MakeCache
from hitrate.testing.watching import called, waits

KEY = (("event", "loop"), "key")
OTHER = (("event", "loop"), "other")

CALLS: dict[str, Callable[[Any], Awaitable[object]]] = {
    "aset": lambda cache: cache.aset({KEY: ("value", 60)}),
    "aget": lambda cache: cache.aget([KEY, OTHER]),
    "adelete": lambda cache: cache.adelete([KEY]),
    "aclear": lambda cache: cache.aclear([KEY[0]]),
    "aclear_under": lambda cache: cache.aclear_under(KEY[0][:1]),
}
BLOCKED_SECONDS = 0.02
"""How long a loop may be held up: more than a thread of Python's keeps others waiting."""

TRIES = 50


class EventLoop(Fixtures):
    """The event loop"""

    @pytest.mark.parametrize("call", CALLS)
    def test_the_event_loop_goes_on(self, new_cache: MakeCache, call: str) -> None:
        """What waits for the disk, the network or another thread does not do so on the event loop, which goes on."""
        cache = new_cache()
        found, held_up = asyncio.run(watch(cache, call))
        assert not found, f"{call} calls `{found[0]}` on the event loop's thread; asyncio.to_thread gives it another"
        assert held_up < BLOCKED_SECONDS, f"{call} holds the event loop up for {held_up * 1000:.0f} ms each time"


async def watch(cache: Any, call: str) -> tuple[list[str], float]:
    """Return what an async method calls that may wait, and for how long it holds the loop up at least, in seconds."""
    for begin in CALLS.values():  # the first calls import modules
        await begin(cache)
    with called(waits) as found:
        await CALLS["aset"](cache)
        found.clear()
        await CALLS[call](cache)
    held_up = float("inf")
    for _ in range(TRIES):  # a machine that is busy holds up a loop, too, but not each time
        held_up = min(held_up, await _held_up(CALLS[call](cache)))
        if held_up < BLOCKED_SECONDS:
            break
    return found, held_up


async def _held_up(awaited: Awaitable[object]) -> float:
    """Return for how long the loop did not turn while this was awaited, at most."""
    longest, last = 0.0, time.perf_counter()
    task = asyncio.ensure_future(_result(awaited))
    while not task.done():
        await asyncio.sleep(0)
        now = time.perf_counter()
        longest, last = max(longest, now - last), now
    await task
    return longest


async def _result(awaited: Awaitable[object]) -> object:
    return await awaited
