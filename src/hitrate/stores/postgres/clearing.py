"""Clears: one statement each."""

from __future__ import annotations

from collections.abc import Sequence

from hitrate.stores.postgres.binary import BYTEA, array
from hitrate.stores.postgres.rows import LONGEST, stored_name
from hitrate.stores.postgres.statements import Statements
from hitrate.stores.postgres.wire import Call


def clear(statements: Statements, namespaces: Sequence[bytes] | None) -> Call:
    """Return the call that clears encoded namespaces, or all for None."""
    if namespaces is None:
        return Call(statements.clearing.all)
    return Call(statements.clearing.some, (array(BYTEA, sorted({stored_name(name) for name in namespaces})),))


def clear_under(statements: Statements, prefix: bytes) -> Call:
    """Return the call that clears every namespace whose encoding begins with this one, which is not empty."""
    # The encoding of a length is at most ten bytes and does not end with 0xff: something is left.
    head = prefix[:LONGEST].rstrip(b"\xff")
    return Call(statements.clearing.under, (prefix, head[:-1] + bytes([head[-1] + 1])))
