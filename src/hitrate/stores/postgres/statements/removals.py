"""Statements that remove entries: those asked for, and those that have expired."""

from __future__ import annotations

from hitrate.stores.postgres.statements.parts import Parts, now, numbered_rows_of, rows_of
from hitrate.stores.postgres.statements.statement import plain, prepared

PURGED_PER_STEP = 64


class RemovalStatements:
    """Attributes:
    delete: $1 names, $2 keys, $3 now; returns (places of the keys removed, how many had expired, their namespaces).
    lock: $1 names, $2 keys; locks rows in the order given, so that none waits for one who waits for it.
    unlease: $1 names, $2 keys; ends the leases of what is about to be removed. It goes before: whoever is storing under
        one has then done so, for ``delete`` to see, or will not.
    purge: $1 now; returns (how many had expired, whether there is litter, their namespaces).
    expired: $1 now; returns (how many have expired).
    """

    def __init__(self, parts: Parts) -> None:
        entries = parts.names.entries
        pairs = {"name": "$1::bytea[]", "key": "$2::bytea[]"}

        def locked(columns: str, table: str = entries) -> str:
            return f"""CROSS JOIN LATERAL ({parts.live("w.name")} OFFSET 0) AS n
                CROSS JOIN LATERAL (SELECT {columns} FROM {table}
                    WHERE namespace = n.id AND key = w.key OFFSET 0 FOR UPDATE) AS e"""

        self.delete = prepared(
            f"""WITH doomed AS MATERIALIZED (SELECT w.place, e.* FROM {numbered_rows_of(**pairs)}
                    {locked(f"id, {parts.fresh('$3')} AS fresh")}),
                {parts.gone("SELECT id FROM doomed", locked=True)}
                SELECT ARRAY(SELECT place FROM doomed JOIN gone USING (id) WHERE fresh),
                    (SELECT count(*) FROM doomed JOIN gone USING (id) WHERE NOT fresh), {parts.emptied}"""
        )
        self.lock = plain(f"SELECT count(*) FROM (SELECT FROM {rows_of(**pairs)} {locked('id')} OFFSET 0) AS locked")
        leases = parts.names.leases
        self.unlease = prepared(
            f"""WITH ended AS MATERIALIZED (SELECT e.id FROM {rows_of(**pairs)} {locked("id", leases)})
                DELETE FROM {leases} WHERE id = ANY(ARRAY(SELECT id FROM ended))"""
        )
        expired = f"SELECT id FROM {entries} WHERE expiry <= {now('$1')} ORDER BY expiry LIMIT {PURGED_PER_STEP}"
        self.expired = plain(f"SELECT count(*)::int8 FROM {entries} WHERE expiry <= {now('$1')}")
        self.purge = prepared(
            f"WITH {parts.gone(expired)} SELECT (SELECT entries FROM lost), {parts.litter}, {parts.emptied}"
        )
