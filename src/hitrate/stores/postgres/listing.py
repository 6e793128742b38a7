"""Listing what the tables hold: the times of the rows by their ids, a thousand at a time, and then the rows.

A row that is overwritten keeps its id, and an id is never used again. So those up to the newest one at the beginning
are all that was there then.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from hitrate.stores.base import Listed, Page
from hitrate.stores.oldest_first import OldestFirst
from hitrate.stores.postgres.binary import int8, int8_array
from hitrate.stores.postgres.expiry import ExpiryClock
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


def page(
    statements: Statements, clock: ExpiryClock, under: bytes, after: Place | None, limit: int
) -> Conversation[Page]:
    """Return a page; as ``Store.list_page``."""
    if after is None:
        (((newest,),),) = yield (Request(statements.listing.newest),)
        after = Place(newest)
    if after.last is not None:  # the times of some more rows, and an empty page
        parameters = int8(after.last), int8(after.newest), int8(_GATHERED_AT_ONCE), under
        (times,) = yield (Request(statements.listing.times, parameters),)
        after.rows.gather((row, created) for row, created, is_under in times if is_under)
        after.last = times[-1][0] if len(times) == _GATHERED_AT_ONCE else None
        return Page((), after)
    ids = after.rows.take(limit)
    if not ids:
        return Page(after.rows.told(()), None)
    (rows,) = yield (Request(statements.listing.rows, (int8_array(ids), under, clock.argument())),)
    since = clock.zero()
    found = [
        (row, Listed(name, key, size, created, None if expiry is None else expiry + since, seconds_in(head)))
        for row, name, key, size, created, expiry, head in rows
    ]
    return Page(after.rows.told(found), after)
