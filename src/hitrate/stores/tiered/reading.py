"""A read of the tiers: each is asked for what the nearer ones did not have, and they get copies of what was found."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence

from hitrate.entry import Entry
from hitrate.errors import StoreError
from hitrate.events import noting
from hitrate.keys import EncodedKey
from hitrate.plans import Plan
from hitrate.stores.base import Found
from hitrate.stores.tiered.copies import copies_of, copying
from hitrate.stores.tiered.tiers import Tiers
from hitrate.stores.tiered.under_way import Access


def reading(tiers: Tiers, access: Access, keys: Sequence[EncodedKey], start: int | None) -> Plan[Sequence[Found]]:
    """Look in one tier after the other for what is still missing, and leave copies in the nearer ones."""
    missing = list(access.keys)
    found: dict[EncodedKey, Found] = {}
    copies: dict[int, dict[EncodedKey, Entry]] = {}
    failed: list[StoreError] = []
    try:
        with tiers.lock:
            tiers.catch_up_all()
            tiers.expect(missing)
            tiers.under_way.begin(access)
            state = tiers.under_way.state()
        levels = set()
        for tier in tiers.all[tiers.start if start is None else start :]:
            if tier.debts and time.monotonic() >= tiers.pay_at:
                tiers.keeper.request()  # a read does not wait for it
            try:
                with tiers.lock:
                    asked = [key for key in missing if not tier.debts.doubts(key)] if tier.debts.any else missing
                answers = (yield tier.store, "get", asked) if asked else ()
            except StoreError as error:
                failed.append(error)
                continue
            for key, answer in zip(asked, answers, strict=True):
                if type(answer) is tuple:
                    if tier.level:
                        copies.setdefault(tier.level, {})[key] = answer
                    found[key] = answer
                    levels.add(tier.level)
                elif answer is not None:
                    found[key] = answer
            left = [key for key in missing if type(found.get(key)) is not tuple]
            _note_tier(tier.level, set(missing).difference(left))
            missing = left
            if not missing:
                break
        nearer = bool(levels - {tiers.far.level})
        # What was found nearer may be older than a change, and what was found farther off newer.
        if nearer and (missing or len(levels) > 1) and not tiers.stands(state):
            copies.clear()
            found = yield from _reading_far(tiers, keys, failed)
        yield from _filling(tiers, access, copies, failed)
    finally:
        _end_read(tiers, access, copies)
    for failure in failed:
        tiers.report("read", failure)
    return [found.get(key) for key in keys]


def _reading_far(tiers: Tiers, keys: Sequence[EncodedKey], failed: list[StoreError]) -> Plan[dict[EncodedKey, Found]]:
    """Look in the farthest tier alone, in one step."""
    with tiers.lock:
        asked = [key for key in dict.fromkeys(keys) if not tiers.far.debts.doubts(key)]
    try:
        answers: Sequence[Found] = (yield tiers.far.store, "get", asked) if asked else ()
    except StoreError as error:
        failed.append(error)
        return {}
    _note_tier(tiers.far.level, asked)
    return dict(zip(asked, answers, strict=True))


def _note_tier(level: int, found: Collection[EncodedKey]) -> None:
    """Tell whoever watches this call in which tier keys were found."""
    notes = noting.get()
    if notes is not None:
        notes.tiers.update(dict.fromkeys(found, level))


def _filling(
    tiers: Tiers, access: Access, copies: dict[int, dict[EncodedKey, Entry]], failed: list[StoreError]
) -> Plan[None]:
    """Leave copies in the nearer tiers that wait; those in memory get theirs as the access ends."""
    for tier in tiers.all[: max(copies, default=0)]:
        if tier.instant:
            continue
        with tiers.lock:
            changes = copies_of(tiers, tier, copies, tiers.under_way.clean(access))
        if changes:
            try:
                yield from copying(tiers, tier, access, changes)
            except StoreError as error:
                failed.append(error)


def _end_read(tiers: Tiers, access: Access, copies: dict[int, dict[EncodedKey, Entry]]) -> None:
    with tiers.lock:
        clean = tiers.end(access)
        if not copies or not clean:
            return
        for tier in tiers.all[: max(copies)]:
            if tier.instant and (left := copies_of(tiers, tier, copies, clean)):
                tier.store.write(left)
                tiers.sleep.copies += len(left)
