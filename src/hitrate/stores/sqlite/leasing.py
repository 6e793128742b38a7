"""Leases: whose it is to compute the value of a key, in a table of their own that the first lease makes.

A lease lies at the slot of its key. Clearing gives a namespace another base, and so puts its leases out of reach with
its entries; removing a key removes its lease; storing an entry does not look here. All of it happens in transactions
that write, one at a time, so that the moment of each is read within it.

An older hitrate takes the table for another program's and goes on sharing the file. When it clears a namespace, the
leases end, too; when it deletes a key, they do not.
"""

from __future__ import annotations

from array import array
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING

import apsw

from hitrate.entry import fingerprint
from hitrate.keys import EncodedKey
from hitrate.stores.sqlite.handle import Handle
from hitrate.stores.sqlite.rows import pack_key, slot_of
from hitrate.stores.sqlite.schema import LEASES, MADE_LATER, is_there

if TYPE_CHECKING:
    from hitrate.stores.sqlite.transaction import Transaction

LeaseKey = tuple[int, bytes]
"""Where a key lies: its slot, and the packed key."""

Lease = tuple[bytes, float, float]
"""A token, when it took the lease, and for how many seconds."""

LOOKED_AT = 64

_AT_SLOTS = f"""SELECT slot, key, token, taken, seconds
    FROM carray(?1) AS wanted CROSS JOIN {LEASES} ON slot = wanted.value
    WHERE typeof(key) = 'blob' AND typeof(token) = 'blob' AND typeof(taken) = 'real' AND typeof(seconds) = 'real'"""
_TAKE = f"INSERT OR REPLACE INTO {LEASES} VALUES (?, ?, ?, ?, ?)"
_END = f"DELETE FROM {LEASES} WHERE slot = ? AND key = ?"
_PURGE = f"""DELETE FROM {LEASES} WHERE (slot, key) IN (
    SELECT slot, key FROM (SELECT * FROM {LEASES} WHERE slot >= ?2 ORDER BY slot LIMIT ?3)
    WHERE (?1 - taken >= 0 AND ?1 - taken < seconds) IS NOT TRUE)"""


def take(
    transaction: Transaction, keys: Sequence[EncodedKey], token: bytes, seconds: float, now: float
) -> Sequence[float]:
    """Take the leases of keys, as ``Store.lease``."""
    handle = transaction.handle
    places = [
        _place(name, key, transaction.new_base(name) if (base := transaction.base(name)) is None else base)
        for name, key in keys
    ]
    if not is_there(handle.execute, LEASES):
        handle.execute(MADE_LATER[LEASES])
    _purge(handle, places, now)
    there = _at(handle, places)
    left = [_left(there[place], token, now) if place in there else 0.0 for place in places]
    taken = [(*place, token, now, seconds) for place, its in zip(places, left, strict=True) if not its]
    if taken:
        handle.con.executemany(_TAKE, taken)
    return left


def settle(transaction: Transaction, keys: Iterable[EncodedKey], token: bytes, now: float) -> Collection[EncodedKey]:
    """End the leases that a token has of keys; return the keys whose lease was not the token's any more."""
    handle = transaction.handle
    bases = {key: transaction.base(key[0]) for key in keys}
    places = {key: _place(*key, base) for key, base in bases.items() if base is not None}
    there = _at(handle, places.values()) if is_there(handle.execute, LEASES) else {}
    late = set(bases)
    for key, place in places.items():
        lease = there.get(place)
        if lease is not None and lease[0] == token:
            handle.execute(_END, place)
            if 0 <= now - lease[1] < lease[2]:
                late.remove(key)
    return late


def end(handle: Handle, places: Sequence[LeaseKey]) -> None:
    """End the leases of keys that are removed."""
    if places and is_there(handle.execute, LEASES):
        ended = set(places).intersection(_at(handle, places))
        if ended:
            handle.con.executemany(_END, ended)


def _place(name: bytes, key: bytes, base: int) -> LeaseKey:
    return base + slot_of(fingerprint(name, key)), pack_key(key)


def any_between(handle: Handle, first: int, last: int) -> bool:
    """Tell whether a lease is left at one of some slots."""
    found = f"SELECT EXISTS (SELECT 1 FROM {LEASES} WHERE slot BETWEEN ? AND ?)"
    return is_there(handle.execute, LEASES) and bool(handle.execute(found, (first, last)).fetchall()[0][0])


def _at(handle: Handle, places: Iterable[LeaseKey]) -> dict[LeaseKey, Lease]:
    """Return the token, the moment and the seconds of the leases at some places, and perhaps at others.

    Rows that were written by hand, with values of other types, are left out.
    """
    slots = array("q", [slot for slot, _ in places])
    rows = handle.execute(_AT_SLOTS, (apsw.carray(slots),)) if slots else ()
    return {(slot, key): (token, taken, seconds) for slot, key, token, taken, seconds in rows}


def _left(lease: Lease, token: bytes, now: float) -> float:
    """Return the seconds that another's lease has left; 0.0 for none, and for a lease of the token itself."""
    its_token, taken, seconds = lease
    passed = now - taken
    return seconds - passed if its_token != token and 0 <= passed < seconds else 0.0


def _purge(handle: Handle, places: Sequence[LeaseKey], now: float) -> None:
    """Remove leases that have ended: of a bounded number, those that lie next, and those of the oldest namespaces."""
    for slot in (places[0][0], 0) if places else ():
        handle.execute(_PURGE, (now, slot, LOOKED_AT + len(places)))
