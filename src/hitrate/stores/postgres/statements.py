"""The statements for one set of tables: what is sent to the server, and nothing of when.

Times are seconds since the epoch. Where a statement takes ``now``, NULL means the server's clock, which all that share
a table have in common; a cache with a clock of its own passes that clock's time. Keys are looked up one by one, by
``LATERAL`` with ``OFFSET 0``: the plan that is best for a large table whatever the server believes its size to be, for a
plan is kept, and a new table grows faster than its statistics. Arrays are unnested from subqueries, which hide their
lengths: the server would take a plan made for the first, short ones for cheaper than the one it keeps, and plan anew
for every call.
"""

from __future__ import annotations

from typing import NamedTuple

from xxhash import xxh3_64_hexdigest, xxh3_64_intdigest

from hitrate.stores.postgres.names import Names

ROW_OVERHEAD = 144
"""Bytes that a row takes beyond its key and payload: header, other columns and its place in two indexes, about."""

PURGED_PER_STEP = 64
REMOVED_PER_STEP = 256
SHARDS = 64
"""Rows that the totals are spread over, so that writers do not queue for one."""

NOTE_SECONDS = 600
"""How long a namespace that was cleared, or is to leave, is watched for entries of writers that had begun before."""


class Statement(NamedTuple):
    """A statement and the name it is prepared under, which tells its text: one of that name is this one.

    Attributes:
        text: with parameters as ``$1``, all of them and the results in binary form.
        name: empty if it is not worth preparing.
    """

    text: bytes
    name: bytes = b""


def _prepared(text: str) -> Statement:
    raw = text.encode()
    return Statement(raw, b"hitrate_" + xxh3_64_hexdigest(raw).encode())


def _plain(text: str) -> Statement:
    return Statement(text.encode())


def _now(parameter: str) -> str:
    # In a subquery, which is asked once for all rows.
    return f"(SELECT coalesce({parameter}::float8, date_part('epoch', statement_timestamp())))"


BEGIN, COMMIT, ROLLBACK = _plain("BEGIN"), _plain("COMMIT"), _plain("ROLLBACK")


