"""The form in which memory holds a value once it has been read: the one that serves its next hits best.

An immutable value is held as it is. Of any other, hits copy a private original where that is faster than decoding;
where it is not, the entries of that namespace stay bytes, with what decodes them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import cache
from operator import call
from typing import Any

from hitrate.serde import copier, is_immutable
from hitrate.stores.memory.space import ENTRY_OVERHEAD, Held, Space, footprint
from hitrate.stores.memory.store import MemoryStore

_HOT_BYTES = 1 << 19
"""Originals that hits copy, at most. A copy is faster than decoding only from what the processor has near: of 1,000
entries of 1 kB, whose objects take 5 MB, it took half as long again."""

_OFTEN, _RARELY = 63, 1023
"""One hit in 64 chooses how its entry is held, and one in 1,024 while the originals take what they may."""


class Forms:
    """Chooses how the entries of a store are held.

    Args:
        store: where they are.
        loads: decodes a pair of encoding and payload.

    Attributes:
        pause: hits until the next one that is to choose, a mask of bits.
        hot: the originals that hits copy, the first chosen first.
    """

    def __init__(self, store: MemoryStore, loads: Callable[[tuple[str, bytes]], Any]) -> None:
        self.pause = _OFTEN
        self.hot: deque[tuple[Space, str, Held, int]] = deque()
        self._hot_size = 0
        self._store = store
        # What decodes a payload, one function for each encoding.
        self._decoder = cache(lambda encoding: lambda payload: loads((encoding, payload)))

    def choose(self, space: Space, key: str, held: Held, value: Any) -> Any:
        """Hold a value that was just decoded in the form that serves its next hits best; return one for this hit."""
        encoding, payload, expiry, seconds, _, created, taken = held
        if not space.decoded and is_immutable(value):
            size = footprint(value) + len(key) + ENTRY_OVERHEAD
            other: Held = (None, value, expiry, seconds, True, created, size)
        elif not space.decoded and (copy := copier(value)) is not None:
            size = footprint(value)
            other = (call, copy, expiry, seconds, True, created, size + taken, encoding, payload, taken)
            self.hot.append((space, key, other, size))
            self._hot_size += size
            value = copy()
        else:
            space.decoded = True
            other = (self._decoder(encoding), *held[1:])
        self._store.replace(space, key, held, other)
        while self._hot_size > _HOT_BYTES:
            try:
                space, key, held, size = self.hot.popleft()
            except IndexError:  # another thread was faster
                break
            self._hot_size -= size
            self._store.replace(space, key, held, (*held[7:9], *held[2:6], held[9]))
        self.pause = _OFTEN if self._hot_size < _HOT_BYTES // 2 else _RARELY
        return value
