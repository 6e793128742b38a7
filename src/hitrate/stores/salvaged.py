"""What is told of a store of which a part cannot be read: the entries that can be, and how many cannot."""

from __future__ import annotations

from typing import NamedTuple

from hitrate.entry import Entry
from hitrate.errors import DecodeError


class Salvaged(NamedTuple):
    """An entry of a damaged store.

    Attributes:
        name: its encoded namespace.
        key: its encoded key.
        entry: the entry, or why it cannot be trusted.
        created: when it was stored, in seconds since the epoch; None if that is not known.
    """

    name: bytes
    key: bytes
    entry: Entry | DecodeError
    created: float | None


class UnreadableRows(NamedTuple):
    """Entries of a damaged store that cannot be read, or of which it cannot be told whose they are.

    Attributes:
        name: their encoded namespace, None if that cannot be told.
        entries: how many there are.
    """

    name: bytes | None
    entries: int
