"""Reads: one statement a call, with no lock and no write."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence

import apsw

from hitrate.entry import fingerprint, fingerprints
from hitrate.errors import DecodeError
from hitrate.keys import EncodedKey
from hitrate.stores.base import Found
from hitrate.stores.sqlite.handle import Handle
from hitrate.stores.sqlite.rows import SHIFT, pack_key, read_columns

_COLUMNS = "id, key, expiry, seconds, checksum, encoding, payload"

# As short as possible: apsw compares the text to find the prepared statement.
_ONE = f"SELECT {_COLUMNS} FROM hitrate_entries WHERE slot=(SELECT base FROM hitrate_namespaces WHERE name=?2)+?1"

# CROSS JOIN keeps the order: the slots asked for drive the search of the index.
_MANY = """SELECT e.id, e.key, e.expiry, e.seconds, e.checksum, e.encoding, e.payload
    FROM carray(?1) AS wanted CROSS JOIN hitrate_entries AS e
    ON e.slot = wanted.value + (SELECT base FROM hitrate_namespaces WHERE name = ?2)"""

_EXPIRY = """SELECT CASE typeof(expiry) WHEN 'real' THEN expiry END FROM hitrate_entries
    WHERE slot = (SELECT base FROM hitrate_namespaces WHERE name = ?2) + ?1 AND key = ?3"""

_AT_ONCE = 4096


def read_one(handle: Handle, name: bytes, key: bytes, clock: Callable[[], float]) -> tuple[Found, int]:
    """Return what is found for one key, and the id of its row (0 for none)."""
    identity = fingerprint(name, key)
    try:
        rows = handle.execute(_ONE, (identity >> SHIFT, name)).fetchall()
    except UnicodeDecodeError as error:
        return DecodeError(f"a column holds text that is none: {error}"), 0
    for row in rows:
        if row[1] == pack_key(key):
            expiry = row[2]
            if type(expiry) is float and expiry <= clock():
                return None, 0
            return read_columns(identity, expiry, row[3], row[4], row[5], row[6]), row[0]
    return None, 0


def find_expired(handle: Handle, keys: Sequence[EncodedKey], now: float) -> list[bool]:
    """Tell of each key whether it has a row that has expired."""
    found = []
    for name, key in keys:
        rows = handle.execute(_EXPIRY, (fingerprint(name, key) >> SHIFT, name, pack_key(key))).fetchall()
        found.append(any(type(expiry) is float and expiry <= now for (expiry,) in rows))
    return found


def read_many(handle: Handle, wanted: Sequence[EncodedKey], now: float) -> tuple[list[Found], list[int]]:
    """Return what is found for each key, in order, and the id of its row (0 for none)."""
    by_name: dict[bytes, list[int]] = {}
    for place, (name, _) in enumerate(wanted):
        by_name.setdefault(name, []).append(place)
    found: list[Found] = [None] * len(wanted)
    ids = [0] * len(wanted)
    batches = [
        (name, places[start : start + _AT_ONCE])
        for name, places in by_name.items()
        for start in range(0, len(places), _AT_ONCE)
    ]
    begins = len(batches) > 1 and handle.snapshot.header is None
    if begins:
        handle.execute("BEGIN")  # all of them see the same state: never half of a batch that is being written
    for name, places in batches:
        _read_batch(handle, name, wanted, places, now, found, ids)
    if begins:
        handle.execute("COMMIT")
    return found, ids


def _read_batch(
    handle: Handle,
    name: bytes,
    wanted: Sequence[EncodedKey],
    places: list[int],
    now: float,
    found: list[Found],
    ids: list[int],
) -> None:
    identities = fingerprints(name, [wanted[place][1] for place in places])
    slots = array("q", [identity >> SHIFT for identity in identities])
    try:
        rows = handle.execute(_MANY, (apsw.carray(slots), name)).fetchall()
    except UnicodeDecodeError:  # one row holds text that is no UTF-8; the others are read one by one
        for place in places:
            found[place], ids[place] = read_one(handle, *wanted[place], lambda: now)
        return
    if not rows:
        return
    asked: dict[bytes, tuple[int, list[int]]] = {}
    for place, identity in zip(places, identities, strict=True):
        packed = pack_key(wanted[place][1])
        if packed in asked:  # more than once
            asked[packed][1].append(place)
        else:
            asked[packed] = identity, [place]
    for row in rows:
        match = asked.get(row[1])
        if match is None or (type(row[2]) is float and row[2] <= now):
            continue
        identity, its_places = match
        entry = read_columns(identity, row[2], row[3], row[4], row[5], row[6])
        if type(entry) is not tuple and type(found[its_places[0]]) is tuple:
            continue  # a row of another key at this slot does not hide the right one
        for place in its_places:
            found[place] = entry
            ids[place] = row[0]
