"""Statements that take leases, and that store what was computed under them.

A lease is a row: who has it, since when, and until when. It holds the number of its namespace, which a clear replaces.
"""

from __future__ import annotations

from hitrate.stores.postgres.statements.parts import Parts, now, numbered_rows_of, rows_of
from hitrate.stores.postgres.statements.statement import Statement, plain, prepared
from hitrate.stores.postgres.statements.stores import stored

PURGED_PER_CALL = 64

SLACK_SECONDS = 1.0
"""How far back a clock may go before leases end: of two processes one may have looked at it first and come second."""


class LeaseStatements:
    """Attributes:
    take: $1 names, $2 keys, $3 tokens, $4 seconds, $5 now; takes those that nobody else has, where the namespace has a
        number.
    look: $1 names, $2 keys, $3 tokens, $4 now; returns, in order, for each key whether its namespace has a number,
        whether the token has its lease, and the seconds that a lease of it lasts.
    purge: $1 now; removes leases that have ended; returns (how many, their namespaces).
    settle: stores under leases, and ends them; see ``_settle``.
    end: $1 names, $2 keys, $3 tokens, $4 now; ends leases; returns (places of those it ended, their namespaces).
    sessions: $1 process ids of sessions; returns those that the server still serves.
    """

    def __init__(self, parts: Parts) -> None:
        leases = parts.names.leases
        owners = {"name": "$1::bytea[]", "key": "$2::bytea[]", "token": "$3::bytea[]"}

        def held(lease: str, at: str) -> str:
            return f"({lease}.taken - {SLACK_SECONDS} <= {at} AND {at} < {lease}.ends)"

        def mine(at: str) -> str:
            return f"""CROSS JOIN LATERAL (SELECT id FROM {leases} AS l WHERE namespace = n.id AND key = w.key
                AND token = w.token AND {held("l", now(at))} OFFSET 0 FOR UPDATE) AS l"""

        # Asked when a lease is at hand that another has just taken: the time when the statement began is before that.
        at_last = "coalesce($5::float8, date_part('epoch', clock_timestamp()))"
        self.take = prepared(
            f"""INSERT INTO {leases} AS l (namespace, key, token, taken, ends)
                SELECT n.id, w.key, w.token, {now("$5")}, {now("$5")} + w.seconds
                FROM {rows_of(**owners, seconds="$4::float8[]")}
                CROSS JOIN LATERAL ({parts.writable("w.name")} OFFSET 0) AS n
                ON CONFLICT (namespace, key)
                DO UPDATE SET token = excluded.token, taken = excluded.taken, ends = excluded.ends
                WHERE l.token = excluded.token OR NOT {held("l", at_last)}"""
        )
        self.look = prepared(
            f"""SELECT n.id IS NOT NULL, coalesce(l.token = w.token, false),
                    least(l.ends - {now("$4")}, l.ends - l.taken)
                FROM {numbered_rows_of(**owners)} LEFT JOIN LATERAL ({parts.writable("w.name")} OFFSET 0) AS n ON true
                LEFT JOIN LATERAL (SELECT token, taken, ends FROM {leases}
                    WHERE namespace = n.id AND key = w.key OFFSET 0) AS l ON true ORDER BY place"""
        )
        self.purge = plain(
            f"""WITH gone AS (DELETE FROM {leases} WHERE id = ANY(ARRAY(
                    SELECT id FROM {leases} WHERE ends <= {now("$1")} ORDER BY ends LIMIT {PURGED_PER_CALL}
                    FOR UPDATE SKIP LOCKED)) RETURNING namespace)
                SELECT count(*), {parts.emptied} FROM gone"""
        )
        ended = f"ended AS (DELETE FROM {leases} WHERE id = ANY(ARRAY(SELECT id FROM mine"
        self.end = prepared(
            f"""WITH mine AS MATERIALIZED (SELECT w.place, n.id AS namespace, l.id FROM {numbered_rows_of(**owners)}
                    CROSS JOIN LATERAL ({parts.live("w.name")} OFFSET 0) AS n {mine("$4")}),
                {ended})) RETURNING namespace)
                SELECT ARRAY(SELECT place FROM mine), ARRAY(SELECT DISTINCT namespace FROM ended)"""
        )
        self.settle = _settle(parts, mine("$5"), ended)
        self.sessions = plain("SELECT array_agg(pid::int8) FROM pg_stat_activity WHERE pid = ANY($1::int8[])")


def _settle(parts: Parts, mine: str, ended: str) -> Statement:
    """Store under leases, and end these, all of it or, if there is no room or a namespace is about to leave, nothing.

    $1 names, $2 keys, $3 tokens, $4 values, NULL to store nothing, $5 now, $6 expiries (as seconds from now, if the
    clock is the server's), $7 most entries, $8 most bytes; and, if the tables have the columns of a listing, $9 the
    keys in full where $2 has digests.

    Returns what ``StoreStatements.rows`` do, where ``known`` tells that no namespace is about to leave, and (places
    whose lease was the token's, namespaces in which nothing was stored).
    """
    entries, namespaces = parts.names.entries, parts.names.namespaces
    columns = {"name": "$1::bytea[]", "key": "$2::bytea[]", "token": "$3::bytea[]", "value": "$4::bytea[]"}
    expiry = "w.expiry" if parts.own_clock else f"w.expiry + {now('$5')}"
    long_key = ""
    if parts.lists:
        columns["long_key"] = "$9::bytea[]"
        long_key = ", long_key"
    new = f"""SELECT namespace, key, value, expiry{long_key} FROM mine
        WHERE value IS NOT NULL AND (SELECT done FROM told)"""
    return prepared(
        f"""WITH mine AS MATERIALIZED (
            SELECT w.place, n.id AS namespace, n.leaving, l.id, w.key, w.value, {expiry} AS expiry{long_key}
            FROM {numbered_rows_of(**columns, expiry="$6::float8[]")} CROSS JOIN LATERAL (
                SELECT id, leaving FROM {namespaces} WHERE name = w.name AND id > {parts.floor} OFFSET 0) AS n {mine}),
        there AS (SELECT count(*) AS entries, coalesce(sum(e.size), 0)::int8 AS bytes, array_agg(e.id) AS ids
            FROM mine AS m CROSS JOIN LATERAL (SELECT id, {parts.size} AS size FROM {entries}
            WHERE namespace = m.namespace AND key = m.key AND m.value IS NOT NULL OFFSET 0) AS e),
        new AS (SELECT count(value) AS entries,
            coalesce(sum({parts.size}), 0)::int8 AS bytes FROM mine),
        told AS MATERIALIZED (SELECT *, known AND (new = 0
                OR held + more <= $7::int8 AND held_bytes + more_bytes <= $8::int8) AS done
            FROM (SELECT NOT EXISTS (SELECT FROM mine WHERE leaving IS NOT NULL) AS known, room.entries AS held,
                room.bytes AS held_bytes, new.entries AS new, new.entries - there.entries AS more,
                new.bytes - there.bytes AS more_bytes, there.ids
                FROM (SELECT {parts.totals} FROM {parts.names.counts}) AS room, there, new) AS t),
        {stored(parts, new)},
        {ended} WHERE (SELECT done FROM told))))
        SELECT known, done, held, held_bytes, more, more_bytes, expired, ids, ARRAY(SELECT place FROM mine),
            ARRAY(SELECT DISTINCT namespace FROM mine WHERE value IS NULL) FROM told, grown"""
    )
