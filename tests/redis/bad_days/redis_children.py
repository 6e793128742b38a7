"""What other processes do in the tests of many of them."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from hitrate import RedisCache

MEMBERS = [((f"member {number % 3}",), str(number)) for number in range(9)]
"""The keys of a batch that is always set whole."""


def work(url: str, prefix: str, number: int) -> dict[str, int]:
    """Write, read, delete and clear with two threads and an event loop; return what went wrong, by kind."""
    wrong = {"mixed": 0, "halves": 0, "lost": 0}
    with RedisCache[Any](
        url, prefix=prefix, timeout=60, connect_timeout=60
    ) as cache:  # the machine may be busy; this is not about time

        def own(thread: int) -> None:
            for step in range(60):
                key = ((f"own {number}",), f"{thread}.{step}")
                cache.set({key: ([number, thread, step], None if step % 2 else 60)})
                wrong["lost"] += cache.get([key]) != {key: [number, thread, step]}

        def shared(thread: int) -> None:
            for step in range(60):
                cache.set(dict.fromkeys(MEMBERS, ([number, thread, step], None)))
                seen = {str(value) for value in cache.get(MEMBERS).values()}
                wrong["halves"] += len(seen) > 1
                if step % 20 == 19:
                    cache.clear([MEMBERS[0][0]] if step % 40 == 19 else [("nobody's",)])

        async def tasks() -> None:
            async def task(place: int) -> None:
                key = (("tasks",), str(place))
                await cache.aset({key: ([place, number], None)})
                found = await cache.aget([key])
                wrong["mixed"] += found != {} and found[key][0] != place

            await asyncio.gather(*(task(place) for place in range(200)))

        with ThreadPoolExecutor(2) as threads:
            done = [threads.submit(own, 0), threads.submit(shared, 1)]
            asyncio.run(tasks())
            for each in done:
                each.result()
        wrong["errors"] = cache.stats().errors
    return wrong
