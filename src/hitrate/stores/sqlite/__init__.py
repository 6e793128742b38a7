"""Entries in an SQLite file, or in memory, shared by threads and processes.

===================  ===================================================================================================
``store.py``         ``SqliteStore``: what a cache calls. Fast path of a read.
``read_only.py``     the store of a file that is only read
``connections``      ``connections.py`` (opens, keeps and closes them), ``handle.py`` (one of them), ``idle.py`` (what
                     stands for those that nobody uses), ``snapshots.py`` (a read transaction that outlives a read),
                     ``database.py`` (runs a step on one, and says what went wrong), ``worker.py`` (event loops)
``the file``         ``paths.py`` (where it is), ``new_file.py`` (how it is made), ``ownership.py`` (whose it is),
                     ``rights.py`` (who may write to it), ``disk.py`` (how many bytes it takes)
``format``           ``schema.py`` (the tables), ``rows.py`` (what lies in a row), ``statements.py``
``reading.py``       one statement a batch; ``near.py`` keeps copies in this process
``writing.py``       changes, and what comes of them; ``transaction.py`` is all or nothing, ``storing.py`` what it does
``leasing.py``       leases are taken and settled
``clearing.py``      namespaces are given up
``limits.py``        what leaves for limits or its TTL: by ``hand.py`` (SIEVE) or ``ranks.py`` (by worth)
``listing.py``       pages of entries
``totals.py``        how many entries there are, and bytes; ``usage.py`` while cleared ones are left
``counts.py``        counters that outlive the process
``changes.py``       what other processes changed
``housekeeping.py``  what need not be done by a caller; ``checkpoints.py`` folds the -wal file into the database
``checking.py``      whether a file is as it should be; ``salvage.py`` what can be read of one that is damaged
===================  ===================================================================================================

Why it is so, with figures: ``docs/design/sqlite.md``.
"""

from hitrate.stores.sqlite.store import SqliteStore

__all__ = ["SqliteStore"]
