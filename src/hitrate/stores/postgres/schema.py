"""The tables: made and migrated when first used, by one process at a time, and known by their comments.

They are told from those of another program by the comment that each bears; what bears none is left alone.
"""

from __future__ import annotations

from typing import Literal

from hitrate.errors import NewerFormatError, StoreError
from hitrate.failsafe import log
from hitrate.stores.postgres.binary import TEXT, array
from hitrate.stores.postgres.names import Names
from hitrate.stores.postgres.rows import LONGEST
from hitrate.stores.postgres.statements import BEGIN, COMMIT, Statement, plain
from hitrate.stores.postgres.wire import Conversation, Request

Durability = Literal["normal", "full"]

FORMAT = 2

_LEASES = (
    """CREATE {kind} TABLE {leases} (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        namespace bigint NOT NULL,
        taken double precision NOT NULL,
        ends double precision NOT NULL,
        token bytea NOT NULL,
        key bytea NOT NULL,
        UNIQUE (namespace, key)
    )""",
    "CREATE INDEX ON {leases} (ends)",
)
# The digests of long names do not tell what these begin with; the names themselves may be too long for an index.
_LONG_NAMES = f"CREATE INDEX ON {{namespaces}} (substring(long_name, 1, {LONGEST})) WHERE long_name IS NOT NULL"

MIGRATIONS: dict[int, tuple[str, ...]] = {
    1: (
        *_LEASES,
        "ALTER TABLE {namespaces} ADD long_name bytea",
        _LONG_NAMES,
        # What the digests stand for is not known.
        """WITH gone AS (DELETE FROM {namespaces} WHERE substring(name, 1, 1) = '\\xff' RETURNING id)
            INSERT INTO {cleared} (id, at) SELECT id, date_part('epoch', statement_timestamp()) FROM gone""",
    ),
}
"""For each older format the statements that make the next one of it, with the names of ``Names`` to be filled in."""

_SINCE = {"leases": 2}
"""The format that a table came with, if it is not the first."""

_COMMENT = "hitrate cache, format "
_LISTING_COLUMNS = "created double precision", "long_key bytea"
"""What only a listing needs: when an entry was stored, and its key in full where ``key`` has a digest.

They are none of the format: an older hitrate shares the table and leaves them NULL, and so does one that may not add
them, for it is not the owner's, or does not get the table to itself for a moment.
"""

_HAS_LISTING_COLUMNS = b"""SELECT count(*) = 2 FROM pg_attribute
    WHERE attrelid = to_regclass($1::text) AND attname IN ('created', 'long_key') AND NOT attisdropped"""

# Who waits for a lock makes others wait: a backup of the database may hold the table for hours.
_ADD_LISTING_COLUMNS = """BEGIN
    PERFORM set_config('lock_timeout', '500ms', true);
    ALTER TABLE {entries} {columns};
EXCEPTION WHEN lock_not_available OR insufficient_privilege OR read_only_sql_transaction THEN
    RAISE DEBUG 'hitrate: the columns of a listing are added another time';
END"""

ADVISORY_LOCK = 0x68697472617465  # one for the tables of all caches: they are made once
_INSPECT = b"""SELECT c.relkind = 'r', c.relpersistence = 'p', textsend(obj_description(c.oid, 'pg_class'))
    FROM unnest($1::text[]) WITH ORDINALITY AS w(name, place) LEFT JOIN pg_class AS c ON c.oid = to_regclass(w.name)
    ORDER BY w.place"""

_TABLES = (
    """CREATE {kind} TABLE {entries} (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        namespace bigint NOT NULL,
        expiry double precision,
        replaced bigint,
        created double precision,
        key bytea NOT NULL,
        value bytea NOT NULL,
        long_key bytea,
        UNIQUE (namespace, key)
    ) WITH (autovacuum_vacuum_scale_factor = 0.05)""",
    # Compressing what a serializer has packed costs more than it saves, and reads would pay again.
    "ALTER TABLE {entries} ALTER value SET STORAGE EXTERNAL",
    "CREATE INDEX ON {entries} (expiry) WHERE expiry IS NOT NULL",
    """CREATE {kind} TABLE {namespaces} (
        name bytea PRIMARY KEY,
        id bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
        leaving double precision,
        long_name bytea
    )""",
    "CREATE INDEX ON {namespaces} (leaving) WHERE leaving IS NOT NULL",
    _LONG_NAMES,
    # Room on the page for the next version of each row, which is changed at every write.
    """CREATE {kind} TABLE {counts} (
        shard integer PRIMARY KEY,
        entries bigint NOT NULL,
        bytes bigint NOT NULL
    ) WITH (fillfactor = 20)""",
    """CREATE {kind} TABLE {cleared} (
        id bigint PRIMARY KEY,
        at double precision NOT NULL,
        emptied boolean NOT NULL DEFAULT false
    )""",
    # Not a column of the entries: PostgreSQL writes a row anew for each change of it.
    "CREATE {kind} TABLE {visited} (id bigint PRIMARY KEY)",
    """CREATE {kind} TABLE {state} (
        one boolean PRIMARY KEY DEFAULT true CHECK (one),
        hand bigint NOT NULL DEFAULT 0,
        floor bigint NOT NULL DEFAULT 0
    ) WITH (fillfactor = 20)""",
    *_LEASES,
)


