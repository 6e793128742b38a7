"""The counters that outlive processes, in a table of their own that the first of them makes.

It does not belong to the format of the tables, so older and newer releases share it. It is a logged table whatever the
cache's durability is: it has a few rows, written every few seconds, which a crash of the server would otherwise empty.
"""

from __future__ import annotations

from hitrate.errors import StoreError
from hitrate.keys import encode_text
from hitrate.stores.base import Amounts
from hitrate.stores.lifetime import counters_in, names_new, within_bounds
from hitrate.stores.postgres.binary import BYTEA, FLOAT8, array, float8
from hitrate.stores.postgres.schema import ADVISORY_LOCK
from hitrate.stores.postgres.statements import Statement, plain
from hitrate.stores.postgres.wire import Conversation, Request

_COMMENT = b"hitrate counters"
_LOOK = Statement(
    b"SELECT textsend(obj_description(to_regclass($1::text), 'pg_class')), to_regclass($1::text) IS NOT NULL"
)


class LifetimeCounts:
    """The counters of a cache, in a table of this quoted name."""

    def __init__(self, table: str) -> None:
        self._table = table
        self._known: frozenset[bytes] = frozenset()
        self._all = plain(f"SELECT name, counter, amount FROM {table}")
        # In one order, so that two processes never wait for each other.
        self._add = plain(
            f"""INSERT INTO {table} AS c (name, counter, amount)
                SELECT * FROM unnest($1::bytea[], $2::bytea[], $3::float8[]) ORDER BY 1, 2
                ON CONFLICT (name, counter) DO UPDATE SET amount = c.amount + excluded.amount"""
        )
        self._make = (
            plain(f"SELECT pg_advisory_xact_lock({ADVISORY_LOCK})"),
            plain(
                f"""CREATE TABLE IF NOT EXISTS {table} (
                    name bytea NOT NULL,
                    counter bytea NOT NULL,
                    amount double precision NOT NULL,
                    PRIMARY KEY (name, counter)
                ) WITH (fillfactor = 50)"""
            ),
            plain(f"COMMENT ON TABLE {table} IS '{_COMMENT.decode()}'"),
        )

    def add(self, amounts: Amounts) -> Conversation[None]:
        """Add to the counters."""
        if not (yield from self._is_there()):
            yield [Request(each) for each in self._make]
        if names_new(amounts, self._known):
            self._known = frozenset(name for name, _ in (yield from self._read()))
        kept = within_bounds(amounts, self._known)
        names, counters = [name for name, _ in kept], [encode_text(counter) for _, counter in kept]
        added = array(FLOAT8, [float8(amount) for amount in kept.values()])
        yield (Request(self._add, (array(BYTEA, names), array(BYTEA, counters), added)),)
        self._known |= {*names}

    def read(self) -> Conversation[dict[tuple[bytes, str], float]]:
        """Return the counters."""
        return (yield from self._read()) if (yield from self._is_there()) else {}

    def _is_there(self) -> Conversation[bool]:
        (((comment, is_there),),) = yield (Request(_LOOK, (self._table.encode(),)),)
        if is_there and comment != _COMMENT:
            raise StoreError(
                f"{self._table} was made by another program (it does not bear hitrate's comment); nothing is counted "
                f"there. Give the cache another table"
            )
        return bool(is_there)

    def _read(self) -> Conversation[dict[tuple[bytes, str], float]]:
        (rows,) = yield (Request(self._all),)
        return counters_in(rows)
