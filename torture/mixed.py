"""Mixed load with random timeouts in two loops, beside a thread whose loops are closed with work pending."""

from __future__ import annotations

import asyncio
import random
import threading
import time
import warnings
from typing import Any

from torture.campaign import Campaign

KINDS = ("memory", "sqlite", "valkey", "postgres", "tiers over valkey")
TASKS = 24
KEYS = [(("mixed",), str(number)) for number in range(12)]
STANDSTILL_SECONDS = 20.0


class _Load:
    """What several threads do to one cache.

    Attributes:
        done: operations so far.
        wrong: what was read and never written.
    """

    def __init__(self, cache: Any, end: float) -> None:
        self.cache = cache
        self.end = end
        self.done = 0
        self.wrong: list[str] = []

    async def _compute(self, chance: random.Random, key: Any) -> Any:
        await asyncio.sleep(chance.choice([0.0, 0.0, 0.001, 0.01]))
        return [key[1]]

    async def _operate(self, chance: random.Random) -> None:
        key = chance.choice(KEYS)
        what = chance.random()
        if what < 0.6:
            lease = chance.choice([None, None, 1.0])
            value = await self.cache.aget_or_compute(key, lambda: self._compute(chance, key), lease=lease)
            if value != [key[1]]:
                self.wrong.append(f"{key} is {value!r}")
        elif what < 0.75:
            await self.cache.aset({key: ([key[1]], chance.choice([None, 60, 0.01]))})
        elif what < 0.9:
            await self.cache.adelete([key])
        else:
            await self.cache.aget(KEYS)

    async def _go_on(self, chance: random.Random) -> None:
        while time.monotonic() < self.end:
            try:
                async with asyncio.timeout(chance.choice([0.0005, 0.002, 0.01, 1.0])):
                    await self._operate(chance)
            except TimeoutError:
                pass
            self.done += 1

    def loop(self, seed: int) -> None:
        """Run many tasks in a loop until the end."""

        async def main() -> None:
            await asyncio.gather(*(self._go_on(random.Random(seed + number)) for number in range(TASKS)))

        asyncio.run(main())

    def closed_loops(self, seed: int) -> None:
        """Close loops with work pending until the end."""
        chance = random.Random(seed)
        while time.monotonic() < self.end:
            loop = asyncio.new_event_loop()
            loop.set_exception_handler(lambda *_: None)  # it says of each task that it was pending
            tasks: list[Any] = []

            async def begin() -> None:
                tasks.extend(asyncio.ensure_future(self._operate(chance)) for _ in range(5))  # noqa: B023
                await asyncio.sleep(chance.choice([0.0, 0.001, 0.005]))

            loop.run_until_complete(begin())
            loop.close()
            self.done += 5


def run(campaign: Campaign) -> None:
    """Load each kind of cache; see that it goes on."""
    warnings.filterwarnings("ignore", "coroutine .* was never awaited", RuntimeWarning)
    for kind, seconds in campaign.shares(KINDS):
        with campaign.cache(kind) as cache:
            load = _Load(cache, time.monotonic() + seconds)
            seeds = [campaign.random.getrandbits(32) for _ in range(3)]
            threads = [threading.Thread(target=load.loop, args=(seed,), daemon=True) for seed in seeds[:2]]
            threads.append(threading.Thread(target=load.closed_loops, args=(seeds[2],), daemon=True))
            for thread in threads:
                thread.start()
            done, since = 0, time.monotonic()
            while any(thread.is_alive() for thread in threads):
                time.sleep(0.1)
                if load.done != done:
                    done, since = load.done, time.monotonic()
                elif time.monotonic() - since > STANDSTILL_SECONDS:
                    campaign.violated(f"{kind}: everything stands still after {done:,} operations")
                    break
                campaign.tell(f"{kind}: {done:,} so far")
            campaign.result.operations += load.done
            campaign.result.figures[f"{kind}: operations"] = f"{load.done:,}"
            for wrong in load.wrong[:5]:
                campaign.violated(f"{kind}: {wrong}")
