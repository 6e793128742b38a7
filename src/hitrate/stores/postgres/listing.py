"""Listing what the tables hold: the times of the rows by their ids, a thousand at a time, and then the rows.

A row that is overwritten keeps its id, and an id is never used again. So those up to the newest one at the beginning
are all that was there then.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from hitrate.stores.base import Listed, Page
from hitrate.stores.oldest_first import OldestFirst
from hitrate.stores.postgres.binary import float8, int8, int8_array
from hitrate.stores.postgres.rows import seconds_in
from hitrate.stores.postgres.statements import Statements
from hitrate.stores.postgres.wire import Conversation, Request

_GATHERED_AT_ONCE = 1024


@dataclass(slots=True, eq=False)
class Place:
    """How far a listing has come.

    Attributes:
        newest: the id of the last row to list.
        last: the id of the last row whose time was read; None once all were.
        rows: those whose times were read.
    """

    newest: int
    last: int | None = 0
    rows: OldestFirst = field(default_factory=OldestFirst)


class Lister:
    """Lists entries. ``own_clock``: whether the cache's clock decides what has expired, and not the server's."""

    def __init__(self, statements: Statements, clock: Callable[[], float], own_clock: bool) -> None:
        self._statements = statements
        self._clock = clock
        self._own_clock = own_clock

    def page(self, under: bytes, after: Place | None, limit: int) -> Conversation[Page]:
        """Return a page; the arguments are those of ``Store.list_page``."""
        if after is None:
            (((newest,),),) = yield (Request(self._statements.listing.newest),)
            after = Place(newest)
        if after.last is not None:
            return (yield from self._gather(under, after, after.last))
        ids = after.rows.take(limit)
        if not ids:
            return Page(after.rows.told(()), None)
        now = float8(self._clock()) if self._own_clock else None
        (rows,) = yield (Request(self._statements.listing.rows, (int8_array(ids), under, now)),)
        since = 0.0 if self._own_clock else self._clock()
        found = [
            (row, Listed(name, key, size, created, None if expiry is None else expiry + since, seconds_in(head)))
            for row, name, key, size, created, expiry, head in rows
        ]
        return Page(after.rows.told(found), after)

    def _gather(self, under: bytes, place: Place, last: int) -> Conversation[Page]:
        """Read the times of some more rows; an empty page."""
        parameters = int8(last), int8(place.newest), int8(_GATHERED_AT_ONCE), under
        (rows,) = yield (Request(self._statements.listing.times, parameters),)
        place.rows.gather((row, created) for row, created, is_under in rows if is_under)
        place.last = rows[-1][0] if len(rows) == _GATHERED_AT_ONCE else None
        return Page((), place)
