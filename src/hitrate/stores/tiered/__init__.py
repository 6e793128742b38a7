"""Entries in several stores at once, near to far: the farthest is the one that counts, the others hold copies.

================  ======================================================================================================
``store.py``      ``TieredStore``: what a cache calls
``tiers.py``      what the operations share: the tiers, the lock, what changed in them, and what they are owed
``tier.py``       one tier; ``memory_tier.py`` is memory as one
``reading.py``    each tier is asked for what the nearer ones did not have
``copies.py``     what the nearer tiers get
``writing.py``    the farthest first
``clearing.py``   namespaces are given up
``leasing.py``    leases, in the farthest tier
``under_way.py``  which reads and writes overlap, and so leave no copies
``sleep.py``      whether copies pay beside somebody who commits to the same file
================  ======================================================================================================

A copy is kept only while nothing can have changed it: by this process (``under_way.py`` tells what overlapped), by
others (the ``Channel`` of each farther store tells), or by a write that a tier did not take (``debts.py``).

Each operation is a plan: a generator that says which store to call and is sent what it answered, or how it failed. The
sync and the async methods differ in how they carry a plan out. The lock is held between the calls, never over one.

Why it is so, with figures: ``docs/design/tiers.md``.
"""

from hitrate.stores.tiered.store import TieredStore

__all__ = ["TieredStore"]
