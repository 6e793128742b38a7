"""Clears: one statement each."""

from __future__ import annotations

from collections.abc import Sequence

from hitrate.keys import after_all_under
from hitrate.stores.postgres.binary import BYTEA, array
from hitrate.stores.postgres.rows import LONGEST, stored_all
from hitrate.stores.postgres.statements import Statements
from hitrate.stores.postgres.wire import Request


def clear(statements: Statements, namespaces: Sequence[bytes] | None) -> Request:
    """Return the call that clears encoded namespaces, or all for None."""
    if namespaces is None:
        return Request(statements.clearing.all)
    return Request(statements.clearing.some, (array(BYTEA, sorted(set(stored_all(namespaces)))),))


def clear_under(statements: Statements, prefix: bytes) -> Request:
    """Return the call that clears every namespace whose encoding begins with this one, which is not empty."""
    # Where it is cut, its end may be a part of a length: ten bytes at most, so that something is left but 0xff.
    return Request(statements.clearing.under, (prefix, after_all_under(prefix[:LONGEST])))
