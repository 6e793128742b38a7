"""What the statements for one set of tables have in common.

Times are seconds since the epoch. Where a statement takes ``now``, NULL means the server's clock, which all that share
a table have in common; a cache with a clock of its own passes that clock's time.

Keys are looked up one by one, by ``LATERAL`` with ``OFFSET 0``: the plan that is best for a large table, whatever the
server believes its size to be, for a plan is kept, and a new table grows faster than its statistics. Arrays are
unnested from subqueries, which hide their lengths: the server would take the plans made for the first, short ones for
cheaper than one it can keep, and plan every call anew.
"""

from __future__ import annotations

from hitrate.stores.postgres.names import Names

ROW_OVERHEAD = 168
"""Bytes that a row takes beyond its key and value: header, other columns, its place in two indexes, unfilled pages."""

SHARDS = 64
"""Rows that the totals are spread over, so that writers do not queue for one."""

STEP = 256
"""Rows that one step of housekeeping removes."""

NOTE_SECONDS = 600
"""How long a namespace that was cleared, or is to leave, is watched for entries of writers that had begun before."""


def now(parameter: str = "NULL") -> str:
    """The time, in a subquery, which is asked once for all rows."""
    return f"(SELECT coalesce({parameter}::float8, date_part('epoch', statement_timestamp())))"


def rows_of(**columns: str) -> str:
    """Arrays as rows ``w``: the names of the columns, each with the parameter and its type."""
    arrays = ", ".join(f"(SELECT {parameter})" for parameter in columns.values())
    return f"unnest({arrays}) AS w({', '.join(columns)})"


def numbered_rows_of(**columns: str) -> str:
    """Arrays as rows ``w``, numbered from 1 in the column ``place``."""
    arrays = ", ".join(f"(SELECT {parameter})" for parameter in columns.values())
    return f"unnest({arrays}) WITH ORDINALITY AS w({', '.join(columns)}, place)"


class Parts:
    """Parts of statements.

    Args:
        names: the tables.
        own_clock: whether expiries are told and returned as times of the cache's own clock; else as seconds from now.
        lists: whether entries have the columns that only a listing needs; see ``schema.py``.
    """

    def __init__(self, names: Names, *, own_clock: bool, lists: bool) -> None:
        self.names = names
        self.own_clock = own_clock
        self.lists = lists
        self.floor = f"coalesce((SELECT floor FROM {names.state}), 0)"
        self.size = self.size_of()
        self.totals = "coalesce(sum(entries), 0)::int8 AS entries, coalesce(sum(bytes), 0)::int8 AS bytes"
        # By the least, which the index tells: for "is there any" the server might look through the table.
        self.littered = f"coalesce((SELECT min(namespace) FROM {names.entries}) <= {self.floor}, false)"
        self.litter = f"""EXISTS (SELECT FROM {names.cleared} WHERE NOT emptied OR at < {now()} - {NOTE_SECONDS})
            OR EXISTS (SELECT FROM {names.namespaces} WHERE leaving < {now()} - {NOTE_SECONDS})
            OR coalesce((SELECT min(id) FROM {names.namespaces}) <= {self.floor}, false)
            OR {self.littered}"""
        self.emptied = "ARRAY(SELECT DISTINCT namespace FROM gone)"

    def size_of(self, row: str = "") -> str:
        """The bytes that a row is counted as, of a table that goes by this name and a dot."""
        long_key = f" + coalesce(octet_length({row}long_key), 0)" if self.lists else ""
        return f"octet_length({row}key) + octet_length({row}value){long_key} + {ROW_OVERHEAD}"

    def live(self, name: str) -> str:
        """The number of a namespace."""
        return f"SELECT id FROM {self.names.namespaces} WHERE name = {name} AND id > {self.floor}"

    def writable(self, name: str) -> str:
        """The number of a namespace that a writer may use as it is."""
        return f"{self.live(name)} AND leaving IS NULL"

    def fresh(self, parameter: str) -> str:
        """Whether a row has not expired."""
        return f"(expiry IS NULL OR expiry > {now(parameter)})"

    def counted(self, source: str, sign: str = "") -> str:
        """Add entries and bytes to the totals, in the row of this session."""
        return f"""counted AS (INSERT INTO {self.names.counts} AS c (shard, entries, bytes)
            SELECT pg_backend_pid() % {SHARDS}, {sign}entries, {sign}bytes FROM {source}
            WHERE entries <> 0 OR bytes <> 0
            ON CONFLICT (shard) DO UPDATE
            SET entries = c.entries + excluded.entries, bytes = c.bytes + excluded.bytes)"""

    def gone(self, doomed: str, *, locked: bool = False) -> str:
        """Delete rows by id, as ``gone``, and count them, as ``lost``.

        Rows that somebody else is at are left, unless they are ``locked`` already: no one waits, or is waited for.
        """
        lock = "" if locked else "FOR UPDATE SKIP LOCKED"
        return f"""gone AS (DELETE FROM {self.names.entries} WHERE id = ANY(ARRAY({doomed} {lock}))
                RETURNING id, namespace, {self.size} AS size),
            lost AS (SELECT count(*) AS entries, coalesce(sum(size), 0)::int8 AS bytes FROM gone),
            {self.counted("lost", "-")}"""
