"""Statements that clear namespaces, and that remove what was cleared.

To clear a namespace is to forget its number, which no entry is ever stored under again. To clear all is to raise the
floor, below which no number counts. The entries go later, in steps.
"""

from __future__ import annotations

from hitrate.stores.postgres.rows import LONGEST
from hitrate.stores.postgres.statements.parts import NOTE_SECONDS, STEP, Parts, now, rows_of
from hitrate.stores.postgres.statements.statement import Statement, plain

_NOTES_PER_STEP = 64


class ClearingStatements:
    """Attributes:
    all: clears everything.
    some: $1 names, in order; notes the numbers that they had.
    under: $1 the beginning of names, $2 the first that comes after all that begin so; clears these, and digests by the
        names they stand for.
    mark_leaving: $1 numbers; marks namespaces that have no entry.
    steps: each removes a bounded number of what was cleared, and returns how many. The first returns also for how many
        noted namespaces it has removed all.

    A namespace without entries leaves in two steps. Once it is marked no writer begins to use it without taking the
    mark off; when those that had begun before are long done, it goes if it is empty still.
    """

    def __init__(self, parts: Parts) -> None:
        names = parts.names
        entries, namespaces, cleared, floor = names.entries, names.namespaces, names.cleared, parts.floor

        def leased(namespace: str) -> str:
            return f"EXISTS (SELECT FROM {names.leases} WHERE namespace = {namespace})"

        self.all = plain(
            f"""INSERT INTO {names.state} AS s (floor) SELECT coalesce(max(id), 0) FROM {namespaces}
                ON CONFLICT (one) DO UPDATE SET floor = greatest(s.floor, excluded.floor)"""
        )

        def forgotten(named: str) -> Statement:
            return plain(
                f"""WITH named AS MATERIALIZED ({named}),
                    gone AS (DELETE FROM {namespaces} WHERE id = ANY(ARRAY(SELECT id FROM named)) RETURNING id)
                    INSERT INTO {cleared} (id, at) SELECT id, {now()} FROM gone ON CONFLICT DO NOTHING"""
            )

        self.some = forgotten(
            f"""SELECT n.id FROM {rows_of(name="$1::bytea[]")} CROSS JOIN LATERAL (
                SELECT id FROM {namespaces} WHERE name = w.name OFFSET 0 FOR UPDATE) AS n"""
        )
        head = f"substring(long_name, 1, {LONGEST})"
        self.under = forgotten(
            f"""SELECT id FROM {namespaces} WHERE long_name IS NULL AND name >= $1::bytea AND name < $2::bytea
                OR long_name IS NOT NULL AND {head} >= substring($1, 1, {LONGEST}) AND {head} < $2
                    AND substring(long_name, 1, octet_length($1)) = $1 ORDER BY name FOR UPDATE"""
        )
        self.mark_leaving = plain(
            f"""UPDATE {namespaces} AS n SET leaving = {now()} WHERE leaving IS NULL
                AND id = ANY(ARRAY(SELECT id FROM {namespaces} WHERE id = ANY($1::int8[]) FOR UPDATE SKIP LOCKED))
                AND NOT EXISTS (SELECT FROM {entries} WHERE namespace = n.id) AND NOT {leased("n.id")}"""
        )
        notes = f"SELECT id FROM {cleared} WHERE NOT emptied ORDER BY id LIMIT {_NOTES_PER_STEP}"
        remove_noted = plain(
            f"""WITH noted AS MATERIALIZED (SELECT e.id FROM ({notes}) AS x CROSS JOIN LATERAL (
                    SELECT id FROM {entries} WHERE namespace = x.id ORDER BY key LIMIT {STEP} FOR UPDATE SKIP LOCKED
                ) AS e LIMIT {STEP}),
                {parts.gone("SELECT id FROM noted", locked=True)},
                done AS (UPDATE {cleared} AS x SET emptied = true WHERE (SELECT entries FROM lost) < {STEP}
                    AND id = ANY(ARRAY({notes} FOR UPDATE SKIP LOCKED)) AND NOT EXISTS (SELECT FROM {entries}
                        WHERE namespace = x.id AND id <> ALL(ARRAY(SELECT id FROM gone))) RETURNING id)
                SELECT (SELECT entries FROM lost), (SELECT count(*) FROM done)"""
        )
        below = f"SELECT id FROM {entries} WHERE namespace <= {floor} ORDER BY namespace, key LIMIT {STEP}"
        remove_below_floor = plain(f"WITH {parts.gone(below)} SELECT entries FROM lost")
        remove_namespaces_below_floor = plain(
            f"""WITH gone AS (DELETE FROM {namespaces} WHERE id = ANY(ARRAY(SELECT id FROM {namespaces}
                    WHERE id <= {floor} ORDER BY id LIMIT {STEP} FOR UPDATE SKIP LOCKED)) RETURNING id)
                SELECT count(*) FROM gone"""
        )

        def old(table: str, since: str, condition: str, kept: str = "false") -> str:
            return f"""old AS MATERIALIZED (SELECT id,
                    EXISTS (SELECT FROM {entries} WHERE namespace = x.id) OR {kept} AS filled
                FROM {table} AS x WHERE {condition} {since} < {now()} - {NOTE_SECONDS}
                ORDER BY {since} LIMIT {STEP} FOR UPDATE SKIP LOCKED)"""

        filled, empty = "ARRAY(SELECT id FROM old WHERE filled)", "ARRAY(SELECT id FROM old WHERE NOT filled)"
        forget_notes = plain(
            f"""WITH {old(cleared, "at", "emptied AND")},
                again AS (UPDATE {cleared} SET emptied = false WHERE id = ANY({filled})),
                gone AS (DELETE FROM {cleared} WHERE id = ANY({empty}))
                SELECT count(*) FROM old"""
        )
        remove_leaving = plain(
            f"""WITH {old(namespaces, "leaving", "", leased("x.id"))},
                stays AS (UPDATE {namespaces} SET leaving = NULL WHERE id = ANY({filled})),
                goes AS (DELETE FROM {namespaces} WHERE id = ANY({empty}))
                SELECT count(*) FROM old"""
        )
        self.steps = (
            remove_noted,
            remove_below_floor,
            remove_namespaces_below_floor,
            forget_notes,
            remove_leaving,
        )
