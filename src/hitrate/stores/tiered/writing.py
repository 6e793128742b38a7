"""A write to the tiers: the farthest first, then those that wait, and those in memory as it ends."""

from __future__ import annotations

from typing import Any

from hitrate.errors import StoreError
from hitrate.plans import Plan
from hitrate.stores.base import Changes
from hitrate.stores.tiered.copies import copies_for, copying
from hitrate.stores.tiered.tiers import Tiers
from hitrate.stores.tiered.under_way import Access


def writing(tiers: Tiers, access: Access, changes: Changes) -> Plan[int]:
    """Write to the farthest tier first, and to those in memory as the access ends."""
    removed: list[int] = []
    failed: list[StoreError] = []
    try:
        with tiers.lock:
            tiers.expect(changes)
            tiers.under_way.begin(access)
        try:
            removed.append((yield from _writing_far(tiers, changes)))
        except StoreError as error:
            failed.append(error)
        removed += yield from passing_on(tiers, access, changes, failed)
    except BaseException:
        with tiers.lock:
            tiers.under_way.spoil("write", changes)
        raise
    finally:
        there = end_write(tiers, access, changes, taken=not failed)
    for failure in failed:
        tiers.report("write", failure)
    return removed[0] if removed else there


def _writing_far(tiers: Tiers, changes: Changes) -> Plan[Any]:
    tier = tiers.far
    with tiers.lock:
        since = tier.debts.now()
    try:
        answer = yield from tiers.giving(tier, "write", changes)
    except StoreError:
        with tiers.lock:
            tier.debts.owe("write", changes)
        raise
    with tiers.lock:
        tier.debts.paid(changes, since)
    return answer


def passing_on(tiers: Tiers, access: Access, changes: Changes, failed: list[StoreError]) -> Plan[list[int]]:
    """Leave what was written in the nearer tiers that wait; return how many keys that removed in each."""
    removed = []
    for tier in reversed(tiers.all[:-1]):
        if not tier.instant:
            try:
                removed.append((yield from copying(tiers, tier, access, copies_for(tiers, tier, changes))))
            except StoreError as error:
                failed.append(error)
    return removed


def end_write(tiers: Tiers, access: Access, changes: Changes, *, taken: bool) -> int:
    """Leave in memory what was written, unless another write overlapped; return how many keys that removed.

    If the tiers that wait have not all ``taken`` it, no echo of it is expected.
    """
    removed = 0
    with tiers.lock:
        clean = tiers.end(access)
        spoiled = set(changes).difference(clean) if len(clean) < len(changes) else ()
        for tier in tiers.all[:-1]:
            if not tier.instant:
                if spoiled:
                    tier.debts.owe("write", spoiled)
                continue
            copies = copies_for(tiers, tier, changes, taken=taken)
            if spoiled:
                copies = {**copies, **dict.fromkeys(spoiled)}
            removed = tier.store.write(copies)
        tiers.under_way.passed_on(access)
    return removed
