"""Listing what the tables hold: rows by their ids, which are the order of arrival, some at a time.

A row that is overwritten keeps its id, and an id is never used again. So those up to the newest one at the beginning
are all that was there then.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from hitrate.stores.base import Listed, Page
from hitrate.stores.postgres.binary import float8, int8, read_int8, rows_of
from hitrate.stores.postgres.conversation import Conversation
from hitrate.stores.postgres.rows import seconds_in
from hitrate.stores.postgres.statements import Statements
from hitrate.stores.postgres.wire import Call


class Place(NamedTuple):
    """How far a listing has come.

    Attributes:
        last: the id of the last row that was looked at.
        newest: the id of the last row to list.
    """

    last: int
    newest: int


class Lister:
    """Lists entries.

    Args:
        statements: for the tables.
        clock: the process's clock.
        own_clock: whether ``clock`` decides what is expired; else the server's does.
    """

    def __init__(self, statements: Statements, clock: Callable[[], float], own_clock: bool) -> None:
        self._statements = statements
        self._clock = clock
        self._own_clock = own_clock

    def page(self, under: bytes, after: Place | None, limit: int) -> Conversation[Page]:
        """Return a page; the arguments are those of ``Store.list_page``."""
        if after is None:
            (newest,) = yield (Call(self._statements.listing.newest),)
            after = Place(0, read_int8(newest.get_value(0, 0) or b""))
        now = float8(self._clock()) if self._own_clock else None
        parameters = int8(after.last), int8(after.newest), int8(limit), under, now
        (result,) = yield (Call(self._statements.listing.page, parameters),)
        rows = rows_of(result)
        since = 0.0 if self._own_clock else self._clock()
        entries = [
            Listed(name, key, size, created, None if expiry is None else expiry + since, seconds_in(head))
            for _, name, key, size, created, expiry, head in rows
            if name is not None
        ]
        return Page(entries, Place(rows[-1][0], after.newest) if len(rows) == limit else None)
