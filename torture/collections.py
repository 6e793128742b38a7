"""Collections at any allocation, whose finalisers ask the same cache: nothing waits for a lock of its own thread."""

from __future__ import annotations

import gc
import time

from tests.bad_days.test_finalisers import FINALISERS, OPERATIONS, collected_at, key, settled

from torture.campaign import KINDS, Campaign


def run(campaign: Campaign) -> None:
    """Place a collection at random allocations of each operation, on each store."""
    came = 0
    gc.collect()
    gc.freeze()
    try:
        for kind, seconds in campaign.shares(KINDS):
            with campaign.cache(kind) as cache:
                end = time.monotonic() + seconds
                while time.monotonic() < end:
                    operation = campaign.random.choice([*OPERATIONS])
                    finaliser = campaign.random.choice([*FINALISERS])
                    allocation = campaign.random.randrange(1, 120)
                    cache.set({key("s"): ([1], 60)})
                    cache.delete([key("a")])
                    try:
                        came += collected_at(allocation, cache, operation, finaliser)
                        settled(cache)
                    except AssertionError as error:
                        campaign.violated(f"{kind}: {finaliser!r} within {operation!r} at {allocation}: {error}")
                        break  # its locks may never be had again
                    campaign.result.operations += 1
                    if campaign.result.operations % 500 == 0:
                        campaign.tell(f"{kind}: {came:,} collections")
    finally:
        gc.unfreeze()
    campaign.result.figures["collections within operations"] = f"{came:,}"
    if not came:
        campaign.violated("no collection came within an operation")
