"""Leases: taken in the farthest tier, and settled with what was computed under them."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from hitrate.errors import StoreError
from hitrate.keys import EncodedKey
from hitrate.plans import Plan
from hitrate.stores.base import Changes
from hitrate.stores.tiered.tiers import Tiers
from hitrate.stores.tiered.under_way import Access
from hitrate.stores.tiered.writing import end_write, passing_on


def leasing(tiers: Tiers, keys: Sequence[EncodedKey], token: bytes, seconds: float) -> Plan[Sequence[float]]:
    """Take leases, after the removals that are owed, which would end them."""
    yield from tiers.paying(tiers.far)
    left: Sequence[float] = yield tiers.far.store, "lease", keys, token, seconds
    return left


def settling(tiers: Tiers, access: Access, results: Changes, token: bytes) -> Plan[Collection[EncodedKey]]:
    """Store results in the farthest tier, and copies in the others of those that it took."""
    failed: list[StoreError] = []
    # If it is not known whether a result was stored, its copies are dropped: by then the far entry may be another's.
    given: Changes = dict.fromkeys(access.keys)
    try:
        with tiers.lock:
            tiers.expect(given)
            tiers.under_way.begin(access)
            since = tiers.far.debts.now()
        late: Collection[EncodedKey] = yield from tiers.giving(tiers.far, "settle", results, token)
        stored = {key: entry for key, entry in results.items() if entry is not None and key not in late}
        with tiers.lock:
            tiers.far.debts.paid(stored, since)
        given = {**given, **stored}
        yield from passing_on(tiers, access, given, failed)
    finally:
        end_write(tiers, access, given, taken=not failed)
    for failure in failed:
        tiers.report("write", failure)
    return late
