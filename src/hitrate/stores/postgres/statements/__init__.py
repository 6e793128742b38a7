"""The statements for the tables of one cache: what is sent to the server, and nothing of when.

================  ======================================================================================================
``statement.py``  a statement as it is sent
``parts.py``      what they have in common
``reads.py``      reading
``stores.py``     storing, and giving namespaces their numbers
``removals.py``   removing what was asked for, or has expired
``clearing.py``   clearing, and removing what was cleared
``bounds.py``     counting and evicting
``leases.py``     leases are taken and settled
``listing.py``    listing
================  ======================================================================================================
"""

from __future__ import annotations

from hitrate.stores.postgres.names import Names
from hitrate.stores.postgres.statements.bounds import BoundsStatements
from hitrate.stores.postgres.statements.clearing import ClearingStatements
from hitrate.stores.postgres.statements.leases import LeaseStatements
from hitrate.stores.postgres.statements.listing import ListingStatements
from hitrate.stores.postgres.statements.parts import ROW_OVERHEAD, STEP, Parts
from hitrate.stores.postgres.statements.reads import ReadStatements
from hitrate.stores.postgres.statements.removals import RemovalStatements
from hitrate.stores.postgres.statements.statement import BEGIN, COMMIT, ROLLBACK, Statement, plain
from hitrate.stores.postgres.statements.stores import StoreStatements

__all__ = ["BEGIN", "COMMIT", "ROLLBACK", "ROW_OVERHEAD", "STEP", "Statement", "Statements", "plain"]


class Statements:
    """All of them, by what they are for.

    Args:
        own_clock: whether expiries are told and returned as times of the cache's own clock; else as seconds from now.

    Attributes:
        names: the tables.
        lists: whether entries have the columns that only a listing needs.
    """

    def __init__(self, names: Names, *, own_clock: bool) -> None:
        self.names = names
        self._own_clock = own_clock
        self.suit(lists=True)

    def suit(self, *, lists: bool) -> None:
        """Make the statements for tables that have the columns of a listing, or have them not."""
        self.lists = lists
        parts = Parts(self.names, own_clock=self._own_clock, lists=lists)
        self.reads = ReadStatements(parts)
        self.stores = StoreStatements(parts)
        self.removals = RemovalStatements(parts)
        self.clearing = ClearingStatements(parts)
        self.bounds = BoundsStatements(parts)
        self.leases = LeaseStatements(parts)
        self.listing = ListingStatements(parts)
