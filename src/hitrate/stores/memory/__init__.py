"""Entries in this process: a dict a namespace.

===================  ===================================================================================================
``store.py``         ``MemoryStore``: what a cache calls. Reads take no lock, and usual writes none.
``entries.py``       what is there and what is counted of it, changed while the lock is held
``limits.py``        what leaves when there is no room
``space.py``         the entries of one namespace, and the forms in which a value is held
``forms.py``         which form a value takes once it has been read
``dividing.py``      a namespace with very many keys goes on in parts
``arrivals.py``      the order of arrival, by which SIEVE evicts; ``ranks.py`` that of worth
``due.py``           what expires when
``listing.py``       pages of entries
``housekeeping.py``  housekeeping, on a thread beside the callers
===================  ===================================================================================================

Why it is so, with figures: ``docs/design/memory.md``.
"""

from hitrate.stores.memory.store import MemoryStore

__all__ = ["MemoryStore"]
