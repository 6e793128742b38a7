"""Counters: what a cache did since it was opened, and the seconds it saved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any

from hitrate.savings import Ledger

if TYPE_CHECKING:
    from hitrate.breaker import BreakerState

REMEMBERED_MISSES = 8192


@dataclass(frozen=True, slots=True)
class CacheStats:
    """What a cache did since it was opened, and what it holds now.

    Attributes:
        hits: keys found.
        misses: keys asked for and not found.
        sets: entries stored.
        deletes: keys given to ``delete``, or set with a TTL of 0 or less, that were there.
        evictions: entries removed to stay within ``max_bytes`` or ``max_entries``.
        expirations: entries removed because their TTL had passed.
        errors: reads and writes that failed and were turned into misses or dropped.
        entries: entries held now.
        bytes: bytes held now: keys, payloads and a fixed overhead an entry.
        seconds_saved: seconds that hits spared, by the time each value took from its miss to its set.
        disk_bytes: bytes on this machine's disk: of an SQLite file and its -wal, free pages included; 0 elsewhere.
        breaker: of a cache across a network, ``"open"`` while its server fails and is only tried now and then,
            ``"half-open"`` during such a try, and otherwise ``"closed"``, as of every other cache.
        tokens_saved: tokens that hits of an adapter for models spared, by model: ``{"input": ..., "output": ...}``.
    """

    hits: int = 0
    misses: int = 0
    sets: int = 0
    deletes: int = 0
    evictions: int = 0
    expirations: int = 0
    errors: int = 0
    entries: int = 0
    bytes: int = 0
    seconds_saved: float = 0.0
    disk_bytes: int = 0
    breaker: BreakerState = "closed"
    tokens_saved: dict[str, dict[str, int]] = field(default_factory=dict, hash=False)

    @property
    def hit_rate(self) -> float:
        """Hits as a fraction of the keys asked for; 0.0 when none was."""
        asked = self.hits + self.misses
        return self.hits / asked if asked else 0.0


class Counters:
    """The running counts of one cache.

    Each is changed by a single ``+=`` of a number at hand, which CPython's global lock makes one step: it switches
    threads at calls and jumps, and there must be none to the right of it, for the count is loaded before that.
    """

    __slots__ = ("deletes", "errors", "hits", "ledger", "misses", "seconds_saved", "sets")

    def __init__(self) -> None:
        self.hits = 0
        self.misses = 0
        self.sets = 0
        self.deletes = 0
        self.errors = 0
        self.seconds_saved = 0.0
        self.ledger = Ledger()


class MissTimes(dict[Any, float]):
    """When keys were missed, so that their set can tell how many seconds the value took; the latest few thousand."""

    def note(self, keys: Sequence[Any], now: float) -> None:
        """Remember that keys were missed now."""
        for key in keys:
            self[key] = now
        if len(self) > REMEMBERED_MISSES:
            self.forget(len(keys))

    def forget(self, latest: int) -> None:
        """Forget the older half, but nothing of the latest read.

        Args:
            latest: how many keys that read missed.
        """
        for key in [*islice(self, max(0, len(self) - max(latest, REMEMBERED_MISSES // 2)))]:
            self.pop(key, None)

    def seconds_since(self, key: Any, now: float) -> float:
        """Return the seconds from the miss of a key until now and forget it; 0.0 if it was not missed here."""
        missed = self.pop(key, None)
        return 0.0 if missed is None else max(0.0, now - missed)
