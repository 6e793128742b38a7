"""Taking records into a cache: batch by batch, each stored whole, and what is there stays."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from hitrate.cache import Cache
from hitrate.exchange.exports import CutShort
from hitrate.records import AT_ONCE, Damaged, Record


class Taken:
    """How many of the records that were read were taken, and why others were not.

    Attributes:
        stored: how many were stored.
        there: how many were there before, and stayed.
        expired: how many had expired.
        left: why others were left, and how many.
    """

    def __init__(self) -> None:
        self.stored = 0
        self.there = 0
        self.expired = 0
        self.left: Counter[str] = Counter()


def take(cache: Cache[Any], records: Iterable[Record | Damaged], taken: Taken, *, replace: bool = False) -> None:
    """Store records in a cache, without decoding their values.

    An interrupted one is carried on by doing it again: what was stored is there, and is passed over.

    Args:
        cache: where to.
        records: what to store; ``Damaged`` ones are counted as left.
        taken: is counted up, and right at each moment that an exception may end this.
        replace: whether what is there under the same key is replaced.

    Raises:
        StoreError: the store failed; the batches before are stored.
        CutShort: there are no more records where there should be; those before are stored.
    """
    for chunk in _batches(records):
        now = cache._clock()
        fresh: dict[tuple[tuple[str, ...], str], Record] = {}
        expired = 0
        left: Counter[str] = Counter()
        for each in chunk:
            if isinstance(each, Damaged):
                left[each.why] += 1
            elif each.expires is not None and each.expires <= now:
                expired += 1
            else:
                fresh[each.namespace, each.key] = each
        store = cache._open_store()
        encoded = cache._encode_keys(fresh)
        there = 0
        changes = {}
        found = [None] * len(encoded) if replace else store.get(encoded)
        for key, record, old in zip(encoded, fresh.values(), found, strict=True):
            if type(old) is tuple:
                there += 1
            else:
                changes[key] = record.encoding, record.payload, record.expires, record.seconds
        if changes:
            store.write(changes)
        taken.stored += len(changes)
        taken.there += there
        taken.expired += expired
        taken.left += left


def _batches(records: Iterable[Record | Damaged]) -> Iterator[list[Record | Damaged]]:
    batch: list[Record | Damaged] = []
    try:
        for each in records:
            batch.append(each)
            if len(batch) == AT_ONCE:
                yield batch
                batch = []
    except CutShort:
        if batch:
            yield batch
        raise
    if batch:
        yield batch
