"""Entries in tables of a PostgreSQL database.

=====================  =================================================================================================
``store.py``           ``PostgresStore``: what a cache calls
``connections``        ``conninfo.py`` (what the program gave), ``connections.py`` (pools), ``wire.py`` (a connection,
                       and what is said on it), ``polling.py`` (its socket), ``database.py`` (asks anew where that
                       helps), ``gathering.py`` (calls of a loop go together)
``schema.py``          the tables, and their migration; ``names.py`` is what they are called
``rows.py``            what lies in a row; ``expiry.py``: whose clock says what has expired
``statements/``        SQL by what it is for; ``binary.py`` writes and reads its values
``reading.py``         one statement a batch
``batches.py``         changes, in the order in which all writers lock; ``writing.py`` stores and removes them
``leasing.py``         leases are taken, settled and given back
``clearing.py``        namespaces are given up
``limits.py``          limits, what is evicted for them, and housekeeping
``listing.py``         pages of entries
``counts.py``          counters that outlive the process
``changes.py``         what other processes changed
=====================  =================================================================================================

Why it is so, with figures: ``docs/design/postgres.md``.
"""

try:
    import psycopg  # noqa: F401 - asked for before any part needs it
except ModuleNotFoundError as error:
    if error.name != "psycopg":  # it is there, and what it needs itself is not
        raise
    raise ModuleNotFoundError(
        "PostgresCache needs psycopg: pip install '.[postgres]' in hitrate's folder", name=error.name
    ) from error

from hitrate.stores.postgres.store import PostgresStore

__all__ = ["PostgresStore"]
