"""What the file looks like, and how to tell whose file it is.

Entries are appended, so that rows fill their pages and stand in order of arrival, which is SIEVE's. An index finds
them by slot: the base of their namespace plus 40 bits of the key's hash. Keys are kept and compared, so two that
share a slot are just two rows. Giving a namespace another base makes all its entries unreachable at once; they are
removed in small steps.

Every name begins with ``hitrate_``, but for the tables of leases, of worth and of counters: the tables of another
program in the same file are left alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import apsw

from hitrate.errors import NewerFormatError, StoreError

APPLICATION_ID = 0x68747274  # "htrt"
FORMAT = 1

_MODE_AT, _WAL_MODE = 18, b"\2\2"
"""Where the header says how the file is written, and how it says WAL (https://www.sqlite.org/fileformat.html)."""

SLOT_BITS = 40
SLOTS = 1 << SLOT_BITS
BASES = 1 << (63 - SLOT_BITS)
"""How many namespaces a file can hold: 8.4 million. The bases of those that were cleared are used again."""

_TABLES = {
    "hitrate_namespaces": """CREATE TABLE hitrate_namespaces (
        name BLOB PRIMARY KEY,
        base INTEGER NOT NULL
    ) WITHOUT ROWID""",
    "hitrate_bases": "CREATE UNIQUE INDEX hitrate_bases ON hitrate_namespaces (base)",
    # The newest row carries the totals: a write touches its page anyway, so exact counts cost no page of their own.
    "hitrate_entries": """CREATE TABLE hitrate_entries (
        id INTEGER PRIMARY KEY,
        slot INTEGER NOT NULL,
        expiry REAL,
        seconds REAL,
        visited INTEGER NOT NULL,
        total_entries INTEGER,
        total_bytes INTEGER,
        checksum INTEGER NOT NULL,
        encoding NOT NULL,
        key BLOB NOT NULL,
        payload BLOB NOT NULL
    )""",
    "hitrate_slots": "CREATE INDEX hitrate_slots ON hitrate_entries (slot)",
    "hitrate_expiries": "CREATE INDEX hitrate_expiries ON hitrate_entries (expiry) WHERE expiry IS NOT NULL",
    # Ranges of slots whose entries were cleared and are still to be removed.
    "hitrate_cleared": "CREATE TABLE hitrate_cleared (first INTEGER PRIMARY KEY, last INTEGER NOT NULL)",
    "hitrate_state": "CREATE TABLE hitrate_state (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID",
}

LEASES = "leases_of_hitrate"
"""The table of leases, which the first lease makes.

Its name does not begin as the others do: an older hitrate leaves it alone as another program's and shares the file.
"""

PLACES, PLACES_ORDER = "worth_of_hitrate", "worth_of_hitrate_order"
"""The table that a cache with evict="cost" makes, and its index; not named as the others for the same reason."""

COUNTS = "counts_of_hitrate"
"""The table of the counters that outlive processes, which the first of them makes; named as that of leases is."""

MADE_LATER = {
    LEASES: f"""CREATE TABLE {LEASES} (
        slot INTEGER NOT NULL,
        key BLOB NOT NULL,
        token BLOB NOT NULL,
        taken REAL NOT NULL,
        seconds REAL NOT NULL,
        PRIMARY KEY (slot, key)
    ) WITHOUT ROWID""",
    COUNTS: f"""CREATE TABLE {COUNTS} (
        name BLOB NOT NULL,
        counter BLOB NOT NULL,
        amount REAL NOT NULL,
        PRIMARY KEY (name, counter)
    ) WITHOUT ROWID""",
    PLACES: f"""CREATE TABLE {PLACES} (
        entry INTEGER PRIMARY KEY,
        priority REAL NOT NULL,
        rank INTEGER NOT NULL,
        hits INTEGER NOT NULL
    )""",
    PLACES_ORDER: f"CREATE INDEX {PLACES_ORDER} ON {PLACES} (priority)",
}

_OURS, _LATER = ({(name.encode(), sql.encode()) for name, sql in made.items()} for made in (_TABLES, MADE_LATER))

# SQLite's names know no case, a trigger may bear the name of a table, and text need not be valid UTF-8.
_DEFINITIONS = f"""SELECT CAST(name AS BLOB), CAST(sql AS BLOB) FROM sqlite_schema
    WHERE ('hitrate_' IN (lower(substr(name, 1, 8)), lower(substr(tbl_name, 1, 8)))
        OR lower(name) IN ('{LEASES}', '{PLACES}', '{PLACES_ORDER}', '{COUNTS}')
        OR lower(tbl_name) IN ('{LEASES}', '{PLACES}', '{COUNTS}'))
        AND sql IS NOT NULL"""


def is_there(execute: Any, name: str) -> bool:
    """Tell whether the file has one of the tables and indexes that are made when they are first needed."""
    return bool(execute("SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = ?)", (name,)).fetchall()[0][0])


class NotOurs(StoreError):
    """The file is the database of another program, which marks it as its own."""


class Tampered(StoreError):
    """The file says that it is ours and has other tables, indexes or triggers than ours."""


def check(con: apsw.Connection, path: str) -> bool:
    """Tell whether the tables are there; change nothing.

    Returns:
        False for an empty file, or one with the unmarked tables of another program beside which ours can be made.

    Raises:
        NewerFormatError: a newer hitrate wrote the file.
        NotOurs: another program marks the file as its own.
        Tampered: our tables are not as we make them.
    """
    application_id, version, found = _read(con)
    if application_id not in (0, APPLICATION_ID) or (application_id == 0 and version != 0):
        raise NotOurs(
            f"{path} is the database of another program (application_id {application_id}, user_version {version}); "
            "give the cache a file of its own"
        )
    if version > FORMAT:
        raise NewerFormatError(
            f"{path} has format {version}, which a newer hitrate wrote; this one reads up to {FORMAT}. "
            "Upgrade hitrate or use another path; the file was left as it is"
        )
    if application_id == 0 and not found:
        return False
    ours = _OURS | _LATER.intersection(found)
    odd = set(found) ^ ours
    if odd or len(found) != len(ours):
        names = ", ".join(sorted({name.decode(errors="replace") for name, _ in odd}))
        raise Tampered(f"{path} does not have hitrate's tables as hitrate makes them: {names}")
    return True


def _read(con: apsw.Connection) -> tuple[int, int, list[Any]]:
    """Return the application id, the version and the definitions, all of one moment: others may be making the file."""
    with nullcontext() if con.in_transaction else one_state(con):
        return con.pragma("application_id"), con.pragma("user_version"), con.execute(_DEFINITIONS).fetchall()


@contextmanager
def one_state(con: apsw.Connection) -> Iterator[None]:
    """Have all that is read within be of one state of the file."""
    con.execute("BEGIN")
    try:
        yield
    finally:
        if con.in_transaction:  # an error may have rolled back already, and is what is to be told
            con.execute("ROLLBACK")


def create(con: apsw.Connection, path: str) -> None:
    """Make the tables, unless another process has made them meanwhile."""
    # Not BEGIN IMMEDIATE: the first page of a new file is made by the first write in the transaction, which is to be
    # the one that says that room can be given back. In a transaction of its own it would leave, for a moment, a file
    # that does not tell whose it is; another process would take it for another program's.
    con.execute("BEGIN")
    try:
        con.execute("PRAGMA auto_vacuum = incremental")
        if not check(con, path):
            for sql in _TABLES.values():
                con.execute(sql)
            con.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            con.execute(f"PRAGMA user_version = {FORMAT}")
        con.execute("COMMIT")
    except BaseException:
        if con.in_transaction:  # a full disk may have rolled back already
            con.execute("ROLLBACK")
        raise


def new_file() -> bytes:
    """Return what a file with our tables and nothing in them holds; it is in WAL mode."""
    con = apsw.Connection(":memory:")
    try:
        create(con, ":memory:")
        content = bytearray(con.serialize("main"))
    finally:
        con.close(True)
    content[_MODE_AT : _MODE_AT + 2] = _WAL_MODE
    return bytes(content)