class NewerTable(StoreError, NewerFormatError):
    """The tables were made by a newer hitrate; they were left untouched."""


def prepare(names: Names, durability: Durability) -> Conversation[bool]:
    """Make the tables, or bring them to this format, unless that is done.

    Returns:
        Whether they have the columns of a listing.

    Raises:
        NewerTable: a newer hitrate made them.
        StoreError: one of that name is another program's, or some are missing.
    """
    found, _ = yield from _found(names, durability)
    if found == FORMAT:
        return (yield from _add_listing_columns(names))
    yield (Request(BEGIN), Request(plain(f"SELECT pg_advisory_xact_lock({ADVISORY_LOCK})")))
    found, logged = yield from _found(names, durability)  # another process may have been faster
    filled = {**names._asdict(), "kind": "" if logged else "UNLOGGED"}
    if found is None:
        made = [text.format(**filled) for text in _TABLES]
        yield [Request(plain(text)) for text in (*made, *_comments(names))]
    while found is not None and found < FORMAT:
        yield [Request(plain(text.format(**filled))) for text in MIGRATIONS[found]]
        found += 1
        if found == FORMAT:
            yield [Request(plain(text)) for text in _comments(names)]
    yield (Request(COMMIT),)
    return (yield from _add_listing_columns(names))


def look_at(names: Names, durability: Durability) -> Conversation[bool]:
    """See that the tables are there, and change nothing; return what ``prepare`` does.

    Raises:
        NewerTable: a newer hitrate made them.
        StoreError: they are not there, not ours, or of an older format.
    """
    found, _ = yield from _found(names, durability)
    if found is None:
        raise StoreError(f"there is no table {names.entries} in this database, and to look at a cache makes none")
    if found < FORMAT:
        raise StoreError(f"{names.entries} has format {found}; a cache that is opened to be used makes {FORMAT} of it")
    return (yield from _has_listing_columns(names))


def _has_listing_columns(names: Names) -> Conversation[bool]:
    (((has,),),) = yield (Request(Statement(_HAS_LISTING_COLUMNS), (names.entries.encode(),)),)
    return bool(has)


def _add_listing_columns(names: Names) -> Conversation[bool]:
    """Add the columns of a listing to tables that lack them; tell whether they are there."""
    if (yield from _has_listing_columns(names)):
        return True
    columns = ", ".join(f"ADD COLUMN IF NOT EXISTS {column}" for column in _LISTING_COLUMNS)
    text = _ADD_LISTING_COLUMNS.format(entries=names.entries, columns=columns)
    literal = text.replace("\\", "\\\\").replace("'", "''")  # of an E string, which no setting changes
    yield (Request(BEGIN), Request(plain(f"DO E'{literal}'")), Request(COMMIT))
    return (yield from _has_listing_columns(names))


def _found(names: Names, durability: Durability) -> Conversation[tuple[int | None, bool]]:
    """Return the format of the tables, None if there are none, and whether they are, or are to be, logged."""
    (rows,) = yield (Request(Statement(_INSPECT), (array(TEXT, [name.encode() for name in names]),)),)
    formats = [
        None if is_table is None else _format_of(name, is_table, comment or b"")
        for name, (is_table, _, comment) in zip(names, rows, strict=True)
    ]
    found = formats[0]
    if formats != [None if found is None or _SINCE.get(field, 1) > found else found for field in names._fields]:
        missing = ", ".join(name for name, number in zip(names, formats, strict=True) if number is None)
        raise StoreError(
            f"of the tables of {names.entries} some are missing or of another format: {missing or 'mixed formats'}; "
            "drop them all, or give the cache another table"
        )
    logged = durability == "full" if found is None else rows[0][1]
    if durability == "full" and not logged:
        log.warning(
            "the table %s is UNLOGGED: what it holds is lost if the server crashes. For durability='full' give the "
            "cache another table, or run ALTER TABLE ... SET LOGGED on it and its companions",
            names.entries,
        )
    return found, logged


def _format_of(name: str, is_table: bool, comment: bytes) -> int:
    text = comment.decode("utf-8", "replace")
    number = text.removeprefix(_COMMENT)
    if not is_table or not text.startswith(_COMMENT) or not number.isdecimal():
        raise StoreError(
            f"{name} was made by another program (it does not bear hitrate's comment); it was left as it is. "
            "Give the cache another table"
        )
    if int(number) > FORMAT:
        raise NewerTable(
            f"{name} has format {number}, which a newer hitrate made; this one reads up to {FORMAT}. "
            "Upgrade hitrate or give the cache another table; it was left as it is"
        )
    return int(number)


def _comments(names: Names) -> list[str]:
    return [f"COMMENT ON TABLE {name} IS '{_COMMENT}{FORMAT}'" for name in names]
