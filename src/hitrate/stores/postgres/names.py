"""The names of a cache's tables, quoted once: no other text of a user is ever put into a statement."""

from __future__ import annotations

from typing import NamedTuple

from psycopg import sql

_LONGEST_SCHEMA = 63
_LONGEST = _LONGEST_SCHEMA - len("_namespaces")


class Names(NamedTuple):
    """The tables of a cache, quoted for use in a statement.

    Attributes:
        entries: one row an entry.
        namespaces: the number of each namespace; entries bear that number.
        counts: how many entries and bytes there are, spread over several rows.
        cleared: numbers that were a namespace's, and whose entries are to be removed.
        visited: which entries were read since SIEVE's hand last came by.
        state: where SIEVE's hand is, and up to which number all namespaces were cleared.
        leases: who is computing the value of which key.
    """

    entries: str
    namespaces: str
    counts: str
    cleared: str
    visited: str
    state: str
    leases: str


def quote_lifetime(table: str) -> str:
    """Return the quoted name of the table of counters that outlive processes, which the first of them makes."""
    *schema, name = table.split(".")
    return sql.Identifier(*schema, f"{name}_lifetime").as_string(None)


def quote(table: object) -> Names:
    """Return the quoted names for a table.

    Args:
        table: ``"name"`` or ``"schema.name"``.

    Raises:
        TypeError: it is not a str.
        ValueError: it is not a name that PostgreSQL can keep.
    """
    if not isinstance(table, str):
        raise TypeError(f"table is a str, not {table!r} of type {type(table).__name__}")
    parts = table.split(".")
    try:
        *schema, last = [len(part.encode()) for part in parts]
        can_be = len(schema) <= 1 and all(0 < size <= _LONGEST_SCHEMA for size in schema) and 0 < last <= _LONGEST
    except UnicodeEncodeError:
        can_be = False
    if not can_be or "\x00" in table:
        raise ValueError(f"table is a name of 1 to {_LONGEST} bytes, or schema.name, not {table!r}")

    def named(suffix: str) -> str:
        return sql.Identifier(*parts[:-1], parts[-1] + suffix).as_string(None)

    return Names(named(""), *(named(f"_{field}") for field in Names._fields[1:]))
