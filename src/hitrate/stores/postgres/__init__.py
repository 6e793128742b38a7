"""Entries in tables of a PostgreSQL database.

=====================  =================================================================================================
``store.py``           ``PostgresStore``: what a cache calls
``connections``        ``conninfo.py`` (what the program gave), ``connections.py`` (pools), ``wire.py`` (a connection),
                       ``polling.py`` (its socket), ``conversation.py`` (what is asked depends on what was answered),
                       ``database.py`` (asks anew where that helps), ``gathering.py`` (calls of a loop go together)
``schema.py``          the tables, and their migration; ``names.py`` is what they are called
``rows.py``            what lies in a row
``statements/``        SQL by what it is for; ``binary.py`` writes and reads its values
``reading.py``         one statement a batch
``batches.py``         changes, in the order in which all writers lock; ``writing.py`` stores and removes them
``leasing.py``         leases are taken and settled
``clearing.py``        namespaces are given up
``limits.py``          limits, what is evicted for them, and housekeeping
``listing.py``         pages of entries
``counts.py``          counters that outlive the process
``changes.py``         what other processes changed
=====================  =================================================================================================

Decisions:

**Statements as libpq takes them**, with binary parameters and results, by ``psycopg.pq``. An exchange is a generator
that yields what it waits for on the socket, and the sync and async methods wait for the same one.

**One statement a batch**, over arrays. Keys are looked up one by one (``LATERAL ... OFFSET 0``), the plan that is best
for a large table whatever the server believes its size to be. Rows are locked in one order, and what another session
holds is left.

**Totals are spread over 64 rows** by session, so that writers do not queue for one; a row notes the size of what it
replaced, so that totals are exact whoever else writes the same keys.

**Clearing is renaming**, as on SQLite: a namespace's number is given up and noted, its rows go in steps. Clearing
everything raises a floor under all numbers.

**A lease** is taken by an upsert and a look in one round trip. A removal ends the lease in a statement before its own:
in one statement its snapshot could be older than an entry that is just being settled, and the key would come back.
Namespaces over 64 bytes are kept in full for ``clear_under`` to find; tables of the earlier format are migrated on
first use. A clock that is put back by less than a second ends no lease.

**Calls of a loop that queue** behind others' statements have their time from when they were made.

**Behind PgBouncer** no session state is used; where prepared statements do not stay the store goes on without them.
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
