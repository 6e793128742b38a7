"""Clearing tiers: the farthest, those that wait, and before both what is in memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from hitrate.errors import StoreError
from hitrate.plans import Plan
from hitrate.stores.tiered.tiers import Tiers
from hitrate.stores.tiered.under_way import Access


def clearing(tiers: Tiers, names: Sequence[bytes] | None, access: Access) -> Plan[None]:
    with tiers.lock:
        tiers.under_way.begin(access)
        # What a nearer tier that waits holds is not read until it is cleared, below or by a later call.
        tiers.drop_namespaces(names, tiers.far.level)
    yield from _clearing_all(tiers, access, "clear", names, tiers.far.debts.owe_namespaces)


def clearing_under(tiers: Tiers, prefix: bytes, access: Access) -> Plan[None]:
    with tiers.lock:
        tiers.under_way.begin(access)
        tiers.drop_under(prefix, tiers.far.level)
    yield from _clearing_all(tiers, access, "clear_under", prefix, tiers.far.debts.owe_under)


def _clearing_all(tiers: Tiers, access: Access, do: str, what: Any, owe: Callable[[Any], None]) -> Plan[None]:
    """Clear the tiers that wait; those in memory are cleared already."""
    failed: list[StoreError] = []
    try:
        for tier in reversed(tiers.all):
            if tier.instant and tier is not tiers.far:
                continue
            try:
                if tier is tiers.far:
                    yield from tiers.giving(tier, do, what)
                else:
                    yield from tiers.paying(tier)
            except StoreError as error:
                failed.append(error)
                if tier is tiers.far:
                    with tiers.lock:
                        owe(what)
    finally:
        with tiers.lock:
            tiers.regain()
            tiers.under_way.end(access)
            tiers.under_way.passed_on(access)
    for failure in failed:
        tiers.report("clear", failure)
