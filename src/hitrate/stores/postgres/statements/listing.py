"""Statements that list what is stored."""

from __future__ import annotations

from hitrate.stores.postgres.rows import LONG
from hitrate.stores.postgres.statements.parts import Parts, now
from hitrate.stores.postgres.statements.statement import plain, prepared


class Listing:
    """Attributes:
    newest: returns the id of the newest row, 0 if there is none.
    page: $1 the id that the page before ended with, $2 that of the newest row to list, $3 how many rows to look at, $4
        what encoded namespaces begin with, $5 now; returns (id, namespace or NULL, key, bytes, time of storing, expiry,
        head of the value). Of a row that is not to be listed the namespace is NULL.
    """

    def __init__(self, parts: Parts) -> None:
        entries, namespaces = parts.names.entries, parts.names.namespaces
        created, long_key = ("created", "long_key") if parts.lists else ("NULL::float8", "NULL::bytea")
        expiry = "e.expiry" if parts.own_clock else f"e.expiry - {now('$5')}"
        self.newest = plain(f"SELECT coalesce(max(id), 0)::int8 FROM {entries}")
        self.page = prepared(
            f"""SELECT e.id, n.name, e.key, e.size, e.created, {expiry}, e.head
                FROM (SELECT id, namespace, coalesce({long_key}, key) AS key, ({parts.size})::int8 AS size,
                        {created} AS created, expiry, substring(value, 1, {LONG}) AS head
                    FROM {entries} WHERE id > $1::int8 AND id <= $2::int8 ORDER BY id LIMIT $3::int8) AS e
                LEFT JOIN LATERAL (SELECT coalesce(long_name, name) AS name FROM {namespaces}
                    WHERE id = e.namespace AND id > {parts.floor} OFFSET 0) AS n
                ON {parts.fresh("$5")} AND substring(n.name, 1, octet_length($4::bytea)) = $4 ORDER BY e.id"""
        )
