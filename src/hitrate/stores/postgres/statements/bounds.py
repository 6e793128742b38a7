"""Statements that tell how much there is, and that evict."""

from __future__ import annotations

from xxhash import xxh3_64_intdigest

from hitrate.stores.postgres.statements.parts import Parts
from hitrate.stores.postgres.statements.statement import plain

_COUNTED_AT_MOST = 10_000


class BoundsStatements:
    """Attributes:
    lock: makes writers take turns, until their transaction ends.
    totals: returns (entries, bytes, hand, whether there is litter).
    ring: $1 hand, $2 how many; returns (id, visited, bytes) of entries in the order of their arrival.
    evict: $1 ids; returns (how many were removed, their namespaces).
    mark: $1 ids, in order; notes them as visited.
    unmark: $1 the hand before, $2 the hand after; forgets what it has come by, and what was removed meanwhile.
    move_hand: $1 hand.
    usage: returns (entries, bytes) within reach: all but what was cleared and is still to be removed.
    is_miscounted: returns whether the totals are not those of the entries, as a TRUNCATE by hand leaves them. Of a
        large table it tells only whether they are impossible.
    recount: statements that count anew, for a transaction; writers wait for it.
    """

    def __init__(self, parts: Parts) -> None:
        names = parts.names
        entries, visited, state, floor = names.entries, names.visited, names.state, parts.floor
        self.lock = plain(f"SELECT pg_advisory_xact_lock({xxh3_64_intdigest(entries.encode()) >> 1})")
        self.totals = plain(
            f"""SELECT held.*, coalesce((SELECT hand FROM {state}), 0), {parts.litter}
                FROM (SELECT {parts.totals} FROM {names.counts}) AS held"""
        )
        self.ring = plain(
            f"""SELECT id, EXISTS (SELECT FROM {visited} AS v WHERE v.id = e.id), ({parts.size})::int8
                FROM {entries} AS e WHERE id > $1::int8 ORDER BY id LIMIT $2::int8"""
        )
        self.evict = plain(
            f"""WITH {parts.gone(f"SELECT id FROM {entries} WHERE id = ANY($1::int8[])")}
                SELECT (SELECT entries FROM lost), {parts.emptied}"""
        )
        self.mark = plain(f"INSERT INTO {visited} SELECT unnest($1::int8[]) ON CONFLICT DO NOTHING")
        self.unmark = plain(f"DELETE FROM {visited} WHERE id > $1::int8 AND id <= $2::int8")
        self.move_hand = plain(
            f"""INSERT INTO {state} (hand) VALUES ($1::int8) ON CONFLICT (one) DO UPDATE SET hand = excluded.hand"""
        )
        self.is_miscounted = plain(
            f"""SELECT held.entries < 0 OR held.bytes < 0 OR least(held.entries, {_COUNTED_AT_MOST}) <> there.entries
                FROM (SELECT {parts.totals} FROM {names.counts}) AS held,
                (SELECT count(*) AS entries FROM (SELECT FROM {entries} LIMIT {_COUNTED_AT_MOST}) AS e) AS there"""
        )
        self.recount = (
            plain(f"LOCK TABLE {entries}, {names.counts} IN SHARE ROW EXCLUSIVE MODE"),
            plain(f"DELETE FROM {names.counts}"),
            plain(
                f"""INSERT INTO {names.counts} (shard, entries, bytes)
                    SELECT 0, count(*), coalesce(sum({parts.size}), 0)::int8 FROM {entries}"""
            ),
        )
        sums = "count(*) AS entries, coalesce(sum(size), 0)::int8 AS bytes"
        self.usage = plain(
            f"""SELECT held.entries - below.entries - noted.entries, held.bytes - below.bytes - noted.bytes
                FROM (SELECT {parts.totals} FROM {names.counts}) AS held,
                (SELECT {sums} FROM (SELECT {parts.size} AS size FROM {entries}
                    WHERE (SELECT {parts.littered}) AND namespace <= {floor}) AS e) AS below,
                (SELECT {sums} FROM {names.cleared} AS x CROSS JOIN LATERAL (SELECT {parts.size} AS size FROM {entries}
                    WHERE namespace = x.id AND x.id > {floor} OFFSET 0) AS e WHERE NOT x.emptied) AS noted"""
        )