class Statements:
    """All statements for the tables of one cache.

    Args:
        names: the tables.
        own_clock: whether expiries are told and returned as times of the cache's own clock; else as seconds from now.
    """

    def __init__(self, names: Names, *, own_clock: bool) -> None:
        entries, namespaces, counts = names.entries, names.namespaces, names.counts
        cleared, visited, state = names.cleared, names.visited, names.state
        floor = f"coalesce((SELECT floor FROM {state}), 0)"
        size = f"octet_length(key) + octet_length(value) + {ROW_OVERHEAD}"

        def live(name: str) -> str:
            return f"SELECT id FROM {namespaces} WHERE name = {name} AND id > {floor}"

        def writable(name: str) -> str:
            return f"{live(name)} AND leaving IS NULL"

        def found(now: str) -> str:
            left = "expiry" if own_clock else f"expiry - {_now(now)} AS expiry"
            return f"id, {left}, value"

        def fresh(now: str) -> str:
            return f"(expiry IS NULL OR expiry > {_now(now)})"

        def counted(source: str, sign: str) -> str:
            return f"""counted AS (INSERT INTO {counts} AS c (shard, entries, bytes)
                SELECT pg_backend_pid() % {SHARDS}, {sign}entries, {sign}bytes FROM {source}
                WHERE entries <> 0 OR bytes <> 0
                ON CONFLICT (shard) DO UPDATE
                SET entries = c.entries + excluded.entries, bytes = c.bytes + excluded.bytes)"""

        def gone(doomed: str, how: str = "FOR UPDATE SKIP LOCKED") -> str:
            """Delete the rows of a subquery that nobody else is at: no one waits, and no one is waited for."""
            return f"""gone AS (DELETE FROM {entries} WHERE id = ANY(ARRAY({doomed} {how}))
                    RETURNING namespace, {size} AS size),
                lost AS (SELECT count(*) AS entries, coalesce(sum(size), 0)::int8 AS bytes FROM gone),
                {counted("lost", "-")}"""

        # By the least, which the index tells: for "is there any" the server might look through the table.
        littered = f"coalesce((SELECT min(namespace) FROM {entries}) <= {floor}, false)"
        emptied = "ARRAY(SELECT DISTINCT namespace FROM gone)"
        litter = f"""EXISTS (SELECT FROM {cleared} WHERE NOT emptied OR at < {_now("NULL")} - {NOTE_SECONDS})
            OR EXISTS (SELECT FROM {namespaces} WHERE leaving < {_now("NULL")} - {NOTE_SECONDS})
            OR coalesce((SELECT min(id) FROM {namespaces}) <= {floor}, false)
            OR {littered}"""

        # $1 name, $2 key, $3 now
        self.read_one = _prepared(
            f"SELECT {found('$3')} FROM {entries} WHERE namespace = ({live('$1')}) AND key = $2 AND {fresh('$3')}"
        )
        # $1 name, $2 keys, $3 now
        self.read_many = _prepared(
            f"""SELECT e.*, w.place FROM unnest((SELECT $2::bytea[])) WITH ORDINALITY AS w(key, place) CROSS JOIN LATERAL (
                SELECT {found("$3")} FROM {entries}
                WHERE namespace = ({live("$1::bytea")}) AND key = w.key AND {fresh("$3")} OFFSET 0) AS e"""
        )
        # $1 names, $2 keys, $3 now
        self.read_mixed = _prepared(
            f"""SELECT e.*, w.place FROM unnest((SELECT $1::bytea[]), (SELECT $2::bytea[])) WITH ORDINALITY AS w(name, key, place)
                CROSS JOIN LATERAL (
                SELECT {found("$3")} FROM {entries}
                WHERE namespace = ({live("w.name")}) AND key = w.key AND {fresh("$3")} OFFSET 0) AS e"""
        )

        def store(*, mixed: bool, exact: bool) -> Statement:
            """Upsert rows if there is room.

            $1 names, distinct ($1 the name, if not mixed), $2 keys, $3 values, $4 expiries (counted from now, if that is
            the server's), $5 now, $6 bytes of all rows, $7 most entries, $8 most bytes, $9 name of each row if mixed.

            With ``exact`` what is replaced is counted before. Without, every row counts as new.
            """
            expiry = "w.expiry" if own_clock else f"w.expiry + {_now('$5')}"
            arrays = "(SELECT $2::bytea[]), (SELECT $3::bytea[]), (SELECT $4::float8[])"
            if mixed:
                source = f"""unnest({arrays}, (SELECT $9::bytea[])) AS w(key, value, expiry, name)
                    CROSS JOIN LATERAL ({writable("w.name")} OFFSET 0) AS n"""
                there_from = f"""unnest((SELECT $2::bytea[]), (SELECT $9::bytea[])) AS w(key, name)
                    CROSS JOIN LATERAL ({writable("w.name")} OFFSET 0) AS n"""
                namespace = "n.id"
                known = f"""(SELECT count(*) = cardinality($1::bytea[]) FROM unnest((SELECT $1::bytea[])) AS w(name)
                    CROSS JOIN LATERAL ({writable("w.name")} OFFSET 0) AS n)"""
            else:
                source = f"unnest({arrays}) AS w(key, value, expiry)"
                there_from = "unnest((SELECT $2::bytea[])) AS w(key)"
                namespace = f"({writable('$1::bytea')})"
                known = f"{namespace} IS NOT NULL"
            there = (
                f"""(SELECT count(*) AS entries, coalesce(sum(e.size), 0)::int8 AS bytes, array_agg(e.id) AS ids
                    FROM {there_from} CROSS JOIN LATERAL (SELECT id, {size} AS size FROM {entries}
                    WHERE namespace = {namespace} AND key = w.key OFFSET 0) AS e)"""
                if exact
                else "(SELECT 0::int8 AS entries, 0::int8 AS bytes, NULL::int8[] AS ids)"
            )
            return _prepared(
                f"""WITH told AS MATERIALIZED (SELECT {known} AS known, room.entries AS held, room.bytes AS held_bytes,
                    cardinality($2::bytea[]) - there.entries AS more, $6::int8 - there.bytes AS more_bytes, there.ids
                    FROM (SELECT coalesce(sum(entries), 0)::int8 AS entries, coalesce(sum(bytes), 0)::int8 AS bytes
                        FROM {counts}) AS room, {there} AS there),
                stored AS (INSERT INTO {entries} AS e (namespace, key, value, expiry)
                    SELECT {namespace}, w.key, w.value, {expiry} FROM {source}
                    WHERE (SELECT known AND held + more <= $7::int8 AND held_bytes + more_bytes <= $8::int8 FROM told)
                    ON CONFLICT (namespace, key) DO UPDATE SET value = excluded.value, expiry = excluded.expiry,
                    replaced = (octet_length(e.key) + octet_length(e.value) + {ROW_OVERHEAD})
                        * CASE WHEN e.expiry <= {_now("$5")} THEN -1 ELSE 1 END
                    RETURNING {size} AS size, replaced),
                grown AS (SELECT count(*) AS stored, count(*) - count(replaced) AS entries,
                    coalesce(sum(size - coalesce(abs(replaced), 0)), 0)::int8 AS bytes,
                    count(*) FILTER (WHERE replaced < 0) AS expired FROM stored),
                {counted("grown", "")}
                SELECT known, stored, held, held_bytes, more, more_bytes, expired, ids FROM told, grown"""
            )

        self.store = {
            (mixed, exact): store(mixed=mixed, exact=exact) for mixed in (False, True) for exact in (False, True)
        }
        # $1 names
        self.make_namespaces = _plain(
            f"""INSERT INTO {namespaces} AS n (name) SELECT unnest((SELECT $1::bytea[]))
                ON CONFLICT (name) DO UPDATE SET id = DEFAULT, leaving = NULL WHERE n.id <= {floor}"""
        )
        # $1 names
        self.keep_namespaces = _plain(
            f"""WITH named AS MATERIALIZED (SELECT n.id FROM unnest((SELECT $1::bytea[])) AS w(name) CROSS JOIN LATERAL (
                    SELECT id FROM {namespaces} WHERE name = w.name AND leaving IS NOT NULL OFFSET 0 FOR UPDATE) AS n)
                UPDATE {namespaces} SET leaving = NULL WHERE id = ANY(ARRAY(SELECT id FROM named))"""
        )
        # $1 names, $2 keys, $3 now
        self.delete = _prepared(
            f"""WITH doomed AS MATERIALIZED (SELECT w.place, e.* FROM unnest((SELECT $1::bytea[]), (SELECT $2::bytea[]))
                    WITH ORDINALITY AS w(name, key, place)
                    CROSS JOIN LATERAL ({live("w.name")} OFFSET 0) AS n
                    CROSS JOIN LATERAL (SELECT id, {fresh("$3")} AS fresh FROM {entries}
                        WHERE namespace = n.id AND key = w.key OFFSET 0 FOR UPDATE) AS e),
                gone AS (DELETE FROM {entries} WHERE id = ANY(ARRAY(SELECT id FROM doomed))
                    RETURNING id, namespace, {size} AS size),
                lost AS (SELECT count(*) AS entries, coalesce(sum(size), 0)::int8 AS bytes FROM gone),
                {counted("lost", "-")}
                SELECT ARRAY(SELECT place FROM doomed JOIN gone USING (id) WHERE fresh),
                    (SELECT count(*) FROM doomed JOIN gone USING (id) WHERE NOT fresh), {emptied}"""
        )
        # $1 names, $2 keys: taken by all in one order, so that none waits for one who waits for it
        self.lock_rows = _plain(
            f"""SELECT count(*) FROM (SELECT FROM unnest((SELECT $1::bytea[]), (SELECT $2::bytea[])) AS w(name, key)
                CROSS JOIN LATERAL ({live("w.name")} OFFSET 0) AS n
                CROSS JOIN LATERAL (SELECT id FROM {entries}
                    WHERE namespace = n.id AND key = w.key OFFSET 0 FOR UPDATE) AS e OFFSET 0) AS locked"""
        )
        # $1 now
        self.purge = _prepared(
            f"""WITH {gone(f"SELECT id FROM {entries} WHERE expiry <= {_now('$1')} ORDER BY expiry LIMIT {PURGED_PER_STEP}")}
                SELECT (SELECT entries FROM lost), {litter}, {emptied}"""
        )

        # Clearing
        self.clear_all = _plain(
            f"""INSERT INTO {state} AS s (floor) SELECT coalesce(max(id), 0) FROM {namespaces}
                ON CONFLICT (one) DO UPDATE SET floor = greatest(s.floor, excluded.floor)"""
        )
        # $1 names
        self.clear = _plain(
            f"""WITH named AS MATERIALIZED (SELECT n.id FROM unnest((SELECT $1::bytea[])) AS w(name) CROSS JOIN LATERAL (
                    SELECT id FROM {namespaces} WHERE name = w.name OFFSET 0 FOR UPDATE) AS n),
                gone AS (DELETE FROM {namespaces} WHERE id = ANY(ARRAY(SELECT id FROM named)) RETURNING id)
                INSERT INTO {cleared} (id, at) SELECT id, {_now("NULL")} FROM gone ON CONFLICT DO NOTHING"""
        )
        # A namespace without entries leaves in two steps. Once it is marked no writer begins to use it without taking
        # the mark off; when those that had begun before are long done, it goes if it is empty still.
        # $1 ids of namespaces whose last entry may be gone
        self.mark_leaving = _plain(
            f"""UPDATE {namespaces} AS n SET leaving = {_now("NULL")} WHERE leaving IS NULL
                AND id = ANY(ARRAY(SELECT id FROM {namespaces} WHERE id = ANY($1::int8[]) FOR UPDATE SKIP LOCKED))
                AND NOT EXISTS (SELECT FROM {entries} WHERE namespace = n.id)"""
        )
        old = f"leaving < {_now('NULL')} - {NOTE_SECONDS}"
        self.remove_leaving = _plain(
            f"""WITH old AS MATERIALIZED (SELECT id, EXISTS (SELECT FROM {entries} WHERE namespace = n.id) AS filled
                    FROM {namespaces} AS n WHERE {old} ORDER BY leaving LIMIT {REMOVED_PER_STEP} FOR UPDATE SKIP LOCKED),
                stays AS (UPDATE {namespaces} SET leaving = NULL WHERE id = ANY(ARRAY(SELECT id FROM old WHERE filled))),
                goes AS (DELETE FROM {namespaces} WHERE id = ANY(ARRAY(SELECT id FROM old WHERE NOT filled)))
                SELECT count(*) FROM old"""
        )
        below = f"SELECT id FROM {entries} WHERE namespace <= {floor} ORDER BY namespace, key LIMIT {REMOVED_PER_STEP}"
        self.remove_below_floor = _plain(f"WITH {gone(below)} SELECT entries FROM lost")
        self.remove_namespaces_below_floor = _plain(
            f"""WITH gone AS (DELETE FROM {namespaces} WHERE id = ANY(ARRAY(SELECT id FROM {namespaces}
                    WHERE id <= {floor} ORDER BY id LIMIT {REMOVED_PER_STEP} FOR UPDATE SKIP LOCKED)) RETURNING id)
                SELECT count(*) FROM gone"""
        )
        notes = f"SELECT id FROM {cleared} WHERE NOT emptied ORDER BY id LIMIT {SHARDS}"
        noted = f"""SELECT e.id FROM ({notes}) AS x CROSS JOIN LATERAL (SELECT id FROM {entries} WHERE namespace = x.id
                ORDER BY key LIMIT {REMOVED_PER_STEP} FOR UPDATE SKIP LOCKED) AS e LIMIT {REMOVED_PER_STEP}"""
        self.remove_noted = _plain(
            f"""WITH noted AS MATERIALIZED ({noted}), {gone("SELECT id FROM noted", "")},
                done AS (UPDATE {cleared} SET emptied = true WHERE (SELECT entries FROM lost) < {REMOVED_PER_STEP}
                    AND id = ANY(ARRAY({notes} FOR UPDATE SKIP LOCKED)) RETURNING id)
                SELECT (SELECT entries FROM lost), (SELECT count(*) FROM done)"""
        )
        self.forget_notes = _plain(
            f"""WITH old AS MATERIALIZED (SELECT id, EXISTS (SELECT FROM {entries} WHERE namespace = x.id) AS filled
                    FROM {cleared} AS x WHERE emptied AND at < {_now("NULL")} - {NOTE_SECONDS}
                    ORDER BY id LIMIT {REMOVED_PER_STEP} FOR UPDATE SKIP LOCKED),
                again AS (UPDATE {cleared} SET emptied = false WHERE id = ANY(ARRAY(SELECT id FROM old WHERE filled))),
                gone AS (DELETE FROM {cleared} WHERE id = ANY(ARRAY(SELECT id FROM old WHERE NOT filled)) RETURNING id)
                SELECT count(*) FROM old"""
        )

        # Room
        self.lock = _plain(f"SELECT pg_advisory_xact_lock({xxh3_64_intdigest(names.entries.encode()) >> 1})")
        self.totals = _plain(
            f"""SELECT coalesce(sum(entries), 0)::int8, coalesce(sum(bytes), 0)::int8,
                coalesce((SELECT hand FROM {state}), 0), {litter} FROM {counts}"""
        )
        # $1 hand, $2 how many
        self.ring = _plain(
            f"""SELECT id, EXISTS (SELECT FROM {visited} AS v WHERE v.id = e.id), ({size})::int8 FROM {entries} AS e
                WHERE id > $1::int8 ORDER BY id LIMIT $2::int8"""
        )
        # $1 ids
        self.evict = _plain(
            f"""WITH {gone(f"SELECT id FROM {entries} WHERE id = ANY($1::int8[])")}
                SELECT (SELECT entries FROM lost), {emptied}"""
        )
        # $1 ids, in order
        self.mark = _plain(f"INSERT INTO {visited} SELECT unnest($1::int8[]) ON CONFLICT DO NOTHING")
        # $1 the hand before, $2 the hand after: what it has come by, and what was removed meanwhile
        self.unmark = _plain(f"DELETE FROM {visited} WHERE id > $1::int8 AND id <= $2::int8")
        # $1 hand
        self.move_hand = _plain(
            f"""INSERT INTO {state} (hand) VALUES ($1::int8) ON CONFLICT (one) DO UPDATE SET hand = excluded.hand"""
        )
        # Entries and bytes that are within reach: all but what was cleared and is still to be removed.
        self.usage = _plain(
            f"""SELECT (held.entries - below.entries - noted.entries)::int8, (held.bytes - below.bytes - noted.bytes)::int8
                FROM (SELECT coalesce(sum(entries), 0)::int8 AS entries, coalesce(sum(bytes), 0)::int8 AS bytes
                    FROM {counts}) AS held,
                (SELECT count(*) AS entries, coalesce(sum({size}), 0)::int8 AS bytes FROM {entries}
                    WHERE (SELECT {littered}) AND namespace <= {floor}) AS below,
                (SELECT count(*) AS entries, coalesce(sum(e.size), 0)::int8 AS bytes FROM {cleared} AS x
                    CROSS JOIN LATERAL (SELECT {size} AS size FROM {entries} WHERE namespace = x.id
                        AND x.id > {floor} OFFSET 0) AS e WHERE NOT x.emptied) AS noted"""
        )
