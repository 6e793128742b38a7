"""One tier: a store, the removals that are owed to it, and whether it tells what changes in it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from hitrate.keys import EncodedKey
from hitrate.stores.base import Channel, Store
from hitrate.stores.debts import Debts
from hitrate.stores.tiered.memory_tier import MemoryTier

if TYPE_CHECKING:
    from hitrate.stores.tiered.tiers import Tiers


class Tier:
    """A tier of a ``TieredStore``.

    Args:
        store: where its entries are.
        level: 0 for the nearest.
        whole: the tiers that it is one of.

    Attributes:
        instant: whether the store is memory, which answers at once and is changed under the lock of the whole.
        debts: what it is owed; guarded by the same lock.
        channel: how it tells of changes; None if it cannot.
    """

    def __init__(self, store: Store, level: int, whole: Tiers) -> None:
        self.store = store
        self.level = level
        self.instant = isinstance(store, MemoryTier)
        self.debts = Debts()
        self.channel: Channel | None = None
        self._whole = whole

    @property
    def is_told(self) -> bool:
        """Whether every change in this tier reaches the nearer ones."""
        return self.channel is not None and self.channel.live

    @property
    def echoes(self) -> bool:
        """Whether what is written to this tier is told as a change some time later."""
        return self.channel is not None and self.channel.live and self.channel.echoes

    def changed(self, keys: Collection[EncodedKey]) -> None:
        """Drop the copies of keys that were changed."""
        self._whole.hear(self, "write", keys)

    def cleared(self, names: Sequence[bytes] | None) -> None:
        """Drop the copies of what was cleared."""
        self._whole.hear(self, "clear", names)

    def cleared_under(self, prefix: bytes) -> None:
        """Drop the copies of what was cleared."""
        self._whole.hear(self, "clear_under", prefix)

    def empty_nearer(self) -> None:
        """Drop all copies."""
        self.cleared(None)
        self._whole.emptied()
