"""Statements that read entries, each as (id, expiry, value); of several also the place of its key."""

from __future__ import annotations

from hitrate.stores.postgres.statements.parts import Parts, now, numbered_rows_of
from hitrate.stores.postgres.statements.statement import plain, prepared


class ReadStatements:
    """Attributes:
    one: $1 name, $2 key, $3 now.
    many: $1 name, $2 keys, $3 now.
    mixed: $1 names, $2 keys, $3 now.
    expired: $1 name, $2 key, $3 now; returns whether there is one that has expired.
    """

    def __init__(self, parts: Parts) -> None:
        entries = parts.names.entries
        expiry = "expiry" if parts.own_clock else f"expiry - {now('$3')} AS expiry"
        found = f"SELECT id, {expiry}, value FROM {entries}"

        def of(name: str) -> str:
            return f"""CROSS JOIN LATERAL ({found} WHERE namespace = ({parts.live(name)}) AND key = w.key
                AND {parts.fresh("$3")} OFFSET 0) AS e"""

        self.one = prepared(f"{found} WHERE namespace = ({parts.live('$1')}) AND key = $2 AND {parts.fresh('$3')}")
        its = f"SELECT FROM {entries} WHERE namespace = ({parts.live('$1')}) AND key = $2"
        self.expired = plain(f"SELECT EXISTS ({its} AND NOT {parts.fresh('$3')})")
        self.many = prepared(f"SELECT e.*, w.place FROM {numbered_rows_of(key='$2::bytea[]')} {of('$1::bytea')}")
        pairs = numbered_rows_of(name="$1::bytea[]", key="$2::bytea[]")
        self.mixed = prepared(f"SELECT e.*, w.place FROM {pairs} {of('w.name')}")
