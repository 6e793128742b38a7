"""Copies in the nearer tiers: what they may be, and how a tier that waits gets them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from hitrate.entry import Entry
from hitrate.keys import EncodedKey
from hitrate.plans import Plan
from hitrate.stores.base import Changes
from hitrate.stores.tiered.tier import Tier
from hitrate.stores.tiered.tiers import Tiers
from hitrate.stores.tiered.under_way import Access


def until(entry: Entry | None, latest: float | None) -> Entry | None:
    """Return an entry that expires at a given time at the latest, None for no such time."""
    if entry is None or latest is None or (entry[2] is not None and entry[2] <= latest):
        return entry
    return entry[0], entry[1], latest, entry[3]


def copies_for(tiers: Tiers, tier: Tier, changes: Changes, *, taken: bool = True) -> Changes:
    """Return what a write leaves in a nearer tier, as a mapping of its own.

    Nothing if the tier will tell of the write itself as a change, which would drop the copy: the next read makes one.
    """
    if taken and any(farther.echoes for farther in tiers.all[tier.level + 1 :]):
        return dict.fromkeys(changes)
    latest = tiers.latest(tier.level)
    if latest is not None and tiers.staleness <= 0:
        return dict.fromkeys(changes)
    return {key: until(entry, latest) for key, entry in changes.items()}


def copies_of(
    tiers: Tiers, tier: Tier, found: Mapping[int, Mapping[EncodedKey, Entry]], clean: Collection[EncodedKey]
) -> Changes:
    """Return what a read leaves in a nearer tier: what it found farther off, by level, and nobody has changed."""
    latest = tiers.latest(tier.level)
    if latest is not None and tiers.staleness <= 0:
        return {}
    farther = [entries for level, entries in found.items() if level > tier.level]
    return {key: until(entries[key], latest) for key in clean for entries in farther if key in entries}


def copying(tiers: Tiers, tier: Tier, access: Access, changes: Changes) -> Plan[Any]:
    """Write copies to a nearer tier that waits; nobody reads them before it is known that they were not spoiled."""
    since, good = 0, False
    try:
        with tiers.lock:
            since = tier.debts.begin(access, changes)
        result = yield from tiers.giving(tier, "write", changes)
        good = True
    finally:
        with tiers.lock:
            tier.debts.end(access)
            clean = tiers.under_way.clean(access) if good else ()
            tier.debts.paid([key for key in clean if key in changes], since)
            tier.debts.owe("write", set(changes).difference(clean))
    return result
