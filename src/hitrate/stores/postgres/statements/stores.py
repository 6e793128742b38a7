"""Statements that store entries, and that give namespaces their numbers.

What replaces a row notes the size of what was there, and whether that had expired, in the row itself: so the totals are
exact, whoever else writes the same keys at the same moment.
"""

from __future__ import annotations

from hitrate.stores.postgres.statements.parts import Parts, now, rows_of
from hitrate.stores.postgres.statements.statement import Statement, plain, prepared


class StoreStatements:
    """Attributes:
    rows: by whether there are several namespaces, and whether it counts exactly; see ``_store``.
    make_namespaces: $1 names, in order, $2 the names in full where those are digests; gives numbers to those that have
        none.
    keep_namespaces: $1 names, in order; takes off the marks of those that were about to leave.
    """

    def __init__(self, parts: Parts) -> None:
        namespaces = parts.names.namespaces
        self.rows = {(mixed, exact): _store(parts, mixed, exact) for mixed in (False, True) for exact in (False, True)}
        self.make_namespaces = plain(
            f"""INSERT INTO {namespaces} AS n (name, long_name) SELECT * FROM unnest($1::bytea[], $2::bytea[])
                ON CONFLICT (name) DO UPDATE SET id = DEFAULT, leaving = NULL WHERE n.id <= {parts.floor}"""
        )
        self.keep_namespaces = plain(
            f"""WITH named AS MATERIALIZED (SELECT n.id FROM {rows_of(name="$1::bytea[]")} CROSS JOIN LATERAL (
                    SELECT id FROM {namespaces} WHERE name = w.name AND leaving IS NOT NULL OFFSET 0 FOR UPDATE) AS n)
                UPDATE {namespaces} SET leaving = NULL WHERE id = ANY(ARRAY(SELECT id FROM named))"""
        )


def _store(parts: Parts, mixed: bool, exact: bool) -> Statement:
    """Upsert rows, all of them or, if there is no room or a namespace has no number, none.

    $1 the name, or the distinct names if ``mixed``, $2 keys, $3 values, $4 expiries (as seconds from now, if the clock
    is the server's), $5 now, $6 bytes of all rows, $7 most entries, $8 most bytes, $9 name of each row if ``mixed``;
    last, if the tables have the columns of a listing, for each row its key in full where $2 has a digest.
    With ``exact`` what is replaced is counted before; without, every row counts as new.

    Returns (known, done, held, held bytes, more, more bytes, expired, ids of what is replaced).
    """
    entries = parts.names.entries
    numbered = f"CROSS JOIN LATERAL ({parts.writable('w.name')} OFFSET 0) AS n"
    columns = {"key": "$2::bytea[]", "value": "$3::bytea[]", "expiry": "$4::float8[]"}
    if parts.lists:
        columns["long_key"] = f"${10 if mixed else 9}::bytea[]"
    if mixed:
        source = f"{rows_of(**columns, name='$9::bytea[]')} {numbered}"
        keys = f"{rows_of(key='$2::bytea[]', name='$9::bytea[]')} {numbered}"
        namespace = "n.id"
        known = f"""(SELECT count(*) = cardinality($1::bytea[]) FROM {rows_of(name="$1::bytea[]")} {numbered})"""
    else:
        source, keys = rows_of(**columns), rows_of(key="$2::bytea[]")
        namespace = f"({parts.writable('$1::bytea')})"
        known = f"{namespace} IS NOT NULL"
    there = "(SELECT 0::int8 AS entries, 0::int8 AS bytes, NULL::int8[] AS ids)"
    if exact:
        there = f"""(SELECT count(*) AS entries, coalesce(sum(e.size), 0)::int8 AS bytes, array_agg(e.id) AS ids
            FROM {keys} CROSS JOIN LATERAL (SELECT id, {parts.size} AS size FROM {entries}
            WHERE namespace = {namespace} AND key = w.key OFFSET 0) AS e)"""
    expiry = "w.expiry" if parts.own_clock else f"w.expiry + {now('$5')}"
    return prepared(
        f"""WITH told AS MATERIALIZED (SELECT {known} AS known, room.entries AS held, room.bytes AS held_bytes,
            cardinality($2::bytea[]) - there.entries AS more, $6::int8 - there.bytes AS more_bytes, there.ids
            FROM (SELECT {parts.totals} FROM {parts.names.counts}) AS room, {there} AS there),
        {
            stored(
                parts,
                f'''SELECT {namespace}, w.key, w.value, {expiry}{", w.long_key" if parts.lists else ""} FROM {source}
            WHERE (SELECT known AND held + more <= $7::int8 AND held_bytes + more_bytes <= $8::int8 FROM told)''',
            )
        }
        SELECT known, stored = cardinality($2::bytea[]), held, held_bytes, more, more_bytes, expired, ids
            FROM told, grown"""
    )


def stored(parts: Parts, rows: str) -> str:
    """Upsert rows, as ``stored``, and count them, as ``grown``; $5 is the time.

    The rows are (namespace, key, value, expiry), and the long key if the tables have the columns of a listing.
    """
    columns = "namespace, key, value, expiry"
    updates = "value = excluded.value, expiry = excluded.expiry"
    if parts.lists:
        columns = f"{columns}, long_key, created"
        updates = f"{updates}, long_key = excluded.long_key, created = excluded.created"
        rows = f"SELECT r.*, {now('$5')} FROM ({rows}) AS r"
    return f"""stored AS (INSERT INTO {parts.names.entries} AS e ({columns}) {rows}
            ON CONFLICT (namespace, key) DO UPDATE SET {updates},
            replaced = ({parts.size_of("e.")})
                * CASE WHEN e.expiry <= {now("$5")} THEN -1 ELSE 1 END
            RETURNING {parts.size} AS size, replaced),
        grown AS (SELECT count(*) AS stored, count(*) - count(replaced) AS entries,
            coalesce(sum(size - coalesce(abs(replaced), 0)), 0)::int8 AS bytes,
            count(*) FILTER (WHERE replaced < 0) AS expired FROM stored),
        {parts.counted("grown")}"""
