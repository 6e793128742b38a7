"""Event loops that are closed with work pending: afterwards objects, threads and descriptors are as before."""

from __future__ import annotations

import gc
import time
import warnings

from tests.bad_days.test_closed_loops import close_one_with_work_pending, use, what_there_is

from torture.campaign import Campaign

LOOPS = 200
LEFT_OVER = 50
"""Objects of one kind that may be more than before: what caches and interpreters keep of the last few calls."""


def run(campaign: Campaign) -> None:
    """Close up to 200 loops for each kind of cache."""
    kinds = ("memory", "sqlite", "valkey", "postgres", "tiers", "tiers over valkey", "tiers over postgres")
    warnings.filterwarnings("ignore", "coroutine .* was never awaited", RuntimeWarning)
    for kind, seconds in campaign.shares(kinds):
        with campaign.cache(kind) as cache:
            for number in range(10):
                close_one_with_work_pending(cache, number)
            use(cache)
            kinds_before, threads_before, open_before = what_there_is()
            number = 0
            end = time.monotonic() + seconds
            while number < LOOPS and time.monotonic() < end:
                close_one_with_work_pending(cache, number)
                number += 1
            gc.collect()  # the next use ends what is found
            began = time.monotonic()
            use(cache)
            took = time.monotonic() - began
            kinds_after, threads_after, open_after = what_there_is()
        campaign.result.operations += number * 20
        campaign.result.figures[f"{kind}: loops closed, next use"] = f"{number}, {took * 1000:.1f} ms"
        if took > 1.0:
            campaign.violated(f"{kind}: after {number} loops that were closed a use took {took:.2f} s")
        more = {name: count for name, count in (kinds_after - kinds_before).items() if count > LEFT_OVER}
        if number > LEFT_OVER and more:
            campaign.violated(f"{kind}: objects are left: {more}")
        if threads_after > threads_before + 4 or open_after > open_before + 8:
            campaign.violated(
                f"{kind}: {threads_after} threads after {threads_before}, {open_after} descriptors after {open_before}"
            )
