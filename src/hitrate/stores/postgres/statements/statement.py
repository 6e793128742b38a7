"""A statement as it is sent to the server."""

from __future__ import annotations

from typing import NamedTuple

from xxhash import xxh3_64_hexdigest


class Statement(NamedTuple):
    """A statement and the name it is prepared under.

    Attributes:
        text: with parameters as ``$1``, all of them and the results in binary form.
        name: empty if it is not worth preparing. It is made of the text, so that whoever prepared a statement of that
            name on a connection prepared this one.
    """

    text: bytes
    name: bytes = b""


def prepared(text: str) -> Statement:
    """Return a statement that is prepared where that is possible."""
    raw = text.encode()
    return Statement(raw, b"hitrate_" + xxh3_64_hexdigest(raw).encode())


def plain(text: str) -> Statement:
    """Return a statement that is sent as it is."""
    return Statement(text.encode())


BEGIN, COMMIT, ROLLBACK = plain("BEGIN"), plain("COMMIT"), plain("ROLLBACK")
