"""Clearing tiers: first those in memory, then the farthest, then the rest."""

from __future__ import annotations

from hitrate.errors import StoreError
from hitrate.plans import Plan
from hitrate.stores.tiered.tiers import Tiers
from hitrate.stores.tiered.under_way import Access


def clearing(tiers: Tiers, access: Access) -> Plan[None]:
    """Clear by ``clear`` or ``clear_under``, as the access says."""
    far, do, what = tiers.far, *access.change
    with tiers.lock:
        tiers.under_way.begin(access)
        # Tiers other than memory are owed this clear, and so not read until it is done, below or by a later call.
        tiers.drop(do, what, far.level)
    failed: list[StoreError] = []
    try:
        for tier in reversed(tiers.all):
            if tier.instant and tier is not far:
                continue  # cleared already
            try:
                if tier is far:
                    yield from tiers.giving(tier, do, what)
                else:
                    yield from tiers.paying(tier)
            except StoreError as error:
                failed.append(error)
                if tier is far:
                    with tiers.lock:
                        far.debts.owe(do, what)
    finally:
        with tiers.lock:
            tiers.regain()
            tiers.under_way.end(access)
            tiers.under_way.passed_on(access)
    for failure in failed:
        tiers.report("clear", failure)
