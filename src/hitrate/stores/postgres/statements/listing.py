"""Statements that list what is stored."""

from __future__ import annotations

from hitrate.stores.postgres.rows import LONG
from hitrate.stores.postgres.statements.parts import Parts, now, numbered_rows_of
from hitrate.stores.postgres.statements.statement import plain, prepared


class ListingStatements:
    """Attributes:
    newest: returns the id of the newest row, 0 if there is none.
    times: $1 the id that was last looked at, $2 that of the newest row to list, $3 how many rows to look at, $4 what
        encoded namespaces begin with; returns (id, time of storing, whether its namespace begins so).
    rows: $1 ids, $2 what encoded namespaces begin with, $3 now; returns (id, namespace, key, bytes, time of storing,
        expiry, head of the value) of those that are to be listed, in the order of the ids given.
    """

    def __init__(self, parts: Parts) -> None:
        entries, namespaces = parts.names.entries, parts.names.namespaces
        created, long_key = ("created", "long_key") if parts.lists else ("NULL::float8", "NULL::bytea")
        expiry = "expiry" if parts.own_clock else f"expiry - {now('$3')} AS expiry"
        full_name = "coalesce(long_name, name)"
        self.newest = plain(f"SELECT coalesce(max(id), 0)::int8 FROM {entries}")
        self.times = prepared(
            f"""SELECT id, {created}, octet_length($4::bytea) = 0 OR EXISTS (SELECT FROM {namespaces} AS n
                    WHERE n.id = e.namespace AND substring({full_name}, 1, octet_length($4::bytea)) = $4)
                FROM {entries} AS e WHERE id > $1::int8 AND id <= $2::int8 ORDER BY id LIMIT $3::int8"""
        )
        self.rows = prepared(
            f"""SELECT w.id, n.name, e.key, e.size, e.created, e.expiry, e.head FROM {numbered_rows_of(id="$1::int8[]")}
                CROSS JOIN LATERAL (SELECT namespace, coalesce({long_key}, key) AS key, ({parts.size})::int8 AS size,
                        {created} AS created, {expiry}, substring(value, 1, {LONG}) AS head
                    FROM {entries} WHERE id = w.id AND {parts.fresh("$3")} OFFSET 0) AS e
                CROSS JOIN LATERAL (SELECT {full_name} AS name FROM {namespaces}
                    WHERE id = e.namespace AND id > {parts.floor} OFFSET 0) AS n
                WHERE substring(n.name, 1, octet_length($2::bytea)) = $2 ORDER BY w.place"""
        )
